//! What a publish costs where topics are described by URL Patterns and URI Templates of Mercure's protocol, beside
//! native patterns: 10,000 subscribers to a topic each and 1,000 to a pattern each, on one shard, without sockets. Each
//! event concerns two of them.
//!
//! ```sh
//! cargo run --release -p fanfare-delivery --example expressions
//! ```
//!
//! Costs are CPU time, medians of rounds that take turns. It fails if a publish costs more than 1.5 times what it costs
//! with native patterns, or if an event does not reach whom it concerns.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "an example may panic")]

use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fanfare_delivery::{
    DeliverySettings, Framing, NewSubscriber, Now, Retry, Seats, SimulatedSocket, Sink, StepLimits,
    SteppedDelivery, Wire,
};
use fanfare_event::{Beginning, Draft, Expression, Pattern, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings};
use fanfare_mercure::{Matcher, MatcherType, MercureUrl};

const TOPICS: usize = 10_000;
const PATTERNS: usize = 1_000;
const EVENTS: usize = 2_000;
const ROUNDS: usize = 15;
/// How many times the native cost is allowed.
const TARGET: f64 = 1.5;

/// How the patterns are written.
#[derive(Clone, Copy, PartialEq)]
enum PatternSyntax {
    Wildcards,
    UrlPatterns,
    Templates,
    /// As URL Patterns of which no index knows how their topics begin.
    Unindexed,
}

/// Which topics there are.
#[derive(Clone, Copy)]
enum Shape {
    /// One host, and a path for each pattern.
    Paths,
    /// A host for each pattern.
    Hosts,
}

impl Shape {
    /// What the topics of one pattern begin with.
    fn beginning(self, n: usize) -> String {
        match self {
            Self::Paths => format!("https://example.com/tenants/{n}/"),
            Self::Hosts => format!("https://tenant-{n}.example.com/orders/"),
        }
    }
}

fn main() -> ExitCode {
    let mut kept = true;
    for (shape, name) in [(Shape::Paths, "one host"), (Shape::Hosts, "a host for each pattern")] {
        let all = [
            (PatternSyntax::Wildcards, "native patterns"),
            (PatternSyntax::UrlPatterns, "URL Patterns"),
            (PatternSyntax::Templates, "URI Templates"),
            (PatternSyntax::Unindexed, "URL Patterns without an index"),
        ];
        let mut sites =
            all.map(|(written, name)| (ExpressionsBench::new(shape, written), name, Vec::new()));
        for _ in 0..ROUNDS {
            for (site, _, costs) in &mut sites {
                costs.push(site.publish());
            }
        }
        let medians = sites.map(|(site, name, mut costs)| {
            costs.sort_unstable();
            (site.written, name, costs[ROUNDS / 2])
        });
        let native = medians[0].2;
        println!("{name}:");
        for (written, name, cost) in medians {
            let ratio = cost.as_secs_f64() / native.as_secs_f64();
            println!("  {name}: {cost:.2?} a publish, {ratio:.2} of native");
            kept &= written == PatternSyntax::Unindexed || ratio <= TARGET;
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A hub in one thread, with its subscribers.
struct ExpressionsBench {
    written: PatternSyntax,
    shape: Shape,
    hub: Arc<Hub>,
    delivery: SteppedDelivery,
    sockets: Vec<SimulatedSocket>,
    now: Now,
}

impl ExpressionsBench {
    fn new(shape: Shape, written: PatternSyntax) -> Self {
        let retention = Retention { count: 20_000, bytes: 1 << 30, age: Duration::from_secs(3600) };
        let bounds = WindowBounds { count: 10_000, bytes: 1 << 30 };
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
            seats: Seats::new(TOPICS + PATTERNS),
            limits: StepLimits::default(),
        };
        let now = Now::read();
        let delivery = SteppedDelivery::new(&hub, &settings, now).unwrap();
        let mut site = Self { written, shape, hub, delivery, sockets: Vec::new(), now };
        let url = MercureUrl::parse("https://hub.example.com/.well-known/mercure").unwrap();
        let url = Arc::new(url);
        for n in 0..PATTERNS {
            let pattern = pattern(&shape.beginning(n), written, &url);
            site.subscribe(Selector::of(Vec::new(), vec![pattern]).unwrap());
        }
        for n in 0..TOPICS {
            site.subscribe(Selector::of(vec![topic(shape, n)], Vec::new()).unwrap());
        }
        site.turn();
        site.collect();
        site
    }

    fn subscribe(&mut self, selector: Selector) {
        let socket = SimulatedSocket::default();
        socket.make_room(usize::MAX);
        let delivery = self.delivery.delivery();
        delivery.join(NewSubscriber {
            sink: Sink::Simulated(socket.clone()),
            wire: Wire::native(Envelope::None, Framing::Bare),
            head: Bytes::new(),
            cadence: None,
            interest: Arc::new(Interest::new(selector, PrivateRights::None)),
            start: self.hub.resolve(&Requested::Live).into_start(),
            has_id: false,
            address: [192, 0, 2, 1].into(),
            seat: delivery.seat().unwrap(),
            lease: None,
        });
        self.sockets.push(socket);
    }

    /// What one publish costs, up to its last delivery.
    fn publish(&mut self) -> Duration {
        let topics: Vec<_> = (0..EVENTS).map(|n| topic(self.shape, n * 7 % TOPICS)).collect();
        let began = ran();
        for topic in topics {
            let extras = None;
            let draft = Draft { topic, event_type: None, message: "x".repeat(100).into(), extras };
            let mut appending = self.hub.publish(Batch { drafts: vec![draft], key: None });
            let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Ready(Ok(_))));
            self.delivery.turn(0, self.now, []);
        }
        let cost = (ran() - began) / EVENTS as u32;
        assert_eq!(self.collect(), 2 * EVENTS, "each event concerns two");
        cost
    }

    fn turn(&mut self) {
        for _ in 0..(TOPICS + PATTERNS).div_ceil(StepLimits::default().joins) + 1 {
            self.delivery.turn(0, self.now, []);
        }
    }

    /// How many events have arrived since this was last asked.
    fn collect(&self) -> usize {
        let taken = self.sockets.iter().map(SimulatedSocket::taken);
        taken.map(|bytes| bytes.windows(6).filter(|at| at == b"data: ").count()).sum()
    }
}

/// How long this thread has run.
fn ran() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

fn topic(shape: Shape, n: usize) -> Topic {
    Topic::parse(&format!("{}{n}", shape.beginning(n % PATTERNS))).unwrap()
}

fn pattern(beginning: &str, written: PatternSyntax, hub: &Arc<MercureUrl>) -> Pattern {
    let matcher = |kind, end| Matcher::parse(kind, &format!("{beginning}{end}"), hub).unwrap();
    match written {
        PatternSyntax::Wildcards => Pattern::given(&format!("{beginning}*")).unwrap(),
        PatternSyntax::UrlPatterns => matcher(MatcherType::UrlPattern, ":order").into_pattern(),
        PatternSyntax::Templates => matcher(MatcherType::Older, "{order}").into_pattern(),
        PatternSyntax::Unindexed => {
            let pattern = matcher(MatcherType::UrlPattern, ":order").into_pattern();
            Pattern::of_expression(Arc::new(Unindexed(pattern)))
        }
    }
}

/// One whose beginning is not known.
#[derive(Debug)]
struct Unindexed(Pattern);

impl Expression for Unindexed {
    fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn matches(&self, topic: &Topic) -> bool {
        self.0.matches(topic)
    }

    fn beginning(&self) -> Beginning<'_> {
        Beginning::unknown()
    }

    fn footprint(&self) -> usize {
        0
    }
}
