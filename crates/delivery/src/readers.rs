//! Readers: the threads that read from the log what the window no longer holds.
//!
//! What must hold: a bounded number of pages exists at once, however many subscribers catch up;
//! each is read for one subscriber and dropped as soon as its shard has tried to send it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use fanfare_hub::{Catchup, Envelope, Hub, Interest};
use fanfare_log::{PageLimit, ReadError, ReadFrom};

use crate::delivery::vital;

/// How many threads read.
const THREADS: usize = 2;
/// How many pages may be read and not yet sent.
const PAGES_AT_ONCE: usize = 16;
/// How much a page holds; little in tests, so that one is not all there is.
const PAGE: PageLimit = if cfg!(test) {
    PageLimit { events: 5, bytes: 4096 }
} else {
    PageLimit { events: 512, bytes: 256 * 1024 }
};

/// The reader threads, and what they are to do.
pub(crate) struct Readers(Arc<Shared>);

/// Read on for one subscriber.
pub(crate) struct Job {
    pub(crate) from: ReadFrom,
    pub(crate) interest: Arc<Interest>,
    pub(crate) envelope: Envelope,
    pub(crate) done: Box<dyn FnOnce(Result<Page, ReadError>) + Send>,
}

/// What was read. Counts against the bound until it is dropped.
pub(crate) struct Page {
    pub(crate) catchup: Catchup,
    _permit: Permit,
}

struct Permit(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// At most one for each subscriber, and those of some who have left.
    jobs: VecDeque<Job>,
    permits: usize,
    closed: bool,
}

impl Readers {
    pub(crate) fn start(hub: &Arc<Hub>) -> io::Result<Self> {
        let readers = Self::idle();
        for n in 0..THREADS {
            let (hub, shared) = (Arc::clone(hub), Arc::clone(&readers.0));
            thread::Builder::new()
                .name(format!("reader-{n}"))
                .spawn(move || vital(|| run(&hub, &shared)))?;
        }
        Ok(readers)
    }

    /// Without threads: nobody reads.
    fn idle() -> Self {
        let state = State { jobs: VecDeque::new(), permits: PAGES_AT_ONCE, closed: false };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(crate) fn submit(&self, job: Job) {
        self.0.lock().jobs.push_back(job);
        self.0.changed.notify_one();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, once there is one and a page may be read for it; `None` at the end.
    fn next(self: &Arc<Self>) -> Option<(Job, Permit)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if state.permits > 0
                && let Some(job) = state.jobs.pop_front()
            {
                state.permits -= 1;
                return Some((job, Permit(Arc::clone(self))));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().permits += 1;
        self.0.changed.notify_one();
    }
}

fn run(hub: &Hub, shared: &Arc<Shared>) {
    while let Some((job, permit)) = shared.next() {
        read(hub, job, permit);
    }
}

fn read(hub: &Hub, job: Job, permit: Permit) {
    if Arc::strong_count(&job.interest) == 1 {
        // The subscriber has left in the meantime.
        return;
    }
    let read = hub.catch_up(job.from, &job.interest, job.envelope, PAGE);
    (job.done)(read.map(|catchup| Page { catchup, _permit: permit }));
}

#[cfg(test)]
impl Readers {
    /// Readers that read when a test says so.
    pub(crate) fn by_hand() -> Self {
        Self::idle()
    }

    /// Does the next job; whether there was one.
    pub(crate) fn read_one(&self, hub: &Hub) -> bool {
        if self.0.lock().jobs.is_empty() {
            return false;
        }
        let next = self.0.next();
        next.is_some_and(|(job, permit)| {
            read(hub, job, permit);
            true
        })
    }
}
