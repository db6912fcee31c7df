//! What the writer shares with publishers and readers.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use crate::index_cache::IndexCache;
use crate::queue::Queue;
use crate::state::LogState;

/// What the writer shares with everyone else.
pub(crate) struct Shared {
    pub state: RwLock<LogState>,
    pub indices: IndexCache,
    pub queue: Queue,
    /// Why nothing is accepted any more.
    pub failure: OnceLock<String>,
}

impl Shared {
    pub(crate) fn state(&self) -> RwLockWriteGuard<'_, LogState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody waits for a writer that has ended, however it ended.
pub(crate) struct AbandonOnDrop(pub Arc<Shared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        // The first reason stands.
        let _ = self.0.failure.set("the log's writer has ended".to_owned());
        self.0.queue.abandon();
    }
}
