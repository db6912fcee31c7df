//! A side: one of the two processes of an upgrade.

use std::fmt;

/// One of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is the hub.
    Old,
    /// The one that is to be.
    New,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "the old process",
            Self::New => "the new process",
        })
    }
}
