//! What a server's refusal of a publish means. Whatever was refused was not executed.

use redis::{ServerError, ServerErrorKind};

use crate::error::words;

/// Why Redis did not execute a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The epoch is over: fence, and send it again.
    Stale,
    /// This server or connection is not, or no longer, the right one: open another.
    Elsewhere(String),
    /// There is no room, in memory or on disk.
    Full(String),
    /// The server does not accept writes, or not these.
    Unwilling(String),
}

impl Refusal {
    pub(crate) fn of(error: &ServerError) -> Self {
        let said = words(error);
        match error.kind() {
            Some(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::NoScript
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::Elsewhere(said),
            _ if said.contains("equal or smaller than the target stream") => Self::Stale,
            _ if error.code() == "OOM" || said.contains("No space left on device") => {
                Self::Full(said)
            }
            _ => Self::Unwilling(said),
        }
    }
}
