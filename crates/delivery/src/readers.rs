//! Readers: the threads that read from the log what the window no longer holds.
//!
//! What must hold: a bounded number of pages exists at once, however many subscribers catch up;
//! each is read for one subscriber and dropped as soon as its shard has tried to send it. Addresses
//! take turns, and so do the streams of one: whoever opens a thousand waits for its own.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use fanfare_hub::{Catchup, Envelope, Hub, Interest};
use fanfare_log::{PageLimit, ReadError, ReadFrom};

use crate::abort_on_panic::abort_on_panic;
use crate::address_group::AddressGroup;

/// How many threads read.
const THREADS: usize = 2;
/// How many pages may be read and not yet sent.
const PAGES_AT_ONCE: usize = 16;

/// Read on for one subscriber.
pub(crate) struct ReadJob {
    pub(crate) address_group: AddressGroup,
    /// Gone as soon as its subscriber has left.
    pub(crate) awaited: Weak<()>,
    pub(crate) from: ReadFrom,
    pub(crate) interest: Arc<Interest>,
    pub(crate) envelope: Envelope,
    pub(crate) limit: PageLimit,
    pub(crate) done: Box<dyn FnOnce(Result<Page, ReadError>) + Send>,
}

/// What was read. Counts against the bound until it is dropped.
pub(crate) struct Page {
    pub(crate) catchup: Catchup,
    _permit: Permit,
}

/// What is to be read, for whoever reads it: threads, or one step at a time.
#[derive(Clone)]
pub(crate) struct ReadQueue(Arc<SharedQueue>);

struct SharedQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct QueueState {
    jobs: Jobs,
    permits: usize,
    closed: bool,
}

struct Permit(Arc<SharedQueue>);

/// At most one for each subscriber, and those of some who have left.
#[derive(Default)]
struct Jobs {
    /// Whoever has some; never an empty queue.
    queues: HashMap<AddressGroup, VecDeque<ReadJob>>,
    /// Each of them once: whose turn comes when.
    turns: VecDeque<AddressGroup>,
    /// How many there are.
    waiting: usize,
}

impl Jobs {
    fn push(&mut self, job: ReadJob) {
        let group = job.address_group;
        let queue = self.queues.entry(group).or_default();
        if queue.is_empty() {
            self.turns.push_back(group);
        }
        queue.push_back(job);
        self.waiting += 1;
    }

    fn pop(&mut self) -> Option<ReadJob> {
        let group = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&group)?;
        let job = queue.pop_front();
        self.waiting -= usize::from(job.is_some());
        if queue.is_empty() {
            self.queues.remove(&group);
        } else {
            self.turns.push_back(group);
        }
        job
    }
}

impl ReadQueue {
    /// An empty queue, which nobody works off yet.
    pub(crate) fn new() -> Self {
        let state = QueueState { jobs: Jobs::default(), permits: PAGES_AT_ONCE, closed: false };
        Self(Arc::new(SharedQueue { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(crate) fn submit(&self, job: ReadJob) {
        self.0.lock().jobs.push(job);
        self.0.changed.notify_one();
    }

    /// How many jobs nobody has begun.
    pub(crate) fn waiting(&self) -> usize {
        self.0.lock().jobs.waiting
    }

    /// Does the next job, if there is one and a page may be read for it; whether it did.
    pub(crate) fn step(&self, hub: &Hub) -> bool {
        let next = self.0.lock().next();
        let did = next.is_some();
        if let Some(job) = next {
            self.read(hub, job);
        }
        did
    }

    /// Does jobs until the queue is closed.
    fn run(&self, hub: &Hub) {
        while let Some(job) = self.wait() {
            self.read(hub, job);
        }
    }

    /// The next job, once a page may be read for it; `None` at the end.
    fn wait(&self) -> Option<ReadJob> {
        let mut state = self.0.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.next() {
                return Some(job);
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does a job for which a permit has been taken.
    fn read(&self, hub: &Hub, job: ReadJob) {
        let permit = Permit(Arc::clone(&self.0));
        if job.awaited.strong_count() == 0 {
            // The subscriber has left in the meantime.
            return;
        }
        let read = hub.catch_up(job.from, &job.interest, job.envelope, job.limit);
        (job.done)(read.map(|catchup| Page { catchup, _permit: permit }));
    }

    /// Nobody reads any more. What waits is let go of, since it holds shards that may hold pages.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.0.changed.notify_all();
    }
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// The next job, and a permit taken for it.
    fn next(&mut self) -> Option<ReadJob> {
        let job = if self.permits > 0 { self.jobs.pop() } else { None };
        self.permits -= usize::from(job.is_some());
        job
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
mod tests {
    use fanfare_event::{PrivateRights, Selector};
    use fanfare_hub::{Window, WindowBounds};
    use fanfare_log::{Retention, Tail};
    use fanfare_testkit::FickleLog;

    use super::*;
    use crate::settings::StepLimits;

    fn job(group: u32) -> ReadJob {
        ReadJob {
            address_group: AddressGroup(group),
            awaited: Weak::new(),
            from: ReadFrom::Earliest,
            interest: Arc::new(Interest::new(Selector::default(), PrivateRights::None)),
            envelope: Envelope::None,
            limit: StepLimits::SMALL.page,
            done: Box::new(|_| ()),
        }
    }

    #[test]
    fn the_log_is_not_read_for_one_who_has_left() {
        let retention =
            Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
        let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
        let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Hub::new(window, log);
        let readers = ReadQueue::new();
        let (reading, answered) = (Arc::new(()), Arc::new(Mutex::new(0)));
        let ask = |reading: &Arc<()>| {
            let answered = Arc::clone(&answered);
            // The interest in the default topic alone is one that all share.
            readers.submit(ReadJob {
                awaited: Arc::downgrade(reading),
                done: Box::new(move |_| *answered.lock().unwrap() += 1),
                ..job(1)
            });
        };
        ask(&reading);
        assert!(readers.step(&hub));
        ask(&reading);
        drop(reading);
        assert!(readers.step(&hub));
        assert_eq!(*answered.lock().unwrap(), 1);
    }

    #[test]
    fn pages_that_nobody_has_sent_yet_are_read_without_end() {
        let retention =
            Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
        let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
        let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Hub::new(window, log);
        let readers = ReadQueue::new();
        let (reading, pages) = (Arc::new(()), Arc::new(Mutex::new(Vec::new())));
        for group in 0..2 * PAGES_AT_ONCE {
            let pages = Arc::clone(&pages);
            readers.submit(ReadJob {
                awaited: Arc::downgrade(&reading),
                done: Box::new(move |page| pages.lock().unwrap().push(page)),
                ..job(u32::try_from(group).unwrap())
            });
        }
        while readers.step(&hub) {}
        assert_eq!(pages.lock().unwrap().len(), PAGES_AT_ONCE);
        drop(pages.lock().unwrap().pop());
        assert!(readers.step(&hub) && !readers.step(&hub), "one page is sent, and one is read");
    }

    #[test]
    fn a_stream_of_one_address_does_not_wait_for_a_thousand_of_another() {
        let mut jobs = Jobs::default();
        (0..1_000).for_each(|_| jobs.push(job(1)));
        jobs.push(job(2));
        jobs.push(job(3));
        let order: Vec<_> =
            std::iter::from_fn(|| jobs.pop()).map(|job| job.address_group.0).collect();
        assert_eq!(&order[..4], [1, 2, 3, 1]);
        assert_eq!(order.len(), 1_002);
        assert!(jobs.queues.is_empty() && jobs.turns.is_empty(), "an address is left behind");
    }
}
