//! Event ids, as the judge reads them.

use std::fmt;

/// `<epoch>-<seq>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct JudgedId {
    /// A stretch of the log.
    pub(crate) epoch: u64,
    /// The place in it, from 1.
    pub(crate) seq: u64,
}

/// Where an id stands among all others: by when its epoch began, then by number. Logs in memory that
/// begin anew have no common order but that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdRank {
    /// Ascends with the epochs.
    pub(crate) rank: u64,
    /// As in the id.
    pub(crate) seq: u64,
}

impl JudgedId {
    /// Reads one; digits, a hyphen, digits, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('-')?;
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        Some(Self { epoch: number(epoch)?, seq: number(seq)? })
    }
}

impl fmt::Display for JudgedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl fmt::Debug for JudgedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
