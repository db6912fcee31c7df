//! What waits for the disk: a bounded queue in front of the writer's thread.
//!
//! What must hold: a publisher never waits for room. When the queue is full the disk has fallen
//! behind, and waiting publishers would only be a second queue without a bound; they are told at
//! once, and may try again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_event::Timestamp;

use crate::completion::Completion;
use crate::disk_state::DiskState;
use fanfare_log::{AppendError, Batch};

/// A batch that waits, and whom to answer.
#[derive(Debug)]
pub(crate) struct QueuedBatch {
    pub batch: Batch,
    /// Its records' length, in bytes.
    pub bytes: usize,
    pub completion: Completion,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(crate) enum WriterTask {
    /// Write these; never empty.
    Write(Vec<QueuedBatch>),
    /// Let go of what is too old at this time.
    Expire(Timestamp),
    /// Sync what was written: the time for that has come.
    Sync,
    /// Make everything durable, and say what another process needs to go on.
    Freeze,
    /// Nothing more will come.
    Close,
    /// Nothing more will come, and nothing may be changed any more.
    Leave,
}

/// How far a freeze has come. While there is one, batches are taken in and wait.
#[derive(Debug, Default)]
enum Freeze {
    #[default]
    None,
    /// So many batches are to be written before it.
    Asked(usize),
    /// The writer is at it.
    Settling,
    /// Nothing is changed until it is lifted. What came of it is there until somebody takes it.
    Frozen(Option<Result<Box<DiskState>, String>>),
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    /// A freeze has come about.
    settled: Condvar,
    most_batches: usize,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<QueuedBatch>,
    bytes: usize,
    expire: Option<Timestamp>,
    closed: bool,
    freeze: Freeze,
}

/// How many bytes are written at once, unless a single batch is larger.
const GROUP_BYTES: usize = 8 << 20;

impl Queue {
    pub(crate) fn new(most_batches: usize, most_bytes: usize) -> Self {
        let inner = Mutex::new(Inner::default());
        let (filled, settled) = (Condvar::new(), Condvar::new());
        Self { inner, filled, settled, most_batches: most_batches.max(1), most_bytes }
    }

    /// The same, frozen from the beginning.
    pub(crate) fn new_frozen(most_batches: usize, most_bytes: usize) -> Self {
        let queue = Self::new(most_batches, most_bytes);
        queue.lock().freeze = Freeze::Frozen(None);
        queue
    }

    /// Adds a batch. Hands it back where there is no room; a batch alone always finds some.
    pub(crate) fn push(&self, waiting: QueuedBatch) -> Result<(), QueuedBatch> {
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
    pub(crate) fn expire(&self, now: Timestamp) {
        self.lock().expire = Some(now);
        self.filled.notify_one();
    }

    /// Lets nothing in any more. What waits is still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// The same, and answers what waits that its outcome is unknown.
    pub(crate) fn abandon(&self) {
        self.close();
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// Asks for a freeze, behind what waits by now.
    pub(crate) fn ask_to_freeze(&self) {
        let mut inner = self.lock();
        inner.freeze = Freeze::Asked(inner.waiting.len());
        self.filled.notify_one();
    }

    /// What has come of a freeze that was asked for, once; `None` while nothing has.
    pub(crate) fn take_frozen(&self, within: Duration) -> Option<Result<Box<DiskState>, String>> {
        let settling = |inner: &mut Inner| {
            !inner.closed && !matches!(inner.freeze, Freeze::None | Freeze::Frozen(_))
        };
        let waited = self.settled.wait_timeout_while(self.lock(), within, settling);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &mut inner.freeze {
            Freeze::Frozen(frozen) => frozen.take(),
            Freeze::None | Freeze::Asked(_) | Freeze::Settling => None,
        }
    }

    /// The writer has settled everything, or could not. Unless the freeze was lifted meanwhile, it changes
    /// nothing from now on.
    pub(crate) fn frozen(&self, state: Result<DiskState, String>) {
        let mut inner = self.lock();
        if matches!(inner.freeze, Freeze::Settling) {
            inner.freeze = Freeze::Frozen(Some(state.map(Box::new)));
            self.settled.notify_all();
        }
    }

    /// Lifts a freeze, however far it has come: what has waited is written.
    pub(crate) fn thaw(&self) {
        self.lock().freeze = Freeze::None;
        self.filled.notify_one();
    }

    /// Makes a freeze last for ever: another process goes on. What waits is refused.
    pub(crate) fn release(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.freeze = Freeze::Frozen(None);
            inner.closed = true;
            self.filled.notify_one();
            std::mem::take(&mut inner.waiting)
        };
        for waiting in waiting {
            let source = "another process has taken over".into();
            waiting.completion.answer(Err(AppendError::Unavailable { source }));
        }
    }

    /// What is to be done first; `None` where there is nothing. `due` says whether the time has come
    /// that the writer waits for.
    pub(crate) fn next(&self, due: bool) -> Option<WriterTask> {
        let mut inner = self.lock();
        match inner.freeze {
            Freeze::None => {}
            Freeze::Asked(0) => {
                inner.freeze = Freeze::Settling;
                return Some(WriterTask::Freeze);
            }
            Freeze::Asked(left) => {
                let group = inner.group(left);
                inner.freeze = Freeze::Asked(left - group.len());
                return Some(WriterTask::Write(group));
            }
            Freeze::Settling | Freeze::Frozen(_) => {
                return inner.closed.then_some(WriterTask::Leave);
            }
        }
        if let Some(now) = inner.expire.take() {
            return Some(WriterTask::Expire(now));
        }
        if due {
            return Some(WriterTask::Sync);
        }
        if !inner.waiting.is_empty() {
            return Some(WriterTask::Write(inner.group(usize::MAX)));
        }
        inner.closed.then_some(WriterTask::Close)
    }

    /// Waits until there may be something to do, at most for so long.
    pub(crate) fn wait(&self, most: Option<Duration>) {
        let inner = self.lock();
        let is_asked = match inner.freeze {
            Freeze::None => inner.expire.is_some() || !inner.waiting.is_empty(),
            Freeze::Asked(_) => true,
            Freeze::Settling | Freeze::Frozen(_) => false,
        };
        if is_asked || inner.closed {
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
    /// The first of what waits, as much as is written at once, and at most so many.
    fn group(&mut self, most: usize) -> Vec<QueuedBatch> {
        let mut bytes = 0;
        let fits = |waiting: &&QueuedBatch| {
            bytes += waiting.bytes;
            bytes <= GROUP_BYTES
        };
        let count = self.waiting.iter().take(most).take_while(fits).count().max(1);
        let group: Vec<_> = self.waiting.drain(..count).collect();
        self.bytes -= group.iter().map(|waiting| waiting.bytes).sum::<usize>();
        group
    }
}
