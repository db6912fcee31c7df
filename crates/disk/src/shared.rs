//! What the writer shares with publishers and readers.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use super::index_cache::IndexCache;
use super::queue::Queue;
use super::state::LogState;

/// What the writer shares with everyone else.
pub(super) struct Shared {
    pub state: RwLock<LogState>,
    pub indices: IndexCache,
    pub queue: Queue,
    /// Why nothing is accepted any more.
    pub failure: OnceLock<String>,
}

impl Shared {
    pub(super) fn state(&self) -> RwLockWriteGuard<'_, LogState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody waits for a writer that has ended, however it ended.
pub(super) struct AbandonOnDrop(pub Arc<Shared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        // The first reason stands.
        let _ = self.0.failure.set("the log's writer has ended".to_owned());
        self.0.queue.abandon();
    }
}
