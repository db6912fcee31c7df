//! What the tests of the log on disk share.
// Each test file, and the fuzz target, uses another part of this.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

pub mod recovery;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use fanfare_disk::{DiskLog, DiskOptions};
use fanfare_event::{Draft, Event, Position, Selector, Topic};
use fanfare_log::{
    AppendError, Appended, Batch, EventLog, IdempotencyKey, Lineage, PageLimit, ReadFrom,
    Retention, Tail,
};
use fanfare_testkit::SimulatedDisk;

/// Writes down what it hears.
#[derive(Default)]
pub struct Recorder {
    pub heard: Mutex<TailRecord>,
}

#[derive(Default)]
pub struct TailRecord {
    pub lineage: Option<Lineage>,
    pub events: Vec<Arc<Event>>,
    pub trimmed: Option<Position>,
    pub last: Option<Position>,
}

impl Recorder {
    pub fn last(&self) -> Position {
        self.heard.lock().unwrap().last.expect("the log has begun")
    }

    pub fn trimmed(&self) -> Position {
        self.heard.lock().unwrap().trimmed.unwrap_or(Position::ORIGIN)
    }

    pub fn lineage(&self) -> Lineage {
        self.heard.lock().unwrap().lineage.clone().expect("the log has begun")
    }
}

impl Tail for Recorder {
    fn begin(&self, lineage: &Lineage, at: Position) {
        let mut heard = self.heard.lock().unwrap();
        heard.lineage = Some(lineage.clone());
        heard.last = Some(at);
    }

    fn append(&self, events: &[Arc<Event>]) {
        let mut heard = self.heard.lock().unwrap();
        for event in events {
            assert_eq!(Some(event.position), heard.last.map(Position::next), "dense");
            heard.last = Some(event.position);
            heard.events.push(event.clone());
        }
    }

    fn trim(&self, through: Position) {
        let mut heard = self.heard.lock().unwrap();
        assert!(heard.trimmed < Some(through), "trims go forward");
        heard.trimmed = Some(through);
    }

    fn wake(&self) {}
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub fn options() -> DiskOptions {
    let age = Duration::from_secs(3600);
    DiskOptions::new(Retention { count: u64::MAX, bytes: u64::MAX, age })
}

/// Segments of 4 KiB, of which few are kept, and the indices of one or two of them in memory.
pub fn small() -> DiskOptions {
    let mut options = options();
    options.segment_bytes = 4096;
    options.index_bytes = 1024;
    options.retention.bytes = 20_000;
    options
}

pub fn batch(topic: &str, messages: impl IntoIterator<Item = impl Into<Box<str>>>) -> Batch {
    let topic = Topic::parse(topic).unwrap();
    let draft =
        |message: Box<str>| Draft { topic: topic.clone(), event_type: None, message, extras: None };
    Batch { drafts: messages.into_iter().map(|m| draft(m.into())).collect(), key: None }
}

pub fn keyed(key: &str, batch: Batch) -> Batch {
    Batch { key: Some(IdempotencyKey::parse(key).unwrap()), ..batch }
}

pub fn append(log: &DiskLog, batch: Batch) -> Result<Appended, AppendError> {
    block_on(log.append(batch))
}

/// Everything read page by page: events, and between them what was reported missing.
#[derive(Debug, Default)]
pub struct Replay {
    pub events: Vec<Arc<Event>>,
    /// From where to where something is missing.
    pub gaps: Vec<(Position, Position)>,
}

impl Replay {
    pub fn messages(&self) -> Vec<&str> {
        self.events.iter().map(|event| &*event.message).collect()
    }

    pub fn positions(&self) -> Vec<Position> {
        self.events.iter().map(|event| event.position).collect()
    }

    pub fn covers(&self, position: Position) -> bool {
        self.gaps.iter().any(|&(from, to)| from < position && position <= to)
    }
}

pub fn replay(
    log: &DiskLog,
    from: ReadFrom,
    until: Position,
    topics: &[&str],
    events: usize,
) -> Replay {
    let selector = Selector::parse(topics.iter().copied(), []).unwrap();
    let limit = PageLimit { events, bytes: 1 << 20 };
    let (mut at, mut replay) = (from, Replay::default());
    let mut reached = match from {
        ReadFrom::Earliest => Position::ORIGIN,
        ReadFrom::After(position) => position,
    };
    while reached < until {
        let page = log.read(at, until, &selector, limit).unwrap();
        assert!(page.events.len() <= events);
        let mut last = reached;
        if let Some(trimmed) = page.trimmed {
            assert!(trimmed > reached, "{trimmed} is no place behind {reached}");
            replay.gaps.push((reached, trimmed));
            last = trimmed;
        }
        for event in &page.events {
            assert!(event.position > last, "{} after {last}", event.position);
            last = event.position;
        }
        assert!(page.next >= last && page.next > reached, "no progress beyond {reached}");
        reached = page.next;
        at = ReadFrom::After(reached);
        replay.events.extend(page.events);
    }
    replay
}

pub fn earliest(log: &DiskLog, tail: &Recorder) -> Replay {
    replay(log, ReadFrom::Earliest, tail.last(), &["**"], 7)
}

pub fn after(log: &DiskLog, tail: &Recorder, position: Position, topics: &[&str]) -> Replay {
    replay(log, ReadFrom::After(position), tail.last(), topics, 7)
}

/// Opens the log on a simulated disk.
pub fn open(disk: &SimulatedDisk, options: DiskOptions) -> (DiskLog, Arc<Recorder>) {
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open_on(Arc::new(disk.clone()), options, tail.clone()).unwrap();
    (log, tail)
}
