//! Readers: the threads that read from the log what the window no longer holds.
//!
//! What must hold: a bounded number of pages exists at once, however many subscribers catch up;
//! each is read for one subscriber and dropped as soon as its shard has tried to send it. Addresses
//! take turns, and so do the streams of one: whoever opens a thousand waits for its own.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use fanfare_hub::{Catchup, Envelope, Hub, Interest};
use fanfare_log::{PageLimit, ReadError, ReadFrom};

use crate::delivery::vital;

/// How many threads read.
const THREADS: usize = 2;
/// How many pages may be read and not yet sent.
const PAGES_AT_ONCE: usize = 16;
/// How much a page holds; little in tests, so that one is not all there is.
pub(crate) const PAGE: PageLimit = if cfg!(test) {
    PageLimit { events: 5, bytes: 4096 }
} else {
    PageLimit { events: 512, bytes: 256 * 1024 }
};

/// The reader threads, and what they are to do.
pub(crate) struct Readers(Arc<Shared>);

/// Read on for one subscriber.
pub(crate) struct Job {
    pub(crate) source: Source,
    /// Gone as soon as its subscriber has left.
    pub(crate) awaited: Weak<()>,
    pub(crate) from: ReadFrom,
    pub(crate) interest: Arc<Interest>,
    pub(crate) envelope: Envelope,
    pub(crate) limit: PageLimit,
    pub(crate) done: Box<dyn FnOnce(Result<Page, ReadError>) + Send>,
}

/// With whom a subscriber shares its turns: an address, by its hash. Two that are taken for one
/// wait for each other and notice nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(u32);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(HASHER.hash_one(address) as u32)
    }
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
    jobs: Jobs,
    permits: usize,
    closed: bool,
}

/// At most one for each subscriber, and those of some who have left.
#[derive(Default)]
struct Jobs {
    /// Whoever has some; never an empty queue.
    queues: HashMap<Source, VecDeque<Job>>,
    /// Each of them once: whose turn comes when.
    turns: VecDeque<Source>,
}

impl Jobs {
    fn push(&mut self, job: Job) {
        let source = job.source;
        let queue = self.queues.entry(source).or_default();
        if queue.is_empty() {
            self.turns.push_back(source);
        }
        queue.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        let source = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&source)?;
        let job = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        job
    }
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
        let state = State { jobs: Jobs::default(), permits: PAGES_AT_ONCE, closed: false };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }))
    }

    pub(crate) fn submit(&self, job: Job) {
        self.0.lock().jobs.push(job);
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
                && let Some(job) = state.jobs.pop()
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
    if job.awaited.strong_count() == 0 {
        // The subscriber has left in the meantime.
        return;
    }
    let read = hub.catch_up(job.from, &job.interest, job.envelope, job.limit);
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
        if self.0.lock().jobs.turns.is_empty() {
            return false;
        }
        let next = self.0.next();
        next.is_some_and(|(job, permit)| {
            read(hub, job, permit);
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::Selector;
    use fanfare_hub::{Window, WindowBounds};
    use fanfare_log::{Retention, Tail};
    use fanfare_testkit::FickleLog;

    use super::*;

    fn job(source: u32) -> Job {
        Job {
            source: Source(source),
            awaited: Weak::new(),
            from: ReadFrom::Earliest,
            interest: Arc::new(Interest::new(Selector::default())),
            envelope: Envelope::None,
            limit: PAGE,
            done: Box::new(|_| ()),
        }
    }

    #[test]
    fn the_log_is_read_for_one_who_has_left() {
        let retention =
            Retention { count: 10, bytes: 1 << 20, age: std::time::Duration::from_secs(60) };
        let window = Arc::new(Window::new(WindowBounds { count: 10, bytes: 1 << 20 }, retention));
        let log = FickleLog::open(10, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Hub::new(window, log);
        let readers = Readers::by_hand();
        let (reading, answered) = (Arc::new(()), Arc::new(Mutex::new(0)));
        let ask = |reading: &Arc<()>| {
            let answered = Arc::clone(&answered);
            // The interest in the default topic alone is one that all share.
            readers.submit(Job {
                awaited: Arc::downgrade(reading),
                done: Box::new(move |_| *answered.lock().unwrap() += 1),
                ..job(1)
            });
        };
        ask(&reading);
        assert!(readers.read_one(&hub));
        ask(&reading);
        drop(reading);
        assert!(readers.read_one(&hub));
        assert_eq!(*answered.lock().unwrap(), 1);
    }

    #[test]
    fn a_thousand_streams_of_one_address_go_before_one_of_another() {
        let mut jobs = Jobs::default();
        (0..1_000).for_each(|_| jobs.push(job(1)));
        jobs.push(job(2));
        jobs.push(job(3));
        let order: Vec<_> = std::iter::from_fn(|| jobs.pop()).map(|job| job.source.0).collect();
        assert_eq!(&order[..4], [1, 2, 3, 1]);
        assert_eq!(order.len(), 1_002);
        assert!(jobs.queues.is_empty() && jobs.turns.is_empty(), "an address is left behind");
    }
}
