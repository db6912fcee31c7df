//! Makes a big log and measures what it costs to open it, to read pages all over it and to trim it, all but the
//! disk's own work seen from the page cache.
//!
//! ```text
//! cargo run --release -p fanfare-disk --example big_log -- DIR MEBIBYTES [BYTES]
//! ```
//!
//! `DIR` is created where it does not exist, and kept: a second run opens what the first has made. An event's message
//! has so many `BYTES`, 200 unless told; with 40, a GiB holds ten million events.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, SyncPolicy};
use fanfare_event::{Draft, Event, Position, Selector, Topic};
use fanfare_log::{Appending, Batch, EventLog, Lineage, PageLimit, ReadFrom, Retention, Tail};

const BATCH: usize = 1024;
const TOPICS: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "name a directory, and how many MiB it is to hold";
    let directory = arguments.next().ok_or(usage)?;
    let bytes = arguments.next().ok_or(usage)?.parse::<u64>()? << 20;
    let message = arguments.next().map_or(Ok(200), |bytes| bytes.parse::<usize>())?;
    let directory = Path::new(&directory);
    let log = open(directory, bytes)?;
    let started = Instant::now();
    let (mut events, mut longest) = (0, Duration::ZERO);
    while log.size().is_some_and(|size| size.bytes < bytes) {
        let began = Instant::now();
        block_on(log.append(batch(events, message)))?;
        longest = longest.max(began.elapsed());
        events += BATCH;
    }
    if events > 0 {
        println!("made {events} events in {:.1?}, longest batch {longest:.1?}", started.elapsed());
        drop(log);
        open(directory, bytes)?;
        return Ok(());
    }
    read_pages(&log)?;
    // As much again as a quarter: segments go from now on.
    longest = Duration::ZERO;
    for at in 0..bytes as usize / 4 / (message + 60) / BATCH {
        let began = Instant::now();
        block_on(log.append(batch(at * BATCH, message)))?;
        longest = longest.max(began.elapsed());
    }
    println!("while it is trimmed: longest batch {longest:.1?}, in {:.1?}", started.elapsed());
    Ok(())
}

fn open(directory: &Path, bytes: u64) -> Result<DiskLog, Box<dyn Error>> {
    let retention = Retention { count: u64::MAX, bytes, age: Duration::from_secs(86_400) };
    let options = DiskOptions { sync: SyncPolicy::Os, ..DiskOptions::new(retention) };
    let began = Instant::now();
    let log = DiskLog::open(directory, options, Arc::new(BigLogTail))?;
    let took = began.elapsed();
    let size = log.size().ok_or("it has a size")?;
    let (events, mebibytes, resident) = (size.events, size.bytes >> 20, resident());
    println!("opened {events} events, {mebibytes} MiB, in {took:.1?}; {resident} KiB resident");
    Ok(log)
}

/// Reads a page at each of so many places, twice: at first no index is in memory.
fn read_pages(log: &DiskLog) -> Result<(), Box<dyn Error>> {
    const PLACES: u64 = 8;
    let wanted = Selector::parse(["**"], [])?;
    let limit = PageLimit { events: 512, bytes: 256 << 10 };
    let until = Position::new(u64::MAX, 0);
    let page = |from| log.read(from, until, &wanted, limit);
    let first = page(ReadFrom::Earliest)?.events.first().ok_or("it holds something")?.position;
    let events = log.size().ok_or("it has a size")?.events;
    for turn in ["first", "second"] {
        let mut took = Vec::new();
        for place in 1..=PLACES {
            let began = Instant::now();
            let after = first.plus(events * place / (PLACES + 1));
            page(ReadFrom::After(after))?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let (median, most) = (took[PLACES as usize / 2], took[PLACES as usize - 1]);
        println!("pages all over it, {turn} turn: {median:.1?} in the middle, {most:.1?} at most");
    }
    println!("{} KiB resident", resident());
    Ok(())
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or("?".to_owned(), |line| line.trim().trim_end_matches(" kB").to_owned())
}

fn batch(at: usize, message: usize) -> Batch {
    let draft = |n: usize| Draft {
        topic: Topic::parse(&format!("topic/{}", n * 7919 % TOPICS)).unwrap_or_default(),
        event_type: None,
        message: "x".repeat(message).into(),
        extras: None,
    };
    Batch { drafts: (at..at + BATCH).map(draft).collect(), key: None }
}

struct BigLogTail;

impl Tail for BigLogTail {
    fn begin(&self, _: &Lineage, _: Position) {}
    fn append(&self, _: &[Arc<Event>]) {}
    fn trim(&self, _: Position) {}
    fn wake(&self) {}
}

struct UnparkBigLog(Thread);

impl Wake for UnparkBigLog {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(mut appending: Appending) -> Result<(), fanfare_log::AppendError> {
    let mut appending = pin!(appending.as_mut());
    let waker = Waker::from(Arc::new(UnparkBigLog(std::thread::current())));
    loop {
        match appending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome.map(drop),
            Poll::Pending => std::thread::park(),
        }
    }
}
