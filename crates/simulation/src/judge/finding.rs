//! A finding: a guarantee that was broken.

use std::fmt;

/// What was found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenGuarantee {
    /// Which guarantee.
    pub kind: FindingKind,
    /// Whom it concerns, and what they saw.
    pub text: String,
}

/// Which guarantee was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// An acknowledged event after a client's cursor, neither delivered nor covered by a gap before
    /// anything later.
    SilentLoss,
    /// A client that is connected, reads, and never receives an acknowledged event.
    Undelivered,
    /// An event twice on one connection.
    Duplicate,
    /// An event before its predecessor, or not after the cursor.
    Reordered,
    /// An event that nobody published, or whose bytes are not what was published.
    Invented,
    /// An event whose publisher was told that it was not accepted.
    Refused,
    /// An event that was not asked for.
    Unwanted,
    /// A private event, to a client that was not granted it.
    Leaked,
    /// Two events with one id.
    TwoEventsOneId,
    /// One event with two ids.
    OneEventTwoIds,
    /// A batch accepted in part, or with ids that are not consecutive.
    TornBatch,
    /// An acknowledged event that is gone although nothing may be lost or trimmed.
    Lost,
    /// A cursor of no log, after which something comes without a gap.
    Untold,
    /// A gap whose id leads a client back to the same gap.
    Circular,
    /// An event, published after a subject was cut, on a stream of that subject.
    Overstayed,
    /// Bytes that no client can read.
    Malformed,
    /// A stream that the hub closed without its last chunk although its client took everything.
    Unfinished,
    /// Something that never comes to an end.
    Stuck,
    /// The code itself panicked.
    Panic,
}

impl fmt::Display for BrokenGuarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}
