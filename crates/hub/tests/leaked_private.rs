//! A private event reaches someone without a right to it: live, replayed, or by something that is shared
//! with others who have one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fanfare_event::{
    Draft, Event, EventId, Extras, Pattern, Position, PrivateRights, Selector, Timestamp, Topic,
};
use fanfare_hub::{
    Envelope, Frame, GapReason, Hub, Interest, Requested, Slot, Window, WindowBounds,
};
use fanfare_log::{Batch, EventLog, PageLimit, ReadFrom, Retention};
use fanfare_memory::{MemoryLog, MemorySettings};
use proptest::prelude::*;

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn draft(topics: &[&str], private: bool, id: Option<&str>) -> Draft {
    let others = topics[1..].iter().map(|name| topic(name));
    let id = id.map(|id| EventId::parse(id).unwrap());
    let extras = Extras::new(&topic(topics[0]), others, private, id).unwrap();
    Draft { topic: topic(topics[0]), event_type: None, message: "m".into(), extras }
}

fn slot(topics: &[&str], private: bool) -> Slot {
    let event = draft(topics, private, None).accepted(Position::new(7, 1), Timestamp(0));
    Slot::new(Frame::new(Arc::new(event)))
}

fn rights(patterns: &[&str]) -> PrivateRights {
    PrivateRights::of(patterns.iter().map(|text| Pattern::parse(text).unwrap()))
}

fn selector(topics: &[&str]) -> Selector {
    Selector::parse(topics.iter().copied(), []).unwrap()
}

#[test]
fn an_interest_is_shared_by_equal_rights_only() {
    let none = Interest::shared(Selector::default(), PrivateRights::None);
    let all = Interest::shared(Selector::default(), PrivateRights::Every);
    let again = Interest::shared(Selector::default(), PrivateRights::None);
    assert!(Arc::ptr_eq(&none, &again));
    let secret = slot(&["default"], true);
    for (interest, receives) in [(&none, false), (&all, true), (&again, false)] {
        assert_eq!((interest.wants(&secret), interest.wants_type(&secret)), (receives, receives));
        assert!(interest.wants(&slot(&["default"], false)));
    }
}

#[test]
fn a_right_to_one_of_its_topics_opens_an_event() {
    let wants = |asked: &[&str], granted: &[&str], topics: &[&str]| {
        let interest = Interest::new(selector(asked), rights(granted));
        let secret = slot(topics, true);
        let public = slot(topics, false);
        assert!(interest.wants(&public) && interest.wants_type(&public));
        assert_eq!(interest.wants(&secret), interest.wants_type(&secret));
        interest.wants(&secret)
    };
    assert!(wants(&["a"], &["a"], &["a"]));
    assert!(wants(&["a"], &["b"], &["a", "b"]), "one of its topics is enough");
    assert!(wants(&["**"], &["b/*"], &["b/1"]));
    assert!(!wants(&["**"], &["b/*"], &["a"]));
    assert!(!wants(&["a", "b"], &["b"], &["a"]));
    assert!(!wants(&["a"], &[], &["a"]));
}

fn hub() -> Hub {
    let retention = Retention { count: 10, bytes: 1 << 20, age: Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 100, bytes: 1 << 20 }, retention));
    let settings = MemorySettings { retention, key_window: retention.age, key_capacity: 10 };
    let log = MemoryLog::open(settings, window.clone());
    Hub::new(window, log as Arc<dyn EventLog>)
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a log in memory has nothing to wait for"),
    }
}

fn publish(hub: &Hub, draft: Draft) -> Position {
    at_once(hub.publish(Batch { drafts: vec![draft], key: None })).unwrap().first
}

#[test]
fn a_page_is_read_by_its_readers_rights() {
    let hub = hub();
    let first = publish(&hub, draft(&["a"], true, None));
    let last = publish(&hub, draft(&["a", "b"], false, None));
    let read = |private| {
        let interest = Interest::new(selector(&["a", "b"]), private);
        let limit = PageLimit { events: 10, bytes: 1 << 20 };
        let page = hub.catch_up(ReadFrom::Earliest, &interest, Envelope::None, limit).unwrap();
        assert_eq!((page.gap, page.next), (None, last), "without a trace");
        page.slots.iter().map(|slot| slot.frame.position()).collect::<Vec<_>>()
    };
    assert_eq!(read(PrivateRights::Every), [first, last]);
    assert_eq!(read(PrivateRights::None), [last]);
    assert_eq!(read(rights(&["b"])), [last]);
}

#[test]
fn a_publishers_id_is_resumed_from_its_place() {
    let hub = hub();
    let named = publish(&hub, draft(&["a"], false, Some("urn:1")));
    publish(&hub, draft(&["a"], false, None));
    let resume = |text: &str| {
        let requested = Requested::AfterId(EventId::parse(text).unwrap());
        hub.resolve(&at_once(hub.locate(requested)).unwrap()).into_start()
    };
    let start = resume("urn:1");
    assert_eq!((start.gap, start.from), (None, ReadFrom::After(named)));
    let start = resume("urn:2");
    let gap = start.gap.unwrap();
    assert_eq!((gap.reason, &*gap.requested), (GapReason::UnknownId, "urn:2"));
    assert_eq!(start.from, ReadFrom::After(gap.resumed_from), "everything retained");
    assert!(gap.resumed_from < named);
}

#[test]
fn a_publishers_id_is_shown_only_to_who_asks() {
    let text = |id: Option<&str>, envelope| {
        let event = draft(&["a", "b"], false, id).accepted(Position::new(7, 1), Timestamp(0));
        let frame = Frame::new(Arc::new(event));
        String::from_utf8(frame.encoded(envelope).bare().to_vec()).unwrap()
    };
    assert_eq!(text(Some("urn:1"), Envelope::None), "id: 7-1\ndata: m\n\n");
    assert_eq!(text(Some("urn:1"), Envelope::OwnId), "id: urn:1\ndata: m\n\n");
    assert_eq!(text(None, Envelope::OwnId), "id: #7-1\ndata: m\n\n");
    for envelope in [Envelope::Json, Envelope::Sealed] {
        let shown = text(Some("urn:1"), envelope);
        assert!(shown.starts_with("id: 7-1\ndata: {\"topic\":\"a\",\"topics\":[\"a\",\"b\"],"));
    }
}

const NAMES: [&str; 5] = ["a", "b/1", "b/2", "c", "d/e/f"];
const WANTED: [&str; 8] = ["a", "b/1", "b/*", "c", "**", "d/**", "*/e/*", "x"];

proptest! {
    #[test]
    fn an_event_of_several_topics_is_wanted_as_events_of_each_would_be(
        topics in prop::collection::vec(0..NAMES.len(), 1..6),
        wanted in prop::collection::vec(0..WANTED.len(), 1..4),
        granted in prop::collection::vec(0..WANTED.len(), 0..3),
        private: bool,
    ) {
        let topics: Vec<_> = topics.iter().map(|n| NAMES[*n]).collect();
        let wanted: Vec<_> = wanted.iter().map(|n| WANTED[*n]).collect();
        let granted: Vec<_> = granted.iter().map(|n| WANTED[*n]).collect();
        let covered = |patterns: &[&str]| topics.iter().any(|name| {
            patterns.iter().any(|text| Pattern::parse(text).unwrap().matches(&topic(name)))
        });
        let interest = Interest::new(selector(&wanted), rights(&granted));
        let expected = covered(&wanted) && (!private || covered(&granted));
        let slot = slot(&topics, private);
        prop_assert_eq!(interest.wants(&slot), expected);
        if covered(&wanted) {
            prop_assert_eq!(interest.wants_type(&slot), expected);
        }
        let event: &Event = slot.frame.event().unwrap();
        prop_assert_eq!(interest.receives(event), expected);
    }
}
