//! What the writer shares with publishers and readers.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use super::queue::Queue;
use super::state::State;

/// What the writer shares with everyone else.
pub(super) struct Shared {
    pub state: RwLock<State>,
    pub queue: Queue,
    /// Why nothing is accepted any more.
    pub failure: OnceLock<String>,
}

impl Shared {
    pub(super) fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody waits for a writer that has ended, however it ended.
pub(super) struct Ending(pub Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        // The first reason stands.
        let _ = self.0.failure.set("the log's writer has ended".to_owned());
        self.0.queue.abandon();
    }
}
