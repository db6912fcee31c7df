//! What waits for the disk: a bounded queue in front of the writer's thread.
//!
//! What must hold: a publisher never waits for room. When the queue is full the disk has fallen
//! behind, and waiting publishers would only be a second queue without a bound; they are told at
//! once, and may try again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_event::Timestamp;

use super::completion::Completion;
use crate::Batch;

/// A batch that waits, and whom to answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub batch: Batch,
    /// Its records' length, in bytes.
    pub bytes: usize,
    pub completion: Completion,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Task {
    /// Write these; never empty.
    Write(Vec<Waiting>),
    /// Let go of what is too old at this time.
    Expire(Timestamp),
    /// Sync what was written: the time for that has come.
    Sync,
    /// Nothing more will come.
    Close,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    most_batches: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    expire: Option<Timestamp>,
    closed: bool,
}

/// How many bytes are written at once, unless a single batch is larger.
const GROUP_BYTES: usize = 8 << 20;

impl Queue {
    pub(super) fn new(most_batches: usize, most_bytes: usize) -> Self {
        let inner = Mutex::new(Inner::default());
        Self { inner, filled: Condvar::new(), most_batches: most_batches.max(1), most_bytes }
    }

    /// Adds a batch. Hands it back where there is no room; a batch alone always finds some.
    pub(super) fn push(&self, waiting: Waiting) -> Result<(), Waiting> {
        let mut inner = self.lock();
        let full = inner.waiting.len() >= self.most_batches
            || inner.bytes.saturating_add(waiting.bytes) > self.most_bytes;
        if inner.closed || (full && !inner.waiting.is_empty()) {
            return Err(waiting);
        }
        inner.bytes += waiting.bytes;
        let first = inner.waiting.is_empty();
        inner.waiting.push_back(waiting);
        drop(inner);
        if first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Asks the writer to let go of what is too old.
    pub(super) fn expire(&self, now: Timestamp) {
        self.lock().expire = Some(now);
        self.filled.notify_one();
    }

    /// Lets nothing in any more. What waits is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// The same, and answers what waits that its outcome is unknown.
    pub(super) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// What is to be done first; `None` where there is nothing. `due` says whether the time has come
    /// that the writer waits for.
    pub(super) fn next(&self, due: bool) -> Option<Task> {
        let mut inner = self.lock();
        if let Some(now) = inner.expire.take() {
            return Some(Task::Expire(now));
        }
        if due {
            return Some(Task::Sync);
        }
        if !inner.waiting.is_empty() {
            return Some(Task::Write(inner.group()));
        }
        inner.closed.then_some(Task::Close)
    }

    /// Waits until there may be something to do, at most for so long.
    pub(super) fn wait(&self, most: Option<Duration>) {
        let inner = self.lock();
        if inner.expire.is_some() || !inner.waiting.is_empty() || inner.closed {
            return;
        }
        // Woken for nothing, the writer finds nothing and waits again.
        match most {
            Some(most) => drop(self.filled.wait_timeout(inner, most)),
            None => drop(self.filled.wait(inner)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn group(&mut self) -> Vec<Waiting> {
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            bytes += waiting.bytes;
            bytes <= GROUP_BYTES
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let group: Vec<_> = self.waiting.drain(..count).collect();
        self.bytes -= group.iter().map(|waiting| waiting.bytes).sum::<usize>();
        group
    }
}
