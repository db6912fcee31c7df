//! Two shards, step by step, against a model: whatever its sinks take and when, whatever the log trims,
//! loses or fails to read, what a subscriber receives is the log forward from its cursor: framing
//! intact, nothing twice, nothing missing without a gap before anything later.
//!
//! Invariants: *one sequence*, *no silent loss*, *once*, *clean close*.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::{Draft, EventType, Position, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, ReadFrom, Retention, Tail};
use fanfare_sse::{Parsed, ParsedEvent, Parser};
use fanfare_testkit::{FickleLog, Loss};
use mio::{Events, Token};
use proptest::prelude::*;

use super::Shard;
use crate::body::Signal;
use crate::counters::CloseReason;
use crate::delivery::{DeliverySettings, NewSubscriber};
use crate::inbox::{Command, ShardHandle};
use crate::lease::Lease;
use crate::readers::Readers;
use crate::retry::Retry;
use crate::script::Script;
use crate::seats::Seats;
use crate::sink::{Framing, Sink};
use crate::subscriber::Cursor;

const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c"];
/// Of each client: what it wants, of which types, and how its bytes travel. The last two patterns
/// of one concern some events twice.
type Wish = (&'static [&'static str], &'static [&'static str], Framing, Envelope);

const CLIENTS: [Wish; 5] = [
    (&["a"], &[], Framing::Chunked, Envelope::None),
    (&["b/1"], &["typed"], Framing::Bare, Envelope::None),
    (&["a", "b/*", "b/**"], &[], Framing::Chunked, Envelope::Json),
    (&["**"], &["message"], Framing::Chunked, Envelope::None),
    (&["a", "b/2"], &[], Framing::Bare, Envelope::None),
];
/// While one stands still, the other goes on; clients are spread over them.
const SHARDS: usize = 2;
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// So little that only who takes next to nothing is closed for it.
const MIN_RATE: u64 = 1;
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client's lease lasts, where it has one.
const LEASE: Duration = Duration::from_secs(100);

#[derive(Debug, Clone)]
enum Step {
    Publish {
        topic: usize,
        count: usize,
        typed: bool,
        size: usize,
    },
    /// A shard's loop turns once.
    Turn {
        shard: usize,
    },
    /// A client's sink takes so many bytes more.
    Room {
        client: usize,
        bytes: usize,
    },
    /// A reader does its next job.
    Read,
    /// Time passes.
    Pass {
        seconds: u64,
    },
    /// A client comes, again or for the first time, where it is not there.
    Come {
        client: usize,
        earliest: bool,
        leased: bool,
    },
    /// A client goes away, or its connection breaks.
    Go {
        client: usize,
        breaks: bool,
    },
    /// An operator ends a client's stream.
    Cut {
        client: usize,
    },
    /// The engine loses so many events, and begins a new epoch.
    Lose {
        events: u64,
    },
    /// The engine can be read, or cannot.
    Readable {
        readable: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS.len();
    prop_oneof![
        10 => (0..TOPICS.len(), 1..8usize, any::<bool>(), 0..300usize)
            .prop_map(|(topic, count, typed, size)| Step::Publish { topic, count, typed, size }),
        18 => (0..SHARDS).prop_map(|shard| Step::Turn { shard }),
        14 => (client(), prop_oneof![1..40usize, 1..4000usize])
            .prop_map(|(client, bytes)| Step::Room { client, bytes }),
        8 => Just(Step::Read),
        4 => (1..12u64).prop_map(|seconds| Step::Pass { seconds }),
        6 => (client(), any::<bool>(), any::<bool>())
            .prop_map(|(client, earliest, leased)| Step::Come { client, earliest, leased }),
        2 => (client(), any::<bool>()).prop_map(|(client, breaks)| Step::Go { client, breaks }),
        1 => client().prop_map(|client| Step::Cut { client }),
        1 => (0..6u64).prop_map(|events| Step::Lose { events }),
        1 => any::<bool>().prop_map(|readable| Step::Readable { readable }),
    ]
}

/// What the log has accepted and not lost: where, and what.
type Published = BTreeMap<Position, Message>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    topic: Topic,
    event_type: Option<EventType>,
    text: String,
}

/// A client over all its connections.
struct Client {
    interest: Arc<Interest>,
    framing: Framing,
    envelope: Envelope,
    /// What it has been given or told of.
    accounted: Position,
    /// It holds that as its last event id.
    has_id: bool,
    /// It was given what the log has lost since: nothing may follow but a gap.
    deceived: bool,
    /// It asked for all that is retained, and has been given nothing of it yet.
    is_fresh: bool,
    connection: Option<Connection>,
}

/// One connection, as the client sees it.
struct Connection {
    script: Script,
    unframer: Unframer,
    parser: Parser,
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    InOrder,
    Broken,
}

impl Client {
    fn wants(&self, message: &Message) -> bool {
        let selector = self.interest.selector();
        selector.topics.matches(&message.topic) && selector.wants_type(message.event_type.as_ref())
    }

    /// The first event that it wants and has not been given or told of, up to `through`.
    fn missed(&self, log: &Log, through: Position) -> Option<Position> {
        if through <= self.accounted {
            return None;
        }
        let mut ahead = log.published.range(self.accounted.next()..=through);
        ahead.find(|(_, message)| self.wants(message)).map(|(at, _)| *at)
    }

    /// Reads what has arrived; how the connection ended, if it has.
    fn listen(&mut self, log: &Log) -> Option<End> {
        let connection = self.connection.as_mut()?;
        let bytes = connection.unframer.push(&connection.script.taken());
        let (mut input, mut events) = (&bytes[..], Vec::new());
        while let Some(parsed) = connection.parser.next(&mut input).unwrap() {
            if let Parsed::Event(event) = parsed {
                events.push(event);
            }
        }
        let closed = connection.script.is_closed();
        let in_order = connection.unframer.has_ended_in_order();
        events.iter().for_each(|event| self.receive(event, log));
        closed.then(|| {
            self.connection = None;
            if in_order { End::InOrder } else { End::Broken }
        })
    }

    fn receive(&mut self, event: &ParsedEvent, log: &Log) {
        let at: Position = event.id.parse().unwrap();
        if std::mem::take(&mut self.is_fresh) {
            // It may have been read before it was trimmed.
            let before = Position::new(at.epoch, at.seq.saturating_sub(1));
            self.accounted = log.engine.trimmed().min(before);
        }
        match event.event.as_deref() {
            Some("fanfare.gap") => {
                let backwards = at < self.accounted && !self.deceived;
                assert!(!backwards, "a gap goes back from {} to {at}", self.accounted);
                self.deceived = false;
            }
            // Both say that nothing up to here is missing. An id that is lost itself does no harm:
            // whoever comes back with it is told.
            Some("fanfare.cursor" | "fanfare.expired") => {
                let is_lost = log.lost.contains_key(&at);
                assert!(is_lost || !self.deceived, "{at} is given as if nothing had been lost");
                self.deceived = is_lost;
                assert_eq!(self.missed(log, at), None, "{at} skips something");
            }
            event_type => {
                // What has been lost may still be on its way, and nothing of what came after it.
                let is_lost = log.lost.contains_key(&at);
                assert!(is_lost || !self.deceived, "{at} came as if nothing had been lost");
                assert!(at > self.accounted, "{at} came twice or out of order");
                let before = Position::new(at.epoch, at.seq - 1);
                assert_eq!(self.missed(log, before), None, "lost in silence before {at}");
                self.deceived = is_lost;
                let message = log.lost.get(&at).or_else(|| log.published.get(&at)).unwrap();
                self.check(message, event_type, &event.data);
            }
        }
        self.accounted = at;
        self.has_id = true;
    }

    fn check(&self, message: &Message, event_type: Option<&str>, data: &str) {
        assert!(self.wants(message), "{message:?} is another's");
        assert_eq!(event_type, message.event_type.as_ref().map(EventType::as_str));
        if self.envelope == Envelope::Json {
            let (topic, text) = (message.topic.as_str(), &message.text);
            assert!(data.starts_with(&format!(r#"{{"topic":"{topic}","#)), "{data}");
            assert!(data.ends_with(&format!(r#""message":"{text}"}}"#)), "{data}");
        } else {
            assert_eq!(data, message.text);
        }
    }
}

/// Takes the head and the chunks off a stream, strictly.
struct Unframer {
    framing: Framing,
    /// What has arrived and is not complete.
    rest: Vec<u8>,
    had_head: bool,
    had_last_chunk: bool,
    /// The end of what came out.
    tail: Vec<u8>,
}

impl Unframer {
    fn new(framing: Framing) -> Self {
        let (rest, tail) = (Vec::new(), Vec::new());
        Self { framing, rest, had_head: false, had_last_chunk: false, tail }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut out = Vec::new();
        if !self.had_head && self.rest.len() >= HEAD.len() {
            assert!(self.rest.starts_with(HEAD), "the head is damaged");
            self.rest.drain(..HEAD.len());
            self.had_head = true;
        }
        while self.had_head && !self.rest.is_empty() {
            assert!(!self.had_last_chunk, "something comes after the last chunk");
            if self.framing == Framing::Bare {
                out.append(&mut self.rest);
                break;
            }
            let Some(line) = self.rest.windows(2).position(|end| end == b"\r\n") else { break };
            let size = std::str::from_utf8(&self.rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            let end = line + 2 + size;
            let Some(after) = self.rest.get(end..end + 2) else { break };
            assert_eq!(after, b"\r\n", "a chunk is not as long as it says");
            self.had_last_chunk = size == 0;
            out.extend_from_slice(&self.rest[line + 2..end]);
            self.rest.drain(..end + 2);
        }
        self.tail.extend_from_slice(&out);
        let surplus = self.tail.len().saturating_sub(64);
        self.tail.drain(..surplus);
        out
    }

    /// Whether it ended between events, with word of when to come back, and with its last chunk.
    fn has_ended_in_order(&self) -> bool {
        let text = String::from_utf8_lossy(&self.tail);
        let mut lines = text.split('\n').rev();
        let whole = lines.next() == Some("");
        let bidden = lines.next().is_some_and(|line| line.starts_with("retry: "));
        let between = lines.next().is_some_and(|line| {
            line.is_empty() || line.starts_with(':') || line.starts_with("retry: ")
        });
        let framed = self.framing == Framing::Bare || self.had_last_chunk;
        whole && bidden && between && framed && self.rest.is_empty()
    }
}

/// The log, and what the model knows of it.
struct Log {
    engine: Arc<FickleLog>,
    /// What it has accepted and not lost, trimmed or not.
    published: Published,
    lost: Published,
}

impl Log {
    fn lose(&mut self, loss: Loss) {
        self.lost.append(&mut self.published.split_off(&loss.end.next()));
    }
}

struct World {
    log: Log,
    hub: Hub,
    readers: Arc<Readers>,
    shards: [Shard; SHARDS],
    seats: Seats,
    no_readiness: Events,
    begun: Instant,
    passed: Duration,
    clients: Vec<Client>,
    /// How many streams the shard has closed by now: in order, and otherwise.
    closed: (u64, u64),
}

impl World {
    fn new(retain: usize, window: usize) -> Self {
        let retention = Retention { count: retain as u64, bytes: 1 << 30, age: 1000 * HEARTBEAT };
        let bounds = WindowBounds { count: window, bytes: 1 << 30 };
        let window = Arc::new(Window::new(bounds, retention));
        let engine = FickleLog::open(retain, Arc::clone(&window) as Arc<dyn Tail>);
        let readers = Arc::new(Readers::by_hand());
        let seats = Seats::new(CLIENTS.len());
        let settings = DeliverySettings {
            shards: 1,
            heartbeat: HEARTBEAT,
            write_timeout: WRITE_TIMEOUT,
            min_rate: MIN_RATE,
            retry: Retry(Duration::from_secs(3)),
            seats: seats.clone(),
        };
        let shards = std::array::from_fn(|_| {
            Shard::new(Arc::clone(&window), Arc::clone(&readers), &settings).unwrap()
        });
        let client = |(topics, types, framing, envelope): (&[&str], &[&str], _, _)| Client {
            interest: Arc::new(Interest::new(
                Selector::parse(topics.iter().copied(), types.iter().copied()).unwrap(),
            )),
            framing,
            envelope,
            accounted: Position::ORIGIN,
            has_id: false,
            deceived: false,
            is_fresh: false,
            connection: None,
        };
        Self {
            hub: Hub::new(window, Arc::clone(&engine) as Arc<dyn EventLog>),
            log: Log { engine, published: BTreeMap::new(), lost: BTreeMap::new() },
            readers,
            shards,
            seats,
            no_readiness: Events::with_capacity(1),
            begun: Instant::now(),
            passed: Duration::ZERO,
            clients: CLIENTS.into_iter().map(client).collect(),
            closed: (0, 0),
        }
    }

    fn turn(&mut self, shard: usize) -> bool {
        let now = self.now();
        self.shards[shard].revolve(&self.no_readiness, now)
    }

    /// The shard that has a client's streams.
    fn handle(&self, client: usize) -> Arc<ShardHandle> {
        self.shards[client % SHARDS].handle()
    }

    fn now(&self) -> Instant {
        self.begun + self.passed
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic, count, typed, size } => self.publish(topic, count, typed, size),
            Step::Turn { shard } => drop(self.turn(shard)),
            Step::Room { client, bytes } => self.make_room(client, bytes),
            Step::Read => drop(self.readers.read_one(&self.hub)),
            Step::Pass { seconds } => {
                self.passed += Duration::from_secs(seconds);
                let now = self.now();
                self.shards.iter_mut().for_each(|shard| shard.see_to_what_is_due(now));
            }
            Step::Come { client, earliest, leased } => self.come(client, earliest, leased),
            Step::Go { client, breaks } => self.go(client, breaks),
            Step::Cut { client } => {
                let connection = self.clients[client].connection.as_ref();
                if let Some(token) = connection.and_then(|connection| connection.script.token()) {
                    self.handle(client).cut_one(token, Box::new(|_| ()));
                }
            }
            Step::Lose { events } => {
                self.log.lose(self.log.engine.lose(events));
                for client in &mut self.clients {
                    client.deceived |= self.log.lost.contains_key(&client.accounted);
                }
            }
            Step::Readable { readable } => self.log.engine.set_readable(readable),
        }
        self.listen();
    }

    fn publish(&mut self, topic: usize, count: usize, typed: bool, size: usize) {
        let message = |n: usize| Message {
            topic: Topic::parse(TOPICS[(topic + n) % TOPICS.len()]).unwrap(),
            event_type: typed.then(|| EventType::parse("typed").unwrap()),
            text: format!("{n} of {} {}", self.log.published.len(), "x".repeat(size)),
        };
        let messages: Vec<_> = (0..count).map(message).collect();
        let drafts = messages.iter().cloned().map(|Message { topic, event_type, text }| Draft {
            topic,
            event_type,
            message: text.into(),
        });
        let mut appending = self.hub.publish(Batch { drafts: drafts.collect(), key: None });
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(appended)) = appending.as_mut().poll(&mut context) else {
            panic!("a log in memory accepts at once");
        };
        self.log.published.extend(appended.positions().zip(messages));
    }

    fn make_room(&self, client: usize, bytes: usize) {
        let Some(connection) = &self.clients[client].connection else { return };
        connection.script.make_room(bytes);
        // Only who is blocked is told: a signal must not wake one that should have been woken already.
        let is_blocked = |token: &Token| {
            let subscriber = self.shards[client % SHARDS].roster.get(*token);
            subscriber.is_some_and(|subscriber| subscriber.blocked)
        };
        if let Some(token) = connection.script.token().filter(is_blocked) {
            self.handle(client).send(Command::Signal(token, Signal::Room));
        }
    }

    /// A client connects, if it is not connected.
    fn come(&mut self, client: usize, earliest: bool, leased: bool) {
        let (now, handle) = (self.now(), self.handle(client));
        let client = &mut self.clients[client];
        if client.connection.is_some() {
            return;
        }
        let requested = match (client.has_id, earliest) {
            (true, _) => Requested::After(client.accounted),
            (false, true) => Requested::Earliest,
            (false, false) => Requested::Live,
        };
        let start = self.hub.resolve(&requested).into_start();
        if !client.has_id {
            client.deceived = false;
            client.is_fresh = earliest;
            client.accounted = match start.from {
                ReadFrom::After(position) => position,
                ReadFrom::Earliest => Position::ORIGIN,
            };
        }
        let lease = || Lease {
            subject: None,
            credential: None,
            expires: Some(now + LEASE),
            verified: now,
            seats: Vec::new(),
        };
        let script = Script::default();
        let join = Command::Join(Box::new(NewSubscriber {
            sink: Sink::Script(script.clone()),
            framing: client.framing,
            head: Bytes::from_static(HEAD),
            interest: Arc::clone(&client.interest),
            envelope: client.envelope,
            start,
            has_id: client.has_id,
            address: [127, 0, 0, 1].into(),
            seat: self.seats.take().unwrap(),
            lease: leased.then(|| Box::new(lease())),
        }));
        handle.send(join);
        let (unframer, parser) = (Unframer::new(client.framing), Parser::new(1 << 20));
        client.connection = Some(Connection { script, unframer, parser });
    }

    /// A client hangs up, or its connection breaks without a word.
    fn go(&self, client: usize, breaks: bool) {
        let Some(connection) = &self.clients[client].connection else { return };
        if breaks {
            connection.script.break_off();
        } else if let Some(token) = connection.script.token() {
            self.handle(client).send(Command::Signal(token, Signal::Gone));
        }
    }

    fn listen(&mut self) {
        for client in &mut self.clients {
            match client.listen(&self.log) {
                None => {}
                Some(End::InOrder) => self.closed.0 += 1,
                Some(End::Broken) => self.closed.1 += 1,
            }
        }
        let closed = |reasons: &[CloseReason]| -> u64 {
            let of = |shard: &Shard| -> u64 {
                reasons.iter().map(|reason| shard.totals.closed[reason.index()]).sum()
            };
            self.shards.iter().map(of).sum()
        };
        let in_order = closed(&[CloseReason::Expired, CloseReason::Cut, CloseReason::Shutdown]);
        let all = closed(&CloseReason::ALL);
        // Without chunks, a stream that has only begun looks like one that has ended well.
        assert!(self.closed.0 >= in_order, "a stream that the hub closed did not end as one");
        assert_eq!(self.closed.0 + self.closed.1, all, "a stream ended uncounted");
    }

    /// In the end every sink takes everything, and then everyone has everything.
    fn finish(&mut self) {
        const ROUNDS: usize = 10_000;
        self.take(&Step::Readable { readable: true });
        (0..self.clients.len())
            .for_each(|client| self.take(&Step::Room { client, bytes: usize::MAX }));
        let live = |world: &Self| {
            world.shards.iter().all(|shard| {
                let mut all = shard.roster.iter().map(|(_, subscriber)| subscriber);
                let live = all.all(|s| s.cursor == Cursor::Live && s.is_clear());
                live && shard.agenda.is_empty() && !shard.is_behind()
            })
        };
        (0..SHARDS).for_each(|shard| self.take(&Step::Turn { shard }));
        let mut rounds = 0;
        while !live(self) {
            rounds += 1;
            assert!(rounds < ROUNDS, "someone is behind, and nothing wakes it");
            self.take(&Step::Read);
            (0..SHARDS).for_each(|shard| self.take(&Step::Turn { shard }));
            // Whoever could not read tries again in a while.
            self.take(&Step::Pass { seconds: 1 });
        }
        let last = self.hub.window().last();
        for client in self.clients.iter().filter(|client| client.is_there()) {
            assert_eq!(client.missed(&self.log, last), None, "lost in silence at the end");
            assert!(!client.deceived, "it still takes for true what the log has lost");
        }
        for shard in 0..SHARDS {
            self.shards[shard].handle().drain(Duration::ZERO);
            assert!((0..ROUNDS).any(|_| self.turn(shard)), "the drain is not complete");
        }
        self.listen();
        assert_eq!(self.seats.taken(), 0, "someone was left behind");
    }
}

impl Client {
    /// Whether it is connected, and nothing keeps it from what it wants.
    fn is_there(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|c| !c.script.is_broken()) && !self.is_fresh
    }
}

proptest! {
    #[test]
    fn what_a_subscriber_receives_is_not_the_log_forward_from_its_cursor(
        steps in prop::collection::vec(step(), 1..200),
        retain in 1usize..60,
        window in 1usize..30,
    ) {
        fastrand::seed(7);
        let mut world = World::new(retain, window);
        steps.iter().for_each(|step| world.take(step));
        world.finish();
    }
}
