//! An event's id, as far as the contract lets a client look into it: `<epoch>-<seq>`, later ones
//! greater.

use std::fmt;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedId {
    /// Which life of the log.
    pub epoch: u64,
    /// Dense within an epoch.
    pub seq: u64,
}

impl ReceivedId {
    /// Before everything.
    pub const ZERO: Self = Self { epoch: 0, seq: 0 };

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('-')?;
        Some(Self { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    }

    /// Whether `next` follows without anything in between.
    pub fn touches(self, next: Self) -> bool {
        self.epoch == next.epoch && self.seq.checked_add(1) == Some(next.seq)
    }
}

impl fmt::Display for ReceivedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}
