//! What a publish that waits for the disk takes while a log is trimmed, beside one that only grows: in turns, with the
//! same segments.
//!
//! ```sh
//! cargo run --release --workspace --example trim_bench -- DIR
//! ```
//!
//! `DIR` should be on the kind of disk the hub will use. It is created, filled with up to 4 GB and removed.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "an example may panic")]

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, SyncPolicy};
use fanfare_event::{Draft, Event, Position, Topic};
use fanfare_log::{Appending, Batch, EventLog, Lineage, Retention, Tail};

const MESSAGE: usize = 200;
const BATCH: usize = 64;
/// How many batches are under way at once.
const UNDER_WAY: usize = 16;
const TOPICS: usize = 10_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// A segment's size; eight of them are retained.
const SEGMENT: u64 = 16 << 20;

fn main() {
    let base = PathBuf::from(std::env::args().nth(1).expect("name a directory to measure in"));
    fs::create_dir(&base).unwrap();
    let mut logs = [("grows", u64::MAX), ("is trimmed", 8 * SEGMENT)]
        .map(|(name, bytes)| (name, TrimBench::new(&base.join(name), bytes), Vec::new()));
    for (_, site, _) in &mut logs {
        while site.log.size().unwrap().bytes < 8 * SEGMENT - SEGMENT / 2 {
            site.publish(Duration::from_millis(200));
        }
    }
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let round = logs.each_mut().map(|(_, site, all)| {
            let before = site.tail.0.load(Ordering::Relaxed);
            let mut took = site.publish(ROUND);
            all.extend_from_slice(&took);
            took.sort_unstable();
            (at(&took, 0.99), site.tail.0.load(Ordering::Relaxed) - before)
        });
        let [(grows, _), (trimmed, trims)] = round;
        let ratio = trimmed.as_secs_f64() / grows.as_secs_f64();
        println!("p99 {grows:.1?}, and {trimmed:.1?} with {trims} trims: {ratio:.2} times");
        pairs.push(ratio);
    }
    for (name, _, all) in &mut logs {
        all.sort_unstable();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| at(all, part));
        let (count, most) = (all.len(), all[all.len() - 1]);
        println!(
            "a log that {name}: {count} batches, p50 {p50:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}, longest {most:.1?}"
        );
    }
    pairs.sort_by(f64::total_cmp);
    println!("p99 while it is trimmed: {:.2} times (target: at most 2)", pairs[ROUNDS / 2]);
    drop(logs);
    fs::remove_dir_all(&base).unwrap();
}

fn at(sorted: &[Duration], part: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

struct TrimBench {
    log: DiskLog,
    tail: Arc<TrimCounter>,
    published: usize,
}

impl TrimBench {
    fn new(directory: &Path, bytes: u64) -> Self {
        let retention = Retention { count: u64::MAX, bytes, age: Duration::from_secs(86_400) };
        let options = DiskOptions {
            sync: SyncPolicy::Disk,
            segment_bytes: SEGMENT,
            ..DiskOptions::new(retention)
        };
        let tail = Arc::new(TrimCounter::default());
        let log = DiskLog::open(directory, options, Arc::clone(&tail) as Arc<dyn Tail>).unwrap();
        Self { log, tail, published: 0 }
    }

    /// How long each batch waits for its answer, for so long.
    fn publish(&mut self, time: Duration) -> Vec<Duration> {
        let (began, mut took) = (Instant::now(), Vec::new());
        let mut waiting = VecDeque::new();
        loop {
            let goes_on = began.elapsed() < time;
            while goes_on && waiting.len() < UNDER_WAY {
                let batch = batch(self.published);
                self.published += BATCH;
                waiting.push_back((Instant::now(), self.log.append(batch)));
            }
            let Some((since, appending)) = waiting.pop_front() else { return took };
            block_on(appending);
            took.push(since.elapsed());
        }
    }
}

fn batch(at: usize) -> Batch {
    let draft = |n: usize| Draft {
        topic: Topic::parse(&format!("topic/{}", n * 7919 % TOPICS)).unwrap(),
        event_type: None,
        message: "x".repeat(MESSAGE).into(),
        extras: None,
    };
    Batch { drafts: (at..at + BATCH).map(draft).collect(), key: None }
}

/// How often something was trimmed.
#[derive(Default)]
struct TrimCounter(AtomicU64);

impl Tail for TrimCounter {
    fn begin(&self, _: &Lineage, _: Position) {}
    fn append(&self, _: &[Arc<Event>]) {}
    fn trim(&self, _: Position) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn wake(&self) {}
}

struct UnparkTrim(Thread);

impl Wake for UnparkTrim {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(mut appending: Appending) {
    let mut appending = pin!(appending.as_mut());
    let waker = Waker::from(Arc::new(UnparkTrim(std::thread::current())));
    loop {
        match appending.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => {
                outcome.unwrap();
                return;
            }
            Poll::Pending => std::thread::park(),
        }
    }
}
