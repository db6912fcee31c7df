//! Cursors and gaps against a model: whatever is published, trimmed and forgotten in between, a
//! client that reconnects gets everything after its cursor, or a gap before anything later.
//!
//! Invariant: *one sequence*, *no silent loss*, *once*.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Draft, EventType, Position, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Ring, Window, WindowBounds};
use fanfare_log::{Batch, MemoryLog, MemorySettings, PageLimit, ReadFrom, Retention, Tail};
use proptest::prelude::*;

const SELECTORS: [&[&str]; 5] = [&["a"], &["b/1"], &["b/*"], &["**"], &["a", "b/2"]];
const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// Publish this many events on topics from here on, some of them typed.
    Publish { topic: usize, count: usize, typed: bool },
    /// A client reads at most this many frames.
    Read { client: usize, most: usize },
    /// A client loses its connection, and what was on its way with it.
    Reconnect { client: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..TOPICS.len(), 1..20usize, any::<bool>())
            .prop_map(|(topic, count, typed)| Step::Publish { topic, count, typed }),
        4 => (0..SELECTORS.len(), 1..30usize).prop_map(|(client, most)| Step::Read { client, most }),
        1 => (0..SELECTORS.len()).prop_map(|client| Step::Reconnect { client }),
    ]
}

struct Client {
    interest: Interest,
    /// Where its connection stands.
    from: ReadFrom,
    /// What it holds as its last event id.
    id: Position,
    ring: Ring,
    /// What it has been given or told of.
    accounted: Position,
}

impl Client {
    /// What a shard does for it: out of the ring where that reaches, else out of the log.
    fn read(&mut self, hub: &Hub, published: &BTreeMap<Position, (Topic, bool)>, most: usize) {
        hub.window().follow(&mut self.ring);
        let offset = match self.from {
            ReadFrom::After(position) => self.ring.offset_after(position),
            ReadFrom::Earliest => None,
        };
        if let Some(offset) = offset {
            for (read, slot) in self.ring.from(offset).enumerate() {
                if read == most {
                    break;
                }
                let position = slot.frame.position();
                if self.interest.wants(slot) {
                    receive(&self.interest, &mut self.accounted, published, position);
                    self.id = position;
                }
                self.from = ReadFrom::After(position);
            }
            return;
        }
        let limit = PageLimit { events: most, bytes: usize::MAX };
        let page = hub.catch_up(self.from, &self.interest, Envelope::None, limit).unwrap();
        if let Some(gap) = page.gap {
            assert!(gap.resumed_from >= self.accounted, "a gap goes back");
            self.accounted = gap.resumed_from;
            self.id = gap.resumed_from;
        }
        for slot in &page.slots {
            let position = slot.frame.position();
            receive(&self.interest, &mut self.accounted, published, position);
            self.id = position;
        }
        self.from = ReadFrom::After(page.next);
    }
}

/// An event arrives: everything wanted between what was accounted for and this must be nothing.
fn receive(
    interest: &Interest,
    accounted: &mut Position,
    published: &BTreeMap<Position, (Topic, bool)>,
    position: Position,
) {
    assert!(position > *accounted, "{position} came twice or out of order, after {accounted}");
    let missed = published
        .range(accounted.next()..position)
        .find(|(_, (topic, typed))| wanted(interest, topic, *typed));
    assert_eq!(missed, None, "lost in silence before {position}");
    *accounted = position;
}

fn wanted(interest: &Interest, topic: &Topic, typed: bool) -> bool {
    let event_type = typed.then(|| EventType::parse("typed").unwrap());
    interest.selector().topics.matches(topic) && interest.selector().wants_type(event_type.as_ref())
}

fn ready<T>(future: std::pin::Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let mut future = future;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("a log in memory answers at once"),
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_in_silence_and_nothing_comes_twice(
        steps in prop::collection::vec(step(), 1..120),
        retain in 1u64..80,
        window in 1usize..40,
    ) {
        let retention =
            Retention { count: retain, bytes: 1 << 30, age: Duration::from_secs(3600) };
        let bounds = WindowBounds { count: window, bytes: 1 << 30 };
        let window = Arc::new(Window::new(bounds, retention));
        let settings =
            MemorySettings { retention, key_window: Duration::from_secs(60), key_capacity: 10 };
        let log = MemoryLog::open(settings, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Hub::new(Arc::clone(&window), log);
        let start = window.last();
        let mut published = BTreeMap::new();
        let mut clients: Vec<Client> = SELECTORS.iter().enumerate().map(|(n, topics)| {
            let types: &[&str] = if n == 3 { &["message"] } else { &[] };
            let topics = topics.iter().copied();
            let selector = Selector::parse(topics, types.iter().copied()).unwrap();
            Client {
                interest: Interest::new(selector),
                from: ReadFrom::After(start),
                id: start,
                ring: Ring::new(Position::ORIGIN),
                accounted: start,
            }
        }).collect();
        for step in steps {
            match step {
                Step::Publish { topic, count, typed } => {
                    let drafts: Vec<_> = (0..count).map(|n| Draft {
                        topic: Topic::parse(TOPICS[(topic + n) % TOPICS.len()]).unwrap(),
                        event_type: typed.then(|| EventType::parse("typed").unwrap()),
                        message: "".into(),
                    }).collect();
                    let names: Vec<_> = drafts.iter().map(|d| d.topic.clone()).collect();
                    let appended = ready(hub.publish(Batch { drafts, key: None })).unwrap();
                    for (position, topic) in appended.positions().zip(names) {
                        published.insert(position, (topic, typed));
                    }
                }
                Step::Read { client, most } => clients[client].read(&hub, &published, most),
                Step::Reconnect { client } => {
                    let client = &mut clients[client];
                    let start = hub.resolve(&Requested::After(client.id)).into_start();
                    prop_assert_eq!(start.gap, None, "an id of this log needs no gap at once");
                    client.from = start.from;
                    client.accounted = client.id;
                    client.ring = Ring::new(Position::ORIGIN);
                }
            }
        }
        // In the end everyone catches up, and then everything is accounted for.
        for client in &mut clients {
            while client.from != ReadFrom::After(window.last()) {
                client.read(&hub, &published, 1000);
            }
            let missed = published
                .range(client.accounted.next()..)
                .find(|(_, (topic, typed))| wanted(&client.interest, topic, *typed));
            prop_assert_eq!(missed, None, "lost in silence at the end");
        }
    }
}
