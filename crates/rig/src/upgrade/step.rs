//! A step of an upgrade: one of the messages that the two processes say to each other.

use super::side::Side;

/// What every message of a hand-over begins with.
pub(super) const MAGIC: &[u8] = b"FFHO";

/// The messages of a hand-over, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpgradeStep {
    /// The new process says who it is.
    Hello,
    /// The old one gives it the listening sockets.
    Offer,
    /// The settings of the new one are good.
    Ready,
    /// The old one gives it the state.
    State,
    /// And connections.
    Descriptors,
    /// The new one has received some.
    Received,
    /// It has made a hub of them.
    Prepared,
    /// The old one asks it to be the hub.
    Commit,
    /// It is.
    Committed,
    /// It serves.
    Serving,
}

impl UpgradeStep {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Hello,
        Self::Offer,
        Self::Ready,
        Self::State,
        Self::Descriptors,
        Self::Received,
        Self::Prepared,
        Self::Commit,
        Self::Committed,
        Self::Serving,
    ];

    /// Which one it is by its fifth byte; `None` where a process says why it gives up.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        let kind = message.strip_prefix(MAGIC)?.first()?;
        Self::ALL.get(usize::from(*kind).checked_sub(1)?).copied()
    }

    /// Who says it.
    pub fn sender(self) -> Side {
        match self {
            Self::Offer | Self::State | Self::Descriptors | Self::Commit => Side::Old,
            _ => Side::New,
        }
    }
}
