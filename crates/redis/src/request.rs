//! A batch on its way to Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use fanfare_event::Draft;
use fanfare_log::{AppendError, Appended, Batch};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::budget::Reservation;
use crate::sent_keys::CountedKey;

/// A batch that waits for its answer.
pub(crate) struct Request {
    pub(crate) batch: Batch,
    /// It must not be sent after this.
    deadline: Instant,
    /// How often Redis refused it because the epoch had changed.
    pub(crate) attempts: u32,
    pub(crate) stage: Arc<SendState>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    key: Option<Arc<CountedKey>>,
    _reservation: Reservation,
}

/// Whether a batch may have reached Redis. Decides between `Unavailable` and `OutcomeUnknown`
/// when its publisher stops waiting.
pub(crate) struct SendState(AtomicU8);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl SendState {
    /// Before it is written to a connection. `false` if its publisher has been told it was not.
    pub(crate) fn send(&self) -> bool {
        self.0.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire) != Err(ABANDONED)
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) == ABANDONED
    }

    /// Redis said that it did not execute it.
    pub(crate) fn mark_unsent(&self) {
        self.0.store(QUEUED, Ordering::Release);
    }

    /// The publisher stops waiting. `false` if the batch may have been sent.
    pub(crate) fn abandon(&self) -> bool {
        self.0.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Request {
    pub(crate) fn new(
        batch: Batch,
        deadline: Instant,
        key: Option<Arc<CountedKey>>,
        reservation: Reservation,
    ) -> (Self, Arc<SendState>, oneshot::Receiver<Result<Appended, AppendError>>) {
        let (answer, receiver) = oneshot::channel();
        let stage = Arc::new(SendState(AtomicU8::new(QUEUED)));
        let request = Self {
            batch,
            deadline,
            attempts: 0,
            stage: stage.clone(),
            answer,
            key,
            _reservation: reservation,
        };
        (request, stage, receiver)
    }

    /// The request, unless it is too late to send it.
    pub(crate) fn in_time(self) -> Option<Self> {
        if Instant::now() < self.deadline && !self.stage.is_abandoned() {
            return Some(self);
        }
        let source = "redis could not be reached in time".into();
        self.answer(Err(AppendError::Unavailable { source }));
        None
    }

    pub(crate) fn answer(self, answer: Result<Appended, AppendError>) {
        // Here, in the order of Redis, and also where its publisher has gone.
        if let Some(key) = self.key {
            key.settle(&answer);
        }
        // A publisher that has gone needs no answer.
        let _ = self.answer.send(answer);
    }
}

/// What a batch weighs while it waits.
pub(crate) fn weight(batch: &Batch) -> usize {
    let weight = |draft: &Draft| {
        let extras = draft.extras.as_ref().map_or(0, |extras| extras.weight());
        draft.message.len() + draft.topic.as_str().len() + extras + 128
    };
    batch.drafts.iter().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_sent_cannot_be_abandoned_as_unsent() {
        let stage = SendState(AtomicU8::new(QUEUED));
        assert!(stage.send());
        assert!(!stage.abandon());
        stage.mark_unsent();
        assert!(stage.abandon());
        assert!(!stage.send());
    }
}
