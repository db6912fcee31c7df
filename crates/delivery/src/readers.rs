//! Readers: the threads that read from the log what the window no longer holds.
//!
//! What must hold: a bounded number of pages exists at once, however many subscribers catch up;
//! each is made for one subscriber and dropped as soon as its shard has tried to send it. Addresses
//! take turns, and so do the streams of one. Those who wait for the same are read for once.

mod jobs;
mod loaded_page;
mod shared_reads;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use fanfare_hub::{Hub, Stretch};
use fanfare_log::PageLimit;

pub(crate) use self::jobs::ReadJob;
use self::jobs::{Jobs, Reach};
pub(crate) use self::loaded_page::LoadedPage;
use self::shared_reads::{Done, ReadNumber, SharedReads};
use crate::abort_on_panic::abort_on_panic;

/// How many threads read.
const THREADS: usize = 2;
/// How many pages may be read and not yet sent.
const PAGES_AT_ONCE: usize = 16;
/// How many jobs are passed over, or put back, before shards that ask for pages are let in between.
const AT_ONCE: usize = 256;

/// What is to be read, for whoever reads it: threads, or one step at a time.
#[derive(Clone)]
pub(crate) struct ReadQueue(Arc<SharedQueue>);

struct SharedQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct QueueState {
    jobs: Jobs,
    shared: SharedReads,
    /// How many are being put back.
    returning: usize,
    permits: usize,
    closed: bool,
}

struct Permit(Arc<SharedQueue>);

/// What a reader finds to do.
enum NextRead {
    Read(ReadTask),
    /// It has passed over so many that others must have the queue first.
    More,
    /// Until something changes.
    Nothing,
}

/// A job for which a permit has been taken, and how its page is come by.
struct ReadTask {
    job: ReadJob,
    source: ReadSource,
}

enum ReadSource {
    /// The log is read for it alone.
    Alone,
    /// The log is read for it and others, this much.
    First(ReadNumber, PageLimit),
    /// It was read for another.
    Taken(Arc<Stretch>),
}

impl ReadQueue {
    /// An empty queue, which nobody works off yet.
    pub(crate) fn new() -> Self {
        let state = QueueState {
            jobs: Jobs::default(),
            shared: SharedReads::default(),
            returning: 0,
            permits: PAGES_AT_ONCE,
            closed: false,
        };
        Self(Arc::new(SharedQueue { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(crate) fn submit(&self, job: ReadJob) {
        self.0.lock().jobs.push(job);
        self.0.changed.notify_one();
    }

    /// How many wait for a page that nobody has begun to make.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.0.lock();
        state.jobs.waiting() + state.shared.parked() + state.returning
    }

    /// Does the next job, if there is one and a page may be read for it; whether it did.
    pub(crate) fn step(&self, hub: &Hub) -> bool {
        let mut state = self.0.lock();
        let next = loop {
            match state.next() {
                NextRead::Read(task) => break Some(task),
                NextRead::More => {}
                NextRead::Nothing => break None,
            }
        };
        let unwanted = if next.is_none() { state.release_unclaimed() } else { Vec::new() };
        drop(state);
        drop(unwanted);
        let did = next.is_some();
        if let Some(task) = next {
            self.read(hub, task);
        }
        did
    }

    /// Does jobs until the queue is closed.
    fn run(&self, hub: &Hub) {
        while let Some(task) = self.wait() {
            self.read(hub, task);
        }
    }

    /// The next job, once a page may be read for it; `None` at the end.
    fn wait(&self) -> Option<ReadTask> {
        let mut state = self.0.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.next() {
                NextRead::Read(task) => return Some(task),
                NextRead::More => {
                    drop(state);
                    state = self.0.lock();
                    continue;
                }
                NextRead::Nothing => {}
            }
            let unwanted = state.release_unclaimed();
            if unwanted.is_empty() {
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(state);
                drop(unwanted);
                state = self.0.lock();
            }
        }
    }

    /// Does a job for which a permit has been taken.
    fn read(&self, hub: &Hub, task: ReadTask) {
        let permit = Permit(Arc::clone(&self.0));
        let ReadTask { job, source } = task;
        let ReadJob { from, ref interest, envelope, limit, .. } = job;
        let take = |stretch: &Stretch| hub.page_of(stretch, from, interest, envelope, limit);
        let taken = match source {
            // The subscriber has left in the meantime.
            ReadSource::Alone if !job.is_awaited() => return,
            ReadSource::Alone => None,
            ReadSource::First(number, limit) => {
                let read = hub.read_stretch(from, interest, limit).map(Arc::new);
                self.end(number, read.as_ref().ok());
                read.map(|stretch| take(&stretch)).transpose()
            }
            ReadSource::Taken(stretch) => take(&stretch).map(Ok),
        };
        let read = taken.unwrap_or_else(|| hub.catch_up(from, interest, envelope, limit));
        (job.done)(read.map(|catchup| LoadedPage::new(catchup, permit)));
    }

    /// A read that several waited for has ended: they are served from it, or by themselves.
    fn end(&self, number: ReadNumber, stretch: Option<&Arc<Stretch>>) {
        let mut state = self.0.lock();
        let (mut parked, unwanted) = state.shared.end(number, stretch);
        state.returning += parked.len();
        drop(state);
        drop(unwanted);
        // The first of them is to be first.
        while !parked.is_empty() {
            let some = parked.split_off(parked.len().saturating_sub(AT_ONCE));
            let mut state = self.0.lock();
            state.returning -= some.len();
            if state.closed {
                // See `close`.
                drop(state);
                return;
            }
            some.into_iter().rev().for_each(|asked| state.jobs.put_back(asked));
            drop(state);
            self.0.changed.notify_all();
        }
    }

    /// Nobody reads any more. What waits is let go of, since it holds shards that may hold pages.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let waiting = (std::mem::take(&mut state.jobs), state.shared.close());
        drop(state);
        drop(waiting);
        self.0.changed.notify_all();
    }
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// The next job, and a permit taken for it. Those whose page is being read are passed over until it is.
    fn next(&mut self) -> NextRead {
        for _ in 0..AT_ONCE {
            if self.permits == 0 {
                return NextRead::Nothing;
            }
            let Some(asked) = self.jobs.pop() else { return NextRead::Nothing };
            let (job, source) = if !asked.job.is_awaited() {
                (asked.job, ReadSource::Alone)
            } else if let Some(stretch) = self.shared.for_one(&asked) {
                (asked.job, ReadSource::Taken(stretch))
            } else if let Some(asked) = self.shared.park(asked) {
                let source = self.source_of(&asked.job);
                (asked.job, source)
            } else {
                continue;
            };
            self.permits -= 1;
            return NextRead::Read(ReadTask { job, source });
        }
        NextRead::More
    }

    /// How the log is read for a job: for others, too, if any of the next want the same, as much as they all
    /// would have read by themselves.
    fn source_of(&mut self, job: &ReadJob) -> ReadSource {
        let reach = Reach::of(job);
        match self.jobs.bytes_of_sharers(&reach) {
            0 => ReadSource::Alone,
            others => {
                let bytes = job.limit.bytes.saturating_add(others).min(job.most_bytes);
                let number = self.shared.begin(reach, self.jobs.asked());
                ReadSource::First(number, PageLimit { bytes, ..job.limit })
            }
        }
    }

    /// What is kept for nobody.
    fn release_unclaimed(&mut self) -> Vec<Done> {
        let is_idle = self.jobs.waiting() == 0 && self.returning == 0;
        if is_idle { self.shared.release_unclaimed() } else { Vec::new() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().permits += 1;
        self.0.changed.notify_one();
    }
}

/// The threads that work a queue off, until this is dropped.
pub(crate) struct ReaderThreads(ReadQueue);

impl ReaderThreads {
    pub(crate) fn start(queue: ReadQueue, hub: &Arc<Hub>) -> io::Result<Self> {
        let threads = Self(queue);
        for n in 0..THREADS {
            let (hub, queue) = (Arc::clone(hub), threads.0.clone());
            thread::Builder::new()
                .name(format!("reader-{n}"))
                .spawn(move || abort_on_panic(|| queue.run(&hub)))?;
        }
        Ok(threads)
    }
}

impl Drop for ReaderThreads {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests;
