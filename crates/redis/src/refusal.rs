//! What a server's refusal of a publish means. Whatever was refused was not executed.

use std::sync::Arc;

use redis::{ServerError, ServerErrorKind};

use crate::error::{RedisRequestError, words};

/// Why Redis did not execute a publish.
#[derive(Debug)]
pub(crate) enum PublishRefusal {
    /// The epoch is over: fence, and send it again.
    Stale,
    /// This server or connection is not, or no longer, the right one: open another.
    Elsewhere(Arc<RedisRequestError>),
    /// There is no room, in memory or on disk.
    Full(Arc<RedisRequestError>),
    /// The server does not accept writes, or not these.
    WritesRefused(Arc<RedisRequestError>),
}

impl PublishRefusal {
    pub(crate) fn of(error: ServerError) -> Self {
        let (said, kind) = (words(&error), error.kind());
        let is_out_of_memory = error.code() == "OOM";
        let error = Arc::new(RedisRequestError::Refused(error));
        match kind {
            Some(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::NoScript
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::Elsewhere(error),
            _ if said.contains("equal or smaller than the target stream") => Self::Stale,
            _ if is_out_of_memory || said.contains("No space left on device") => Self::Full(error),
            _ => Self::WritesRefused(error),
        }
    }
}
