//! A refusal: why nothing of a group of batches was written, and what that means for those to come.

use std::io;

use crate::storage::is_full;
use fanfare_log::AppendError;

/// Why a group was not written.
pub(crate) enum WriteRefusal {
    /// The disk has no room. Nothing was kept.
    Full(io::Error),
    /// Nothing was kept, and nothing is accepted any more.
    Failed(String),
    /// Nothing is accepted any more. What was written may be found by the next start.
    Unknown(String),
}

impl WriteRefusal {
    pub(crate) fn of(action: &str, error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error) } else { Self::Failed(format!("{action}: {error}")) }
    }

    pub(crate) fn error(&self) -> AppendError {
        match self {
            Self::Full(error) => AppendError::Full { source: error.to_string().into() },
            Self::Failed(reason) => AppendError::Unavailable { source: reason.clone().into() },
            Self::Unknown(reason) => AppendError::OutcomeUnknown { source: reason.clone().into() },
        }
    }
}
