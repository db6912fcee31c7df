//! A batch on its way to Redis, and the bound on how many there may be.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fanfare_event::Draft;
use fanfare_log::{AppendError, Appended, Batch};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A batch that waits for its answer.
pub(crate) struct Request {
    pub(crate) batch: Batch,
    /// It must not be sent after this.
    deadline: Instant,
    /// How often Redis refused it because the epoch had changed.
    pub(crate) attempts: u32,
    pub(crate) stage: Arc<Stage>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    _space: Space,
}

/// Whether a batch may have reached Redis. Decides between `Unavailable` and `OutcomeUnknown`
/// when its publisher stops waiting.
pub(crate) struct Stage(AtomicU8);

const QUEUED: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl Stage {
    /// Before it is written to a connection. `false` if its publisher has been told it was not.
    pub(crate) fn send(&self) -> bool {
        self.0.compare_exchange(QUEUED, SENT, Ordering::AcqRel, Ordering::Acquire) != Err(ABANDONED)
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) == ABANDONED
    }

    /// Redis said that it did not execute it.
    pub(crate) fn unsend(&self) {
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
        space: Space,
    ) -> (Self, Arc<Stage>, oneshot::Receiver<Result<Appended, AppendError>>) {
        let (answer, receiver) = oneshot::channel();
        let stage = Arc::new(Stage(AtomicU8::new(QUEUED)));
        let request =
            Self { batch, deadline, attempts: 0, stage: stage.clone(), answer, _space: space };
        (request, stage, receiver)
    }

    /// The request, unless it is too late to send it.
    pub(crate) fn in_time(self) -> Option<Self> {
        if Instant::now() < self.deadline && !self.stage.is_abandoned() {
            return Some(self);
        }
        let reason = "redis could not be reached in time".to_owned();
        self.answer(Err(AppendError::Unavailable { reason }));
        None
    }

    pub(crate) fn answer(self, answer: Result<Appended, AppendError>) {
        // A publisher that has gone needs no answer.
        let _ = self.answer.send(answer);
    }
}

/// What a batch weighs while it waits.
pub(crate) fn weight(batch: &Batch) -> usize {
    let weight = |draft: &Draft| draft.message.len() + draft.topic.as_str().len() + 128;
    batch.drafts.iter().map(weight).sum()
}

/// How much may wait at once.
pub(crate) struct Room {
    used: Mutex<Used>,
    max_batches: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Used {
    batches: usize,
    bytes: usize,
}

/// A share of the room, given back when dropped.
pub(crate) struct Space {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(max_batches: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), max_batches, max_bytes })
    }

    /// A share for one batch, if there is so much left. Any batch gets in when the room is empty.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Space> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            used.batches < self.max_batches && used.bytes.saturating_add(bytes) <= self.max_bytes;
        if !fits && used.batches > 0 {
            return None;
        }
        used.batches += 1;
        used.bytes += bytes;
        Some(Space { room: self.clone(), bytes })
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut used = self.room.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.batches -= 1;
        used.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_sent_cannot_be_abandoned_as_unsent() {
        let stage = Stage(AtomicU8::new(QUEUED));
        assert!(stage.send());
        assert!(!stage.abandon());
        stage.unsend();
        assert!(stage.abandon());
        assert!(!stage.send());
    }

    #[test]
    fn room_is_bounded_and_given_back() {
        let room = Room::new(2, 10);
        let big = room.take(50).unwrap();
        assert!(room.take(1).is_none());
        drop(big);
        let (one, two) = (room.take(6).unwrap(), room.take(4).unwrap());
        assert!(room.take(0).is_none(), "two batches at most");
        drop(two);
        assert!(room.take(5).is_none(), "ten bytes at most");
        drop(one);
        assert!(room.take(10).is_some());
    }
}
