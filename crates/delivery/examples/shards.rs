//! What a publish costs whoever publishes, and what it costs in all, with one shard and with 64: an event
//! that concerns one subscriber, and one that concerns subscribers of every shard.
//!
//! ```sh
//! cargo run --release -p fanfare-delivery --example shards
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

const SHARDS: [usize; 2] = [1, 64];
const SUBSCRIBERS: usize = 640;
const PUBLISHES: usize = 500;
const ROUNDS: usize = 7;
/// Long enough for every shard to fall asleep.
const PAUSE: Duration = Duration::from_millis(1);

/// Everyone has a topic of its own, and listens to one that is everybody's.
const EVERYBODY: &str = "everybody";

struct ShardsBench {
    hub: Arc<Hub>,
    delivery: Delivery,
    readers: Vec<BodyReader>,
}

/// What one publish took.
#[derive(Default)]
struct PublishCost {
    publisher: Vec<f64>,
    all: Vec<f64>,
}

impl ShardsBench {
    fn new(shards: usize) -> Self {
        let retention = Retention { count: 10_000, bytes: 1 << 30, age: Duration::from_secs(3600) };
        let bounds = WindowBounds { count: 1_024, bytes: 1 << 30 };
        let window = Arc::new(Window::new(bounds, retention));
        let memory = MemorySettings { retention, key_window: Duration::ZERO, key_capacity: 0 };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Arc::new(Hub::new(window, log));
        let settings = DeliverySettings {
            shards,
            heartbeat: Duration::from_secs(3600),
            longest_heartbeat: Duration::from_secs(3600),
            write_timeout: Duration::from_secs(3600),
            min_rate: 0,
            max_age: None,
            retry: Retry(Duration::from_secs(3)),
            seats: Seats::new(SUBSCRIBERS),
            limits: StepLimits::default(),
        };
        let delivery = Delivery::start(&hub, &settings).unwrap();
        let mut rig = Self { hub, delivery, readers: Vec::new() };
        for n in 0..SUBSCRIBERS {
            rig.subscribe(&format!("topic/{n}"));
        }
        while rig.delivery.totals().writes < SUBSCRIBERS as u64 {
            sleep(PAUSE);
        }
        rig.take_all();
        rig
    }

    fn subscribe(&mut self, topic: &str) {
        let (writer, reader) = body();
        self.readers.push(reader);
        let selector = Selector::parse([topic, EVERYBODY], []).unwrap();
        self.delivery.join(NewSubscriber {
            sink: Sink::Body(writer),
            wire: Wire::native(Envelope::None, Framing::Bare),
            head: Bytes::new(),
            cadence: None,
            interest: Arc::new(Interest::new(selector, PrivateRights::None)),
            start: self.hub.resolve(&Requested::Live).into_start(),
            has_id: false,
            address: [127, 0, 0, 1].into(),
            seat: self.delivery.seat().unwrap(),
            lease: None,
        });
    }

    fn publish(&self, topic: &str) {
        let draft = Draft {
            topic: Topic::parse(topic).unwrap(),
            event_type: None,
            message: "x".repeat(100).into(),
            extras: None,
        };
        let mut appending = self.hub.publish(Batch { drafts: vec![draft], key: None });
        let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_))));
    }

    fn take_all(&self) {
        let mut context = Context::from_waker(Waker::noop());
        for reader in &self.readers {
            while let Poll::Ready(Some(_)) = reader.poll_next(&mut context, Instant::now()) {}
        }
    }

    /// Publishes events that each concern so many, and waits until they are delivered.
    fn measure(&self, topic: impl Fn(usize) -> String, concerns: usize, cost: &mut PublishCost) {
        let before = self.delivery.totals().deliveries;
        let all = ran("/proc/self/task");
        let mut publisher = Duration::ZERO;
        for n in 0..PUBLISHES {
            let topic = topic(n);
            let own = own();
            self.publish(&topic);
            publisher += self::own() - own;
            sleep(PAUSE);
            if n % 16 == 0 {
                self.take_all();
            }
        }
        let owed = before + (PUBLISHES * concerns) as u64;
        while self.delivery.totals().deliveries < owed {
            self.take_all();
            sleep(PAUSE);
        }
        let all = ran("/proc/self/task") - all;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / PUBLISHES as f64;
        cost.publisher.push(each(publisher));
        cost.all.push(each(all));
    }
}

/// How long the calling thread has run.
fn own() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// How long the shards have run.
fn ran(tasks: &str) -> Duration {
    let ran = fs::read_dir(tasks).unwrap().filter_map(|task| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let ran = fs::read_to_string(path.join("schedstat")).ok()?;
        name.starts_with("shard-").then(|| ran.split(' ').next()?.parse::<u64>().ok())?
    });
    Duration::from_nanos(ran.sum())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    for (what, concerns) in [("one subscriber", 1), ("some on every shard", SUBSCRIBERS)] {
        let mut costs = [PublishCost::default(), PublishCost::default()];
        for _ in 0..ROUNDS {
            for (shards, cost) in SHARDS.iter().zip(&mut costs) {
                let rig = ShardsBench::new(*shards);
                let topic = |n: usize| match concerns {
                    1 => format!("topic/{}", n % SUBSCRIBERS),
                    _ => EVERYBODY.to_owned(),
                };
                rig.measure(topic, concerns, cost);
                rig.delivery.drain(Duration::ZERO);
            }
        }
        for (shards, cost) in SHARDS.iter().zip(&mut costs) {
            println!(
                "an event for {what}, {shards} shards: the publisher runs {:.1} µs ({:.1} to {:.1}), \
                 the shards {:.0} µs",
                median(&mut cost.publisher),
                cost.publisher[0],
                cost.publisher[ROUNDS - 1],
                median(&mut cost.all)
            );
        }
    }
}
