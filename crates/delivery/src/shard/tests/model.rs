//! Two shards, step by step, against a model: whatever their sinks take and when, whatever the log trims,
//! loses or fails to read, and whichever shard a stream goes on in, what a subscriber receives is the log forward from
//! its cursor: framing intact, nothing twice, nothing missing without a gap before anything later.
//!
//! Invariants: *one sequence*, *no silent loss*, *once*, *clean close*.

mod client;
mod log;
mod unframer;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fanfare_event::{Draft, EventType, Position, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, ReadFrom, Retention, Tail};
use fanfare_sse::Parser;
use fanfare_testkit::FickleLog;
use proptest::prelude::*;

use self::client::{Client, Connection, End};
use self::log::{Log, Message};
use self::unframer::{HEAD, Unframer};
use super::super::Shard;
use crate::cadence::Cadence;
use crate::connection;
use crate::counters::CloseReason;
use crate::cursor::Cursor;
use crate::inbox::{ShardCommand, ShardHandle};
use crate::lease::Lease;
use crate::movable::Movable;
use crate::now::Now;
use crate::ready::Ready;
use crate::retry::Retry;
use crate::seats::Seats;
use crate::settings::{DeliverySettings, StepLimits};
use crate::simulated_socket::SimulatedSocket;
use crate::sink::Sink;
use crate::stepped::SteppedDelivery;
use crate::subscriber_key::SubscriberKey;
use crate::subscription::{Detached, NewSubscriber};
use crate::wire::{Framing, Wire};

const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c"];
/// Of each client: what it wants, of which types, and how its bytes travel, perhaps through a sink that
/// holds some back, and how often at most. The last two patterns of one concern some events twice.
type ClientSpec =
    (&'static [&'static str], &'static [&'static str], Framing, Envelope, bool, Option<u16>);

const CLIENTS: [ClientSpec; 5] = [
    (&["a"], &[], Framing::Chunked, Envelope::None, false, None),
    (&["b/1"], &["typed"], Framing::Bare, Envelope::None, false, Some(10)),
    (&["a", "b/*", "b/**"], &[], Framing::Chunked, Envelope::Json, false, Some(5_000)),
    (&["**"], &["message"], Framing::Chunked, Envelope::None, true, Some(1_000)),
    (&["a", "b/2"], &[], Framing::Bare, Envelope::None, false, None),
];
/// While one stands still, the other goes on; clients are spread over them.
const SHARDS: usize = 2;
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
    /// A publisher takes a short turn.
    ShortTurn {
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
    /// A shard's streams go on in the other one.
    HandOver {
        shard: usize,
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
        6 => (0..SHARDS).prop_map(|shard| Step::ShortTurn { shard }),
        14 => (client(), prop_oneof![1..40usize, 1..4000usize])
            .prop_map(|(client, bytes)| Step::Room { client, bytes }),
        8 => Just(Step::Read),
        4 => (1..12u64).prop_map(|seconds| Step::Pass { seconds }),
        6 => (client(), any::<bool>(), any::<bool>())
            .prop_map(|(client, earliest, leased)| Step::Come { client, earliest, leased }),
        2 => (client(), any::<bool>()).prop_map(|(client, breaks)| Step::Go { client, breaks }),
        1 => client().prop_map(|client| Step::Cut { client }),
        2 => (0..SHARDS).prop_map(|shard| Step::HandOver { shard }),
        1 => (0..6u64).prop_map(|events| Step::Lose { events }),
        1 => any::<bool>().prop_map(|readable| Step::Readable { readable }),
    ]
}

struct World {
    log: Log,
    hub: Arc<Hub>,
    stepped: SteppedDelivery,
    /// What a poller has to tell each shard.
    ready: [Vec<Ready>; SHARDS],
    /// Who is on the way from each shard to the other.
    moved: [Arc<Mutex<Vec<Detached>>>; SHARDS],
    seats: Seats,
    now: Now,
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
        let hub = Arc::new(Hub::new(window, Arc::clone(&engine) as Arc<dyn EventLog>));
        let seats = Seats::new(CLIENTS.len());
        let settings = DeliverySettings {
            shards: SHARDS,
            heartbeat: HEARTBEAT,
            longest_heartbeat: 3 * HEARTBEAT,
            write_timeout: WRITE_TIMEOUT,
            min_rate: MIN_RATE,
            max_age: None,
            retry: Retry(Duration::from_secs(3)),
            seats: seats.clone(),
            limits: StepLimits::SMALL,
        };
        let now = Now::read();
        let client = |(topics, types, framing, envelope, sealing, millis): ClientSpec| Client {
            interest: Arc::new(Interest::new(
                Selector::parse(topics.iter().copied(), types.iter().copied()).unwrap(),
                PrivateRights::None,
            )),
            framing,
            envelope,
            sealing,
            cadence: millis.map(|millis| Cadence::from_millis(millis).unwrap()),
            shard: 0,
            accounted: Position::ORIGIN,
            has_id: false,
            deceived: false,
            is_fresh: false,
            connection: None,
        };
        Self {
            stepped: SteppedDelivery::new(&hub, &settings, now).unwrap(),
            hub,
            log: Log { engine, published: BTreeMap::new(), lost: BTreeMap::new() },
            ready: Default::default(),
            moved: Default::default(),
            seats,
            now,
            clients: CLIENTS.into_iter().map(client).collect(),
            closed: (0, 0),
        }
    }

    fn turn(&mut self, shard: usize) -> bool {
        let ready = std::mem::take(&mut self.ready[shard]);
        self.stepped.turn(shard, self.now, ready)
    }

    fn handle(&self, shard: usize) -> Arc<ShardHandle> {
        self.stepped.shard(shard).handle()
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        (0..SHARDS).map(|shard| self.stepped.shard(shard))
    }

    /// Those who have been taken out of one shard come to the other.
    fn move_on(&mut self) {
        for from in 0..SHARDS {
            let to = (from + 1) % SHARDS;
            for detached in std::mem::take(&mut *self.moved[from].lock().unwrap()) {
                let connection::Connection::Simulated(socket) = &detached.connection else {
                    panic!("another kind of connection")
                };
                let is_of = |client: &&mut Client| {
                    client.connection.as_ref().is_some_and(|c| c.socket.is_same(socket))
                };
                let client = self.clients.iter_mut().find(is_of).unwrap();
                client.shard = to;
                assert!(self.handle(to).attach(detached).is_none());
            }
        }
    }

    fn take(&mut self, step: &Step) {
        self.move_on();
        match *step {
            Step::Publish { topic, count, typed, size } => self.publish(topic, count, typed, size),
            Step::Turn { shard } => drop(self.turn(shard)),
            Step::ShortTurn { shard } => {
                let before = self.stepped.poll_timeout(shard, self.now);
                if self.stepped.short_turn(shard, self.now) {
                    let due = self.stepped.poll_timeout(shard, self.now);
                    let sleeps = due.is_none_or(|due| before.is_some_and(|before| before <= due));
                    assert!(sleeps, "its thread sleeps for {before:?}, and is due in {due:?}");
                }
            }
            Step::Room { client, bytes } => self.make_room(client, bytes),
            Step::Read => drop(self.stepped.read_page()),
            Step::Pass { seconds } => {
                self.now = self.now + Duration::from_secs(seconds);
                (0..SHARDS).for_each(|shard| self.stepped.shard_mut(shard).run_timers(self.now));
            }
            Step::Come { client, earliest, leased } => self.come(client, earliest, leased),
            Step::Go { client, breaks } => self.go(client, breaks),
            Step::Cut { client } => {
                let Client { shard, connection, .. } = &self.clients[client];
                let key = connection.as_ref().and_then(|connection| connection.socket.key());
                if let Some(key) = key {
                    self.handle(*shard).cut_one(key, Box::new(|_| ()));
                }
            }
            Step::HandOver { shard } => {
                let moved = Arc::clone(&self.moved[shard]);
                let reply = move |detached| moved.lock().unwrap().extend::<Vec<_>>(detached);
                self.handle(shard).detach(CLIENTS.len(), Movable::Secured, Box::new(reply));
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
            extras: None,
        });
        let mut appending = self.hub.publish(Batch { drafts: drafts.collect(), key: None });
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(appended)) = appending.as_mut().poll(&mut context) else {
            panic!("a log in memory accepts at once");
        };
        self.log.published.extend(appended.positions().zip(messages));
    }

    fn make_room(&mut self, client: usize, bytes: usize) {
        let Client { shard, connection: Some(connection), .. } = &self.clients[client] else {
            return;
        };
        connection.socket.make_room(bytes);
        // Only who is blocked is told: word of room must not wake one that should have been woken
        // already.
        let is_blocked = |key: &SubscriberKey| {
            let subscriber = self.stepped.shard(*shard).table.get(*key);
            subscriber.is_some_and(|subscriber| subscriber.awaits.room)
        };
        if let Some(key) = connection.socket.key().filter(is_blocked) {
            self.ready[*shard].push(Ready { key, readable: false, writable: true });
        }
    }

    /// A client connects, if it is not connected.
    fn come(&mut self, client: usize, earliest: bool, leased: bool) {
        let (now, shard) = (self.now, client % SHARDS);
        let handle = self.handle(shard);
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
            address: Ipv4Addr::LOCALHOST.into(),
            expires: Some((now + LEASE).wall),
            verified: now.monotonic,
            seats: Vec::new(),
        };
        let socket =
            if client.sealing { SimulatedSocket::sealing() } else { SimulatedSocket::default() };
        let join = ShardCommand::Join(Box::new(NewSubscriber {
            sink: Sink::Simulated(socket.clone()),
            wire: Wire::native(client.envelope, client.framing),
            head: Bytes::from_static(HEAD),
            interest: Arc::clone(&client.interest),
            cadence: client.cadence,
            start,
            has_id: client.has_id,
            address: [127, 0, 0, 1].into(),
            seat: self.seats.take().unwrap(),
            lease: leased.then(|| Box::new(lease())),
        }));
        handle.send(join);
        client.shard = shard;
        let (unframer, parser) = (Unframer::new(client.framing), Parser::new(1 << 20));
        client.connection = Some(Connection { socket, unframer, parser });
    }

    /// A client hangs up, or its connection breaks without a word.
    fn go(&mut self, client: usize, breaks: bool) {
        let Client { shard, connection: Some(connection), .. } = &self.clients[client] else {
            return;
        };
        if breaks {
            connection.socket.break_off();
        } else if let Some(key) = connection.socket.key() {
            connection.socket.hang_up();
            self.ready[*shard].push(Ready { key, readable: true, writable: false });
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
            self.shards().map(of).sum()
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
            let is_settled = world.moved.iter().all(|moved| moved.lock().unwrap().is_empty());
            is_settled
                && world.shards().all(|shard| {
                    let mut all = shard.table.iter().map(|(_, subscriber)| subscriber);
                    let live = all.all(|s| s.cursor == Cursor::Live && s.is_clear());
                    live && shard.commands.is_empty() && !shard.is_behind()
                })
        };
        (0..SHARDS).for_each(|shard| self.take(&Step::Turn { shard }));
        let mut rounds = 0;
        while !live(self) {
            rounds += 1;
            assert!(rounds < ROUNDS, "someone is behind, and nothing wakes it");
            self.take(&Step::Read);
            // Whoever could not read tries again in a while.
            self.take(&Step::Pass { seconds: 1 });
            (0..SHARDS).for_each(|shard| self.take(&Step::Turn { shard }));
        }
        let last = self.hub.window().last();
        for client in self.clients.iter().filter(|client| client.is_there()) {
            assert_eq!(client.missed(&self.log, last), None, "lost in silence at the end");
            assert!(!client.deceived, "it still takes for true what the log has lost");
        }
        for shard in 0..SHARDS {
            self.handle(shard).drain(Duration::ZERO);
            assert!((0..ROUNDS).any(|_| self.turn(shard)), "the drain is not complete");
        }
        self.listen();
        assert_eq!(self.seats.taken(), 0, "someone was left behind");
    }
}

proptest! {
    #[test]
    fn what_a_subscriber_receives_is_the_log_forward_from_its_cursor(
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
