//! Measures the log on disk: appends against a bare loop of write and `fdatasync`, opening a
//! million events, reading one topic of ten thousand.
//!
//! ```text
//! cargo run --release -p fanfare-disk --example append_bench -- DIR
//! ```
//!
//! `DIR` should be on the kind of disk the hub will use. It is created, filled with some 600 MB
//! and removed. What is compared runs in turns, so that a disk that changes its pace changes both.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, verify};
use fanfare_event::{Draft, Event, Position, Selector, Topic};
use fanfare_log::{
    Appended, Appending, Batch, EventLog, Lineage, PageLimit, ReadFrom, Retention, Tail,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MESSAGE: usize = 200;
const BATCH: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const TOPICS: usize = 10_000;
const EVENTS: usize = 1_000_000;

fn main() -> Result<()> {
    let base = PathBuf::from(std::env::args().nth(1).ok_or("name a directory to measure in")?);
    fs::create_dir(&base).map_err(|error| format!("{}: {error}", base.display()))?;
    let outcome = appends(&base).and_then(|()| reads(&base));
    fs::remove_dir_all(&base)?;
    outcome
}

/// Batches of 64 with sync: the log, with one batch under way and with several; and the bare loop.
fn appends(base: &Path) -> Result<()> {
    let log = DiskLog::open(&base.join("appends"), options(), Arc::new(AppendBenchTail))?;
    let mut bare_file = File::create(base.join("bare"))?;
    let (mut bare, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(write_and_sync(&mut bare_file)?);
        one.push(append(&log, 1)?);
        many.push(append(&log, 16)?);
    }
    let (bare, one, many) = (median(bare), median(one), median(many));
    println!("appends of {MESSAGE}-byte messages in batches of {BATCH}, each synced, events/s:");
    println!("  bare write and fdatasync      {bare:>10.0}");
    println!("  log, 1 batch under way        {one:>10.0}   {:.2} of bare", one / bare);
    println!("  log, 16 batches under way     {many:>10.0}   {:.2} of bare", many / bare);
    Ok(())
}

fn write_and_sync(file: &mut File) -> Result<f64> {
    let bytes = vec![b'x'; MESSAGE * BATCH];
    let (start, mut written) = (Instant::now(), 0);
    while start.elapsed() < ROUND {
        file.write_all(&bytes)?;
        file.sync_data()?;
        written += BATCH;
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

fn append(log: &DiskLog, under_way: usize) -> Result<f64> {
    let (start, mut appended) = (Instant::now(), 0);
    let mut waiting = std::collections::VecDeque::new();
    while start.elapsed() < ROUND {
        while waiting.len() < under_way {
            waiting.push_back(log.append(batch(appended)));
        }
        if let Some(first) = waiting.pop_front() {
            appended += block_on(first)?.count;
        }
    }
    for rest in waiting {
        appended += block_on(rest)?.count;
    }
    Ok(appended as f64 / start.elapsed().as_secs_f64())
}

/// A million events in ten thousand topics: opening, and reading one topic.
fn reads(base: &Path) -> Result<()> {
    let path = base.join("reads");
    let log = DiskLog::open(&path, options(), Arc::new(AppendBenchTail))?;
    let (sender, receiver) = mpsc::sync_channel::<Appending>(64);
    let waiter = std::thread::spawn(move || {
        receiver.into_iter().all(|appending| block_on(appending).is_ok())
    });
    for at in (0..EVENTS).step_by(BATCH) {
        sender.send(log.append(batch(at)))?;
    }
    drop(sender);
    if !waiter.join().map_err(|_| "the waiting thread panicked")? {
        return Err("a batch was refused".into());
    }
    drop(log);
    let start = Instant::now();
    let log = DiskLog::open(&path, options(), Arc::new(AppendBenchTail))?;
    println!("opening {EVENTS} events            {:>10.1?}", start.elapsed());
    let limit = PageLimit { events: 100, bytes: 1 << 20 };
    let mut times = Vec::new();
    for n in 0..1000 {
        let topic = format!("topic/{}", n * 7919 % TOPICS);
        let selector = Selector::parse([topic.as_str()], [])?;
        let start = Instant::now();
        let (mut from, mut found) = (ReadFrom::Earliest, 0);
        while found < 100 {
            let page = log.read(from, Position::new(u64::MAX, 0), &selector, limit)?;
            found += page.events.len();
            if page.events.is_empty() {
                break;
            }
            from = ReadFrom::After(page.next);
        }
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if found < 99 {
            return Err(format!("{topic} has {found} events").into());
        }
    }
    times.sort_by(f64::total_cmp);
    println!("reading 100 events of 1 topic in {TOPICS}, {} pages read:", times.len());
    println!("  median {:.0} µs, 99th of 100 {:.0} µs", times[500], times[990]);
    drop(log);
    let start = Instant::now();
    let report = verify(&path)?;
    let (events, bytes) = (report.events(), report.bytes() >> 20);
    println!("verifying {events} events, {bytes} MiB   {:>10.1?}", start.elapsed());
    for index in fs::read_dir(&path)? {
        let index = index?.path();
        if index.extension().is_some_and(|ending| ending == "idx") {
            fs::remove_file(index)?;
        }
    }
    let start = Instant::now();
    drop(DiskLog::open(&path, options(), Arc::new(AppendBenchTail))?);
    println!("opening them without any index  {:>10.1?}", start.elapsed());
    Ok(())
}

fn options() -> DiskOptions {
    let age = Duration::from_secs(86_400);
    DiskOptions::new(Retention { count: u64::MAX, bytes: u64::MAX, age })
}

fn batch(at: usize) -> Batch {
    let draft = |n: usize| Draft {
        topic: Topic::parse(&format!("topic/{}", n % TOPICS)).unwrap_or_default(),
        event_type: None,
        message: "x".repeat(MESSAGE).into(),
        extras: None,
    };
    Batch { drafts: (at..at + BATCH).map(draft).collect(), key: None }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct AppendBenchTail;

impl Tail for AppendBenchTail {
    fn begin(&self, _: &Lineage, _: Position) {}
    fn append(&self, _: &[Arc<Event>]) {}
    fn trim(&self, _: Position) {}
    fn wake(&self) {}
}

struct UnparkAppend(Thread);

impl Wake for UnparkAppend {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(mut appending: Appending) -> std::result::Result<Appended, fanfare_log::AppendError> {
    let mut appending = pin!(appending.as_mut());
    let waker = Waker::from(Arc::new(UnparkAppend(std::thread::current())));
    loop {
        match appending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}
