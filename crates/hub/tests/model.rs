//! Cursors and gaps against a model: whatever is published, trimmed, lost and forgotten in between,
//! a client that reconnects gets everything after its cursor, or a gap before anything later.
//!
//! Invariant: *one sequence*, *no silent loss*, *once*.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::ops::RangeTo;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fanfare_event::{Draft, EventType, Position, PrivateRights, Selector, Topic};
use fanfare_hub::{
    Envelope, Gap, Hub, Interest, Requested, Resolution, Ring, Stretch, Window, WindowBounds,
};
use fanfare_log::{Batch, EventLog, PageLimit, ReadFrom, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings};
use fanfare_testkit::{FickleLog, InjectedLoss};
use proptest::prelude::*;

const SELECTORS: [&[&str]; 5] = [&["a"], &["b/1"], &["b/*"], &["**"], &["a", "b/2"]];
const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// Publish this many events on topics from here on, some of them typed.
    Publish { topic: usize, count: usize, typed: bool },
    /// A client reads at most this many frames.
    Read { client: usize, most: usize },
    /// So many events are read for a client, and for all who want the same, of whom some come for them later.
    Share { client: usize, most: usize },
    /// A client loses its connection, and what was on its way with it.
    Reconnect { client: usize },
    /// A client comes with an id of another log.
    Stray { client: usize },
    /// The engine loses so many events, and a new epoch begins under open streams.
    Lose { events: u64 },
    /// The hub and its engine start again, which loses so many; its window is filled or is not.
    Restart { events: u64, warm: bool },
    /// The node hears its engine no longer, or again.
    Hear { heard: bool },
    /// Everything is trimmed and a new epoch begins, with nothing lost.
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..TOPICS.len(), 1..20usize, any::<bool>())
            .prop_map(|(topic, count, typed)| Step::Publish { topic, count, typed }),
        8 => (0..SELECTORS.len(), 1..30usize).prop_map(|(client, most)| Step::Read { client, most }),
        2 => (0..SELECTORS.len(), 1..60usize)
            .prop_map(|(client, most)| Step::Share { client, most }),
        2 => (0..SELECTORS.len()).prop_map(|client| Step::Reconnect { client }),
        1 => (0..SELECTORS.len()).prop_map(|client| Step::Stray { client }),
    ]
}

fn failover_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        18 => step(),
        1 => (0..12u64).prop_map(|events| Step::Lose { events }),
        1 => (0..12u64, any::<bool>()).prop_map(|(events, warm)| Step::Restart { events, warm }),
        1 => any::<bool>().prop_map(|heard| Step::Hear { heard }),
        1 => Just(Step::Forget),
    ]
}

/// What the log has accepted, also what it has lost since.
type Ledger = BTreeMap<Position, Accepted>;

#[derive(Debug)]
struct Accepted {
    topic: Topic,
    typed: bool,
    lost: bool,
}

struct Client {
    interest: Arc<Interest>,
    /// Where its connection stands.
    from: ReadFrom,
    /// What it holds as its last event id.
    id: Position,
    ring: Ring,
    /// What it has been given or told of.
    accounted: Position,
    /// It was given what the log has lost since: nothing may follow but a gap.
    deceived: bool,
}

impl Client {
    fn new(selector: Selector, start: Position) -> Self {
        Self {
            interest: Arc::new(Interest::new(selector, PrivateRights::None)),
            from: ReadFrom::After(start),
            id: start,
            ring: Ring::new(Position::ORIGIN),
            accounted: start,
            deceived: false,
        }
    }

    fn reconnect(&mut self, hub: &Hub) {
        let start = hub.resolve(&Requested::After(self.id)).into_start();
        self.from = start.from;
        self.accounted = self.id;
        self.ring = Ring::new(Position::ORIGIN);
        if let Some(gap) = start.gap {
            assert!(self.deceived, "an id of this log needs no gap at once: {gap:?}");
            self.on_gap(&gap);
        }
    }

    fn stray(&mut self, hub: &Hub) {
        let start = hub.resolve(&Requested::After(Position::new(0, 1))).into_start();
        self.from = start.from;
        self.ring = Ring::new(Position::ORIGIN);
        let gap = start.gap.expect("the id is not one of this log's");
        self.accounted = gap.resumed_from;
        self.id = gap.resumed_from;
        self.deceived = false;
    }

    /// What a shard does for it: out of the ring where that reaches, else out of the log, by way of what
    /// was read for others if that will do, however long ago that was.
    fn read(&mut self, hub: &Hub, stretches: &[Stretch], published: &Ledger, most: usize) {
        hub.window().follow(&mut self.ring);
        let offset = match self.from {
            ReadFrom::After(position) => self.ring.offset_after(position),
            ReadFrom::Earliest => None,
        };
        if let Some(offset) = offset {
            let slots: Vec<_> = self.ring.from(offset).take(most).cloned().collect();
            for slot in slots {
                if let Some(gap) = slot.frame.gap() {
                    self.on_gap(gap);
                } else if self.interest.wants(&slot) {
                    self.receive(published, slot.frame.position());
                }
                self.from = ReadFrom::After(slot.frame.position());
            }
            return;
        }
        let limit = PageLimit { events: most, bytes: usize::MAX };
        let (from, interest) = (self.from, &self.interest);
        let page_of = |stretch| hub.page_of(stretch, from, interest, Envelope::None, limit);
        let page = stretches.iter().rev().find_map(page_of);
        let alone = || hub.catch_up(from, interest, Envelope::None, limit).unwrap();
        let page = page.unwrap_or_else(alone);
        if let Some(gap) = page.gap {
            self.on_gap(&gap);
        }
        for slot in &page.slots {
            self.receive(published, slot.frame.position());
        }
        self.from = ReadFrom::After(page.next);
    }

    fn on_gap(&mut self, gap: &Gap) {
        assert!(self.deceived || gap.resumed_from >= self.accounted, "a gap goes back");
        self.accounted = gap.resumed_from;
        self.id = gap.resumed_from;
        self.deceived = false;
    }

    /// An event arrives: everything wanted between what was accounted for and this must be nothing.
    fn receive(&mut self, published: &Ledger, position: Position) {
        // A node that does not hear its engine may still deliver what was lost since.
        let lost = published[&position].lost;
        assert!(!self.deceived || lost, "{position} came as if nothing had been lost");
        self.deceived = lost;
        assert!(position > self.accounted, "{position} came twice or out of order");
        assert_eq!(self.missed(published, ..position), None, "lost in silence before {position}");
        self.accounted = position;
        self.id = position;
    }

    /// The first event that it wants and has not been given or told of.
    fn missed(&self, published: &Ledger, before: RangeTo<Position>) -> Option<Position> {
        let ahead = published.range(self.accounted.next()..before.end);
        let wanted = |typed: bool, topic: &Topic| {
            let event_type = typed.then(|| EventType::parse("typed").unwrap());
            let selector = self.interest.selector();
            selector.topics.matches(topic) && selector.wants_type(event_type.as_ref())
        };
        ahead.into_iter().find(|(_, event)| wanted(event.typed, &event.topic)).map(|(at, _)| *at)
    }
}

fn ready<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a log in memory answers at once"),
    }
}

const AGE: Duration = Duration::from_secs(3600);

/// How much is kept: in the log, and in the window.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    retain: u64,
    window: usize,
}

impl Bounds {
    fn any() -> impl Strategy<Value = Self> {
        (1u64..80, 1usize..40).prop_map(|(retain, window)| Self { retain, window })
    }

    fn retention(self) -> Retention {
        Retention { count: self.retain, bytes: 1 << 30, age: AGE }
    }

    fn window(self) -> Arc<Window> {
        let bounds = WindowBounds { count: self.window, bytes: 1 << 30 };
        Arc::new(Window::new(bounds, self.retention()))
    }
}

/// A hub, its clients, and what was published.
struct World {
    hub: Hub,
    clients: Vec<Client>,
    /// Read for whoever comes for it.
    stretches: Vec<Stretch>,
    published: Ledger,
}

impl World {
    fn new(hub: Hub) -> Self {
        let start = hub.window().last();
        let client = |(n, topics): (usize, &&[&str])| {
            let types: &[&str] = if n == 3 { &["message"] } else { &[] };
            let topics = topics.iter().copied();
            Client::new(Selector::parse(topics, types.iter().copied()).unwrap(), start)
        };
        let clients = SELECTORS.iter().enumerate().map(client).collect();
        Self { hub, clients, stretches: Vec::new(), published: BTreeMap::new() }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic, count, typed } => {
                let drafts: Vec<_> = (0..count)
                    .map(|n| Draft {
                        topic: Topic::parse(TOPICS[(topic + n) % TOPICS.len()]).unwrap(),
                        event_type: typed.then(|| EventType::parse("typed").unwrap()),
                        message: "".into(),
                        extras: None,
                    })
                    .collect();
                let names: Vec<_> = drafts.iter().map(|draft| draft.topic.clone()).collect();
                let appended = ready(self.hub.publish(Batch { drafts, key: None })).unwrap();
                let events = appended.positions().zip(names);
                let accepted = |(at, topic)| (at, Accepted { topic, typed, lost: false });
                self.published.extend(events.map(accepted));
            }
            Step::Read { client, most } => {
                self.clients[client].read(&self.hub, &self.stretches, &self.published, most);
            }
            Step::Share { client, most } => {
                let Client { from, interest, .. } = &self.clients[client];
                let limit = PageLimit { events: most, bytes: usize::MAX };
                self.stretches.push(self.hub.read_stretch(*from, interest, limit).unwrap());
            }
            Step::Reconnect { client } => self.clients[client].reconnect(&self.hub),
            Step::Stray { client } => self.clients[client].stray(&self.hub),
            Step::Lose { .. } | Step::Restart { .. } | Step::Hear { .. } | Step::Forget => {
                unreachable!("of a fickle engine only")
            }
        }
    }

    /// Takes note of what the log has lost.
    fn lose(&mut self, loss: InjectedLoss) {
        let is_left = |at: Position| at.epoch != loss.end.epoch || at <= loss.end;
        for (at, event) in &mut self.published {
            event.lost |= !is_left(*at);
        }
        for client in &mut self.clients {
            client.deceived |= !is_left(client.accounted);
        }
    }

    /// In the end everyone catches up, and then everything is accounted for.
    fn finish(mut self) {
        let last = self.hub.window().last();
        for client in &mut self.clients {
            loop {
                let before = client.from;
                client.read(&self.hub, &self.stretches, &self.published, 1000);
                if client.from == before {
                    break;
                }
            }
            let missed = client.missed(&self.published, ..last.next());
            assert_eq!(missed, None, "lost in silence at the end");
            assert!(!client.deceived, "it still takes for true what the log has lost");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_in_silence_and_nothing_comes_twice(
        steps in prop::collection::vec(step(), 1..120), bounds in Bounds::any(),
    ) {
        let window = bounds.window();
        let settings = MemorySettings {
            retention: bounds.retention(),
            key_window: Duration::from_secs(60),
            key_capacity: 10,
        };
        let log = MemoryLog::open(settings, Arc::clone(&window) as Arc<dyn Tail>);
        let mut world = World::new(Hub::new(window, log));
        steps.iter().for_each(|step| world.take(step));
        world.finish();
    }

    /// The same while the engine loses what it had accepted, under open streams and over restarts:
    /// whoever was given something that is lost is told before anything later.
    #[test]
    fn an_engine_that_loses_writes_deceives_nobody(
        steps in prop::collection::vec(failover_step(), 1..120), bounds in Bounds::any(),
    ) {
        let window = bounds.window();
        let log = FickleLog::open(bounds.retain as usize, Arc::clone(&window) as Arc<dyn Tail>);
        let mut world = World::new(Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>));
        for step in steps {
            match step {
                Step::Lose { events } => world.lose(log.lose(events)),
                Step::Restart { events, warm } => {
                    let window = bounds.window();
                    let loss = log.restart(events, Arc::clone(&window) as Arc<dyn Tail>);
                    world.lose(loss);
                    world.hub = Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>);
                    if warm {
                        world.hub.warm(|| true).unwrap();
                    }
                    world.clients.iter_mut().for_each(|client| client.reconnect(&world.hub));
                }
                Step::Hear { heard } => log.set_tail_connected(heard),
                Step::Reconnect { client } => {
                    let id = Requested::After(world.clients[client].id);
                    // Whoever is ahead of its node waits until the node has heard.
                    if matches!(world.hub.resolve(&id), Resolution::Ahead(_)) {
                        log.set_tail_connected(true);
                    }
                    world.clients[client].reconnect(&world.hub);
                }
                Step::Forget => log.forget(),
                step => world.take(&step),
            }
        }
        log.set_tail_connected(true);
        world.finish();
    }
}
