//! Progress: since when an answer has waited for its peer to read.
//!
//! What must hold: an answer waits for its peer from the moment a piece of it was handed to the
//! protocol until the protocol asks for the next one, and at no other time. A stream that has
//! nothing to send does not wait for anybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use hyper::rt::Executor;
use tokio::task::AbortHandle;

/// What moments are counted from.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

tokio::task_local! {
    /// The task of an HTTP/2 response, for those who run in it.
    static RESPONSE: Arc<OnceLock<AbortHandle>>;
}

/// How an answer is getting on.
#[derive(Debug, Default)]
pub(super) struct AnswerProgress {
    /// Milliseconds since the beginning, and one; 0: it does not wait for its peer.
    waits_since: AtomicU64,
    /// The task that writes it, where breaking that off leaves the connection to the others.
    task: OnceLock<Arc<OnceLock<AbortHandle>>>,
}

impl AnswerProgress {
    /// A piece of it is with the protocol.
    pub(super) fn waits(&self) {
        let since = u64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        self.waits_since.store(since, Ordering::Relaxed);
    }

    /// The protocol wants more, and there is nothing yet.
    pub(super) fn on_awaiting_more(&self) {
        self.waits_since.store(0, Ordering::Relaxed);
    }

    /// Since when it has waited for its peer, if it does.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let since = self.waits_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(*BEGINNING + Duration::from_millis(since))
    }

    /// Notes in which task it is written. To be called there.
    pub(super) fn runs_here(&self) {
        if self.task.get().is_none() {
            let _ = RESPONSE.try_with(|task| self.task.set(Arc::clone(task)));
        }
    }

    /// Breaks it off, and nothing else of its connection. False: only the whole connection can be.
    pub(super) fn break_off(&self) -> bool {
        let Some(task) = self.task.get().and_then(|task| task.get()) else { return false };
        if task.is_finished() {
            // All of it is with the protocol, which waits for the connection.
            return false;
        }
        // It is not to be broken off again before it is gone.
        self.on_awaiting_more();
        task.abort();
        true
    }
}

/// Runs each response of an HTTP/2 connection in a task that can be broken off: its stream is then
/// reset, and the connection's other streams are not touched.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseTasks;

impl<F> Executor<F> for ResponseTasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, response: F) {
        let handle = Arc::new(OnceLock::new());
        let task = tokio::spawn(RESPONSE.scope(Arc::clone(&handle), response));
        let _ = handle.set(task.abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_nobody_has_to_read_yet_does_not_count_as_unread() {
        let progress = AnswerProgress::default();
        assert_eq!(progress.waits_since(), None);
        progress.waits();
        assert!(progress.waits_since().unwrap() <= Instant::now());
        progress.on_awaiting_more();
        assert_eq!(progress.waits_since(), None);
        assert!(!progress.break_off(), "there is no task to break off");
    }
}
