//! What a backlog costs a shard: a batch over many topics with one subscriber each, as a shard finds
//! it that has stood still; how soon a shard that stood still under load has caught up; and a window
//! that has overrun its shard, where almost nobody missed anything.
//!
//! ```sh
//! cargo run --release -p fanfare-delivery --example backlog
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "an example may panic")]

use std::fs;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_delivery::{
    BodyReader, Delivery, DeliverySettings, Framing, NewSubscriber, Retry, Seats, Sink, StepLimits,
    Wire, body,
};
use fanfare_event::{Draft, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings};

const TOPICS: usize = 50_000;
const TEST_TIMEOUT: Duration = Duration::from_secs(300);

struct BacklogBench {
    hub: Arc<Hub>,
    delivery: Delivery,
    readers: Vec<BodyReader>,
}

impl BacklogBench {
    fn new(window: usize) -> Self {
        let retention =
            Retention { count: 10_000_000, bytes: 1 << 34, age: Duration::from_secs(3600) };
        let bounds = WindowBounds { count: window, bytes: 1 << 34 };
        let window = Arc::new(Window::new(bounds, retention));
        let memory = MemorySettings { retention, key_window: Duration::ZERO, key_capacity: 0 };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Arc::new(Hub::new(window, log));
        let settings = DeliverySettings {
            shards: 1,
            heartbeat: Duration::from_secs(3600),
            longest_heartbeat: Duration::from_secs(3600),
            write_timeout: Duration::from_secs(3600),
            min_rate: 0,
            max_age: None,
            retry: Retry(Duration::from_secs(3)),
            seats: Seats::new(TOPICS),
            limits: StepLimits::default(),
        };
        let delivery = Delivery::start(&hub, &settings).unwrap();
        let mut rig = Self { hub, delivery, readers: Vec::new() };
        for n in 0..TOPICS {
            rig.subscribe(&format!("topic/{n}"));
        }
        while rig.delivery.totals().writes < TOPICS as u64 {
            sleep(Duration::from_millis(1));
        }
        rig.settle(0);
        rig
    }

    fn subscribe(&mut self, topic: &str) {
        let (writer, reader) = body();
        self.readers.push(reader);
        self.delivery.join(NewSubscriber {
            sink: Sink::Body(writer),
            wire: Wire::native(Envelope::None, Framing::Bare),
            head: Bytes::new(),
            cadence: None,
            interest: Arc::new(Interest::new(
                Selector::parse([topic], []).unwrap(),
                PrivateRights::None,
            )),
            start: self.hub.resolve(&Requested::Live).into_start(),
            has_id: false,
            address: [127, 0, 0, 1].into(),
            seat: self.delivery.seat().unwrap(),
            lease: None,
        });
    }

    fn publish(&self, topics: impl Iterator<Item = usize>) {
        let draft = |n| Draft {
            topic: Topic::parse(&format!("topic/{n}")).unwrap(),
            event_type: None,
            message: "x".repeat(100).into(),
            extras: None,
        };
        let batch = Batch { drafts: topics.map(draft).collect(), key: None };
        let mut appending = self.hub.publish(batch);
        let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_))));
    }

    /// Waits until so much has been delivered, and takes it.
    fn settle(&self, deliveries: u64) {
        let begin = Instant::now();
        while self.delivery.totals().deliveries < deliveries {
            assert!(begin.elapsed() < TEST_TIMEOUT, "{:?}", self.delivery.totals());
            sleep(Duration::from_millis(1));
        }
        let mut context = Context::from_waker(Waker::noop());
        for reader in &self.readers {
            while let Poll::Ready(Some(_)) = reader.poll_next(&mut context, Instant::now()) {}
        }
    }

    fn measure(&self, what: &str, topics: impl ExactSizeIterator<Item = usize>) {
        let (before, ran) = (self.delivery.totals(), cpu());
        let deliveries = topics.len() as u64;
        self.publish(topics);
        self.settle(before.deliveries + deliveries);
        // Whoever has missed nothing may read all the same, a little later.
        sleep(Duration::from_secs(1));
        let pages = self.delivery.totals().pages - before.pages;
        let ran = (cpu() - ran).as_secs_f64() * 1e3;
        println!("{what}: {pages} pages read from the log, shard and readers ran {ran:.0} ms");
    }
}

/// A shard that events keep coming for stands still for a while: how long until it has delivered all
/// that has come by then.
fn stall(rig: &BacklogBench, a_second: usize, stall: Duration) {
    const TICK: Duration = Duration::from_millis(10);
    let batch = a_second / 100;
    let delivered = rig.delivery.totals().deliveries;
    let (mut published, mut next) = (0, 0);
    let mut publish = |published: &mut u64| {
        rig.publish((next..next + batch).map(|n| n % TOPICS));
        next += batch;
        *published += batch as u64;
    };
    let begin = Instant::now();
    let mut stalled = None;
    let mut worst = 0;
    for tick in 1.. {
        publish(&mut published);
        if tick == 100 {
            // What is counted is told on the shard's own thread.
            rig.delivery.count(&[].into(), move |_| sleep(stall));
            stalled = Some(Instant::now());
        }
        sleep((TICK * tick).saturating_sub(begin.elapsed()));
        let behind = published - (rig.delivery.totals().deliveries - delivered);
        if let Some(stalled) = stalled.filter(|at| at.elapsed() > stall) {
            worst = worst.max(behind);
            if behind <= 2 * batch as u64 {
                let took = (stalled.elapsed() - stall).as_millis();
                let rate = published as f64 / begin.elapsed().as_secs_f64();
                println!(
                    "{rate:.0} events a second for as many of {TOPICS}, a stall of {stall:?}: \
                     {worst} behind, caught up after {took} ms"
                );
                return;
            }
            assert!(stalled.elapsed() < TEST_TIMEOUT, "{behind} behind");
        }
    }
}

/// How long the shard and the readers have run.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let ran = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let ours = name.starts_with("shard-") || name.starts_with("reader-");
        let ran = fs::read_to_string(path.join("schedstat")).ok()?;
        ours.then(|| ran.split(' ').next()?.parse::<u64>().ok())?
    });
    Duration::from_nanos(ran.sum())
}

fn main() {
    let rig = BacklogBench::new(1 << 20);
    for batch in [1_000, 2_500, 10_000, 50_000] {
        let topics = (0..batch).map(|n| n * (TOPICS / batch));
        rig.measure(&format!("{batch} events for as many of {TOPICS}, at once"), topics);
    }
    for _ in 0..5 {
        stall(&rig, 50_000, Duration::from_millis(200));
    }
    drop(rig);
    let rig = BacklogBench::new(4_096);
    let topics = (0..20_000).map(|_| 7);
    rig.measure("20000 events of one topic, past a window of 4096", topics);
}
