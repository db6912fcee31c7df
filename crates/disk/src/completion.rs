//! A completion: how the writer's thread answers a publisher's future.
//!
//! What must hold: every future is answered. A completion that is dropped without an answer says
//! that the outcome is unknown.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use fanfare_log::{AppendError, Appended};

type AppendAnswer = Result<Appended, AppendError>;

#[derive(Debug, Default)]
struct CompletionState {
    outcome: Option<AppendAnswer>,
    waker: Option<Waker>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Completion {
    pending: Option<Arc<Mutex<CompletionState>>>,
}

/// The publisher's end.
#[derive(Debug)]
pub(crate) struct Completed {
    pending: Arc<Mutex<CompletionState>>,
}

/// Two ends of one answer.
pub(crate) fn completion() -> (Completion, Completed) {
    let pending = Arc::new(Mutex::new(CompletionState::default()));
    (Completion { pending: Some(pending.clone()) }, Completed { pending })
}

impl Completion {
    /// Answers.
    pub(crate) fn answer(mut self, outcome: AppendAnswer) {
        self.put(outcome);
    }

    fn put(&mut self, outcome: AppendAnswer) {
        let Some(pending) = self.pending.take() else { return };
        let waker = {
            let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.outcome = Some(outcome);
            pending.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.put(Err(AppendError::OutcomeUnknown {
            source: "the log's writer ended before it answered".into(),
        }));
    }
}

impl Future for Completed {
    type Output = AppendAnswer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendAnswer> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                match &mut pending.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}
