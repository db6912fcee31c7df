//! The store against a model that keeps everything and remembers every loss.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_event::{
    Draft, Event, EventId, EventType, Extras, Position, Selector, Timestamp, Topic,
};
use proptest::prelude::*;

use crate::settings::MemorySettings;
use crate::state::MemoryState;
use crate::store::{Bounds, Store, StoreTime};
use fanfare_log::{Batch, IdempotencyKey, Page, PageLimit, ReadFrom, Retention};

const EPOCH: u64 = 50;
const TOPICS: [&str; 6] = ["a", "b", "c/1", "c/2", "c/2/x", "d"];
const SELECTORS: [(&[&str], &[&str]); 10] = [
    (&["a"], &[]),
    (&["b"], &["tick"]),
    (&["a", "c/1", "d"], &[]),
    (&["a", "b", "c/1", "c/2", "c/2/x", "d", "never"], &["message"]),
    (&["never"], &[]),
    (&["c/*"], &[]),
    (&["c/**", "a"], &["tick"]),
    (&["*"], &[]),
    (&["**"], &[]),
    (&["**", "a"], &["tick", "tock"]),
];

fn selector(n: usize) -> Selector {
    let (topics, types) = SELECTORS[n];
    Selector::parse(topics.iter().copied(), types.iter().copied()).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    /// Topic, type and length of the message of each event; a key; milliseconds passed before.
    Append(Vec<(usize, usize, usize)>, Option<u8>, u64),
    Expire(u64),
    Read {
        from: u64,
        span: u64,
        selector: usize,
        limit: PageLimit,
    },
    /// A reader that goes on where it was reads one page more.
    Follow,
    /// What there is now is written down ahead of a hand-over.
    WriteAhead,
    /// Another process goes on with what this one has written down; the first never existed, or this one
    /// goes on as if it had not been asked.
    HandOver {
        abandoned: bool,
    },
}

fn limits() -> impl Strategy<Value = PageLimit> {
    (0_usize..6, prop_oneof![Just(1_usize), Just(400), Just(1 << 20)])
        .prop_map(|(events, bytes)| PageLimit { events, bytes })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let draft = (0..TOPICS.len(), 0_usize..3, 0_usize..300);
    let append = (prop::collection::vec(draft, 1..9), prop::option::of(0_u8..4), 0_u64..40)
        .prop_map(|(drafts, key, ms)| Step::Append(drafts, key, ms));
    let read = (0_u64..150, 0_u64..150, 0..SELECTORS.len(), limits())
        .prop_map(|(from, span, selector, limit)| Step::Read { from, span, selector, limit });
    prop::collection::vec(
        prop_oneof![
            4 => append,
            1 => (0_u64..200).prop_map(Step::Expire),
            5 => read,
            2 => Just(Step::Follow),
            1 => Just(Step::WriteAhead),
            1 => any::<bool>().prop_map(|abandoned| Step::HandOver { abandoned }),
        ],
        1..50,
    )
}

/// Every event ever accepted, of which the first `lost` are gone.
struct Model {
    retention: Retention,
    all: Vec<Event>,
    lost: usize,
    now: u64,
    /// The first event that had each id; nothing where a process that was handed the log cannot know it.
    named: HashMap<EventId, Option<Position>>,
}

impl Model {
    fn trim(&mut self) {
        loop {
            let kept = &self.all[self.lost..];
            let Some(oldest) = kept.first() else { break };
            let bytes: usize = kept.iter().map(Event::weight).sum();
            let age = Duration::from_millis(self.now - oldest.published_at.as_millis());
            let fits = kept.len() as u64 <= self.retention.count
                && bytes as u64 <= self.retention.bytes
                && age <= self.retention.age;
            if fits {
                break;
            }
            self.lost += 1;
        }
    }

    fn last(&self) -> Position {
        Position::new(EPOCH, self.all.len() as u64)
    }

    fn accept(&mut self, event: Event) {
        if let Some(id) = event.id() {
            self.named.entry(id.clone()).or_insert(Some(event.position));
        }
        self.all.push(event);
    }

    /// The first event that had this id, if it is retained and known to be that.
    fn find(&self, id: &EventId) -> Option<Position> {
        let first = self.named.get(id).copied().flatten();
        first.filter(|first| first.seq > self.lost as u64)
    }

    /// Another process goes on, and sees of what there was only what is retained.
    fn hand_over(&mut self) {
        if self.lost == 0 {
            return;
        }
        self.named.clear();
        for event in &self.all[self.lost..] {
            let Some(id) = event.id() else { continue };
            let first = self.named.entry(id.clone());
            first.and_modify(|first| *first = None).or_insert(Some(event.position));
        }
    }

    fn wanted<'a>(
        &'a self,
        selector: &'a Selector,
        after: Position,
        until: Position,
    ) -> impl Iterator<Item = &'a Event> {
        self.all.iter().filter(move |event| {
            event.position > after && event.position <= until && selector.matches(event)
        })
    }

    /// The last trim that concerns the selector, as an unbounded memory knows it.
    fn last_trim(&self, selector: &Selector) -> Option<Position> {
        let mut gone = self.all[..self.lost].iter();
        gone.rfind(|event| selector.topics.matches_any(event.topics())).map(|event| event.position)
    }
}

/// A reader that keeps its place over everything else that happens.
struct Follower {
    selector: Selector,
    at: Position,
    received: Vec<Position>,
    gap: Option<Position>,
}

fn check_page(model: &Model, selector: &Selector, after: Position, page: &Page) {
    for event in &page.events {
        let accepted = &model.all[event.position.seq as usize - 1];
        assert_eq!(**event, *accepted, "what is read is what was accepted");
        assert!(selector.matches(event));
    }
    let floor = page.trimmed.map_or(after, |trimmed| trimmed.max(after));
    assert!(page.events.iter().map(|event| event.position).is_sorted_by(|a, b| a < b));
    assert!(page.events.first().is_none_or(|event| event.position > floor));
    assert!(page.events.last().is_none_or(|event| event.position <= page.next));
    assert!(page.next >= floor, "never back before the gap");
}

fn read_all(
    model: &Model,
    store: &Store,
    from: ReadFrom,
    until: Position,
    selector: &Selector,
    limit: PageLimit,
) {
    let page_after =
        |from| store.stretch(from, until, selector, limit.events).select(selector, limit);
    let asked = if let ReadFrom::After(after) = from { after } else { Position::ORIGIN };
    let end = until.min(model.last());
    let mut page = page_after(from);
    check_page(model, selector, asked, &page);
    let trimmed = page.trimmed;
    let mut received = Vec::new();
    loop {
        assert!(page.events.len() <= limit.events.max(1));
        received.extend(page.events.iter().map(|event| event.position));
        let next = page.next;
        if next >= end {
            break;
        }
        page = page_after(ReadFrom::After(next));
        check_page(model, selector, next, &page);
        assert_eq!(page.trimmed, None, "no second gap");
        assert!(page.next > next, "a page that does not advance is read for ever");
    }
    assert_eq!(page_after(ReadFrom::After(page.next)).trimmed, None, "no gap where it ended");

    let retained = model.all[model.lost..].first().map(|event| event.position);
    let expected: Vec<_> = model
        .wanted(selector, asked, until)
        .map(|event| event.position)
        .filter(|position| retained.is_some_and(|first| *position >= first))
        .collect();
    assert_eq!(received, expected, "everything retained, once, in order");
    if from == ReadFrom::Earliest {
        assert_eq!(trimmed, None);
        return;
    }
    let missing = model.wanted(selector, asked, Position::new(u64::MAX, 0));
    let missing =
        missing.map(|event| event.position).filter(|position| position.seq <= model.lost as u64);
    if let Some(last) = missing.last() {
        assert!(trimmed.is_some_and(|trimmed| trimmed >= last), "{last} was lost in silence");
    }
    if let Some(trimmed) = trimmed {
        assert!(trimmed > asked);
        assert!(trimmed.seq <= model.lost as u64, "everything retained lies after a gap");
    }
    let known = model.last_trim(selector).is_none_or(|last| last <= asked);
    if known && store.forgotten() <= asked {
        assert_eq!(trimmed, None, "a false alarm without need");
    }
}

fn written(state: &MemoryState) -> MemoryState {
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    MemoryState::read(&mut &bytes[..]).unwrap()
}

/// The store of a process that goes on with what another has written down, some of it ahead.
fn handed_over(
    store: &Store,
    ahead: Option<&MemoryState>,
    settings: MemorySettings,
    bounds: Bounds,
) -> Store {
    let mut state = written(&store.state(Timestamp(0)));
    if let Some(ahead) = ahead {
        let rest = written(&store.state_after(ahead.last(), Timestamp(0)));
        assert!(rest.events() as u64 <= store.last().seq - ahead.last().seq);
        let together = written(ahead).followed_by(rest).unwrap();
        assert_eq!(together, state);
        state = together;
    }
    let successor = Store::resumed(state, settings, bounds);
    assert_eq!(successor.forgotten(), store.forgotten());
    assert_eq!(successor.stats(), store.stats());
    successor
}

fn run(retention: Retention, bounds: Bounds, followed: usize, steps: &[Step]) {
    let key_window = Duration::from_millis(100);
    let settings = MemorySettings { retention, key_window, key_capacity: 5 };
    let mut store = Store::new(EPOCH, settings, bounds);
    let named = HashMap::new();
    let mut model = Model { retention, all: Vec::new(), lost: 0, now: 1_000, named };
    let mut keys: Vec<(u8, u64, Position, usize)> = Vec::new();
    let mut ahead = None;
    let mut follower = Follower {
        selector: selector(followed),
        at: Position::new(EPOCH, 0),
        received: Vec::new(),
        gap: None,
    };

    for step in steps {
        match step {
            Step::Append(drafts, key, ms) => {
                model.now += ms;
                keys.retain(|&(_, at, ..)| model.now - at < 100);
                let known = key.and_then(|key| keys.iter().find(|known| known.0 == key).copied());
                let drafts: Vec<_> = drafts.iter().map(|&draft| make(draft)).collect();
                let batch = Batch {
                    drafts: drafts.clone(),
                    key: key.map(|key| IdempotencyKey::parse(&key.to_string()).unwrap()),
                };
                let outcome = store.append(batch, StoreTime::of_both(model.now));
                if let Some((_, _, first, count)) = known {
                    let accepted = outcome.unwrap();
                    assert!(accepted.answer.repeated && accepted.events.is_empty());
                    assert_eq!((accepted.answer.first, accepted.answer.count), (first, count));
                } else if key.is_some() && keys.len() == 3 {
                    outcome.unwrap_err();
                } else {
                    let accepted = outcome.unwrap();
                    assert_eq!(accepted.answer.first, model.last().next());
                    assert_eq!(accepted.answer.count, drafts.len());
                    assert!(!accepted.answer.repeated);
                    keys.extend(key.map(|key| (key, model.now, model.last().next(), drafts.len())));
                    for draft in drafts {
                        let position = model.last().next();
                        model.accept(draft.accepted(position, Timestamp(model.now)));
                    }
                    let lost = model.lost;
                    model.trim();
                    let through =
                        (model.lost > lost).then(|| Position::new(EPOCH, model.lost as u64));
                    assert_eq!(accepted.trimmed, through);
                    let heard = accepted.events.iter().map(|event| &**event);
                    assert!(heard.eq(&model.all[model.all.len() - accepted.answer.count..]));
                }
            }
            Step::Expire(ms) => {
                model.now += ms;
                keys.retain(|&(_, at, ..)| model.now - at < 100);
                while store.expire(StoreTime::of_both(model.now), 2).is_some() {}
                model.trim();
                assert_eq!(store.stats().keys, keys.len());
            }
            &Step::Read { from, span, selector: wanted, limit } => {
                let all = model.all.len() as u64;
                // Now and then from an older epoch, and to or from beyond the end.
                let from = match from {
                    0 => ReadFrom::Earliest,
                    1 => ReadFrom::After(Position::new(EPOCH - 1, 90)),
                    2 => ReadFrom::After(Position::new(EPOCH + 1, 0)),
                    n => ReadFrom::After(Position::new(EPOCH, (n - 3) % (all + 2))),
                };
                let until = match span {
                    0 => Position::new(EPOCH - 1, 95),
                    1 => Position::new(u64::MAX, u64::MAX),
                    n => Position::new(EPOCH, n % (all + 3)),
                };
                read_all(&model, &store, from, until, &selector(wanted), limit);
            }
            Step::Follow => {
                let from = ReadFrom::After(follower.at);
                let limit = PageLimit { events: 3, bytes: 500 };
                let stretch = store.stretch(from, model.last(), &follower.selector, limit.events);
                let page = stretch.select(&follower.selector, limit);
                check_page(&model, &follower.selector, follower.at, &page);
                follower.gap = follower.gap.max(page.trimmed);
                follower.received.extend(page.events.iter().map(|event| event.position));
                follower.at = page.next;
                let mut received = follower.received.iter();
                for event in model.wanted(&follower.selector, Position::ORIGIN, follower.at) {
                    let returned = received.as_slice().first() == Some(&event.position);
                    if returned {
                        received.next();
                    }
                    assert!(returned || follower.gap >= Some(event.position), "lost in silence");
                }
                assert_eq!(received.len(), 0, "nothing twice, nothing out of order");
            }
            Step::WriteAhead => ahead = Some(store.state(Timestamp(0))),
            Step::HandOver { abandoned } => {
                let successor = handed_over(&store, ahead.as_ref(), settings, bounds);
                if !abandoned {
                    store = successor;
                    model.hand_over();
                }
            }
        }
        let stats = store.stats();
        let kept = &model.all[model.lost..];
        assert_eq!(stats.events, kept.len());
        assert_eq!(stats.bytes, kept.iter().map(Event::weight).sum::<usize>() as u64);
        assert_eq!(stats.oldest, kept.first().map(|event| event.position));
        assert_eq!(stats.last, model.last());
        assert!((keys.len()..=3).contains(&stats.keys), "ended windows may linger, no other");
        let topics = kept.iter().map(|event| event.topics().count()).sum::<usize>();
        assert!(stats.topics <= topics + bounds.quiet_topics);
        for id in (0..4).map(id) {
            assert_eq!(store.find(&id), model.find(&id), "the first, if it is kept");
        }
    }
}

fn id(n: usize) -> EventId {
    EventId::parse(&format!("urn:{n}")).unwrap()
}

/// Some have several topics, some are private, some have an id that others had before.
fn make((topic, event_type, length): (usize, usize, usize)) -> Draft {
    let event_type = [None, Some("tick"), Some("tock")][event_type];
    let named = |n: usize| Topic::parse(TOPICS[n % TOPICS.len()]).unwrap();
    let others = (0..length % 4).map(|n| named(topic + n * length));
    let id = (length % 3 == 0).then(|| id(length % 4));
    let topic = named(topic);
    Draft {
        extras: Extras::new(&topic, others, length % 5 == 0, id).unwrap(),
        topic,
        event_type: event_type.map(|name| EventType::parse(name).unwrap()),
        message: "x".repeat(length).into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_in_silence(
        count in prop_oneof![0_u64..20, Just(1_000)],
        bytes in prop_oneof![Just(0_u64), 100_u64..3_000, Just(1 << 20)],
        age in prop_oneof![20_u64..200, Just(1 << 20)],
        quiet_topics in prop_oneof![0_usize..4, Just(100)],
        examined in prop_oneof![1_usize..6, Just(1_000)],
        followed in 0..SELECTORS.len(),
        steps in steps(),
    ) {
        let retention = Retention { count, bytes, age: Duration::from_millis(age) };
        run(retention, Bounds { quiet_topics, examined }, followed, &steps);
    }
}
