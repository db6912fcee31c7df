//! What was read for one is given to another as if it had been read for that one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fanfare_event::{Draft, Extras, Pattern, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Stretch, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, PageLimit, ReadFrom, Retention, Tail};
use fanfare_testkit::FickleLog;

const ALL: PageLimit = PageLimit { events: 100, bytes: 1 << 20 };

/// A hub over a log that retains so many events.
fn hub(retain: usize) -> (Hub, Arc<FickleLog>) {
    let retention = Retention { count: 100, bytes: 1 << 20, age: Duration::from_secs(60) };
    let window = Arc::new(Window::new(WindowBounds { count: 1, bytes: 1 << 20 }, retention));
    let log = FickleLog::open(retain, Arc::clone(&window) as Arc<dyn Tail>);
    (Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>), log)
}

fn publish(hub: &Hub, count: usize, topic: &str, private: bool) {
    let topic = Topic::parse(topic).unwrap();
    let extras = Extras::new(&topic, [], private, None).unwrap();
    let draft = Draft { topic, event_type: None, message: "m".into(), extras };
    let publishing = hub.publish(Batch { drafts: vec![draft; count], key: None });
    match pin!(publishing).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(accepted) => drop(accepted.unwrap()),
        Poll::Pending => panic!("a log in memory has nothing to wait for"),
    }
}

fn interest(topic: &str, private: PrivateRights) -> Arc<Interest> {
    Arc::new(Interest::new(Selector::parse([topic], []).unwrap(), private))
}

/// Where someone stands who has so many events of the present epoch.
fn after(hub: &Hub, seq: u64) -> ReadFrom {
    ReadFrom::After(fanfare_event::Position { seq, ..hub.window().last() })
}

/// The gap, the events and the end of the page for one who stands there; `None` where there is none.
fn page(
    hub: &Hub,
    stretch: &Stretch,
    from: ReadFrom,
    interest: &Interest,
    limit: PageLimit,
) -> Option<(Option<u64>, Vec<u64>, u64)> {
    let page = hub.page_of(stretch, from, interest, Envelope::None, limit)?;
    let seqs = page.slots.iter().map(|slot| slot.frame.position().seq).collect();
    Some((page.gap.map(|gap| gap.resumed_from.seq), seqs, page.next.seq))
}

#[test]
fn each_is_given_what_it_lacks_and_no_more_than_it_asked_for() {
    let (hub, _) = hub(100);
    publish(&hub, 10, "a", false);
    let a = interest("a", PrivateRights::None);
    let stretch = hub.read_stretch(after(&hub, 2), &a, ALL).unwrap();
    let page = |seq, limit| page(&hub, &stretch, after(&hub, seq), &a, limit);
    assert_eq!(page(2, ALL), Some((None, (3..=10).collect(), 10)));
    assert_eq!(page(6, ALL), Some((None, (7..=10).collect(), 10)));
    assert_eq!(page(6, PageLimit { events: 2, ..ALL }), Some((None, vec![7, 8], 8)));
    assert_eq!(page(6, PageLimit { bytes: 1, ..ALL }), Some((None, vec![7], 7)));
    assert_eq!((page(1, ALL), page(10, ALL)), (None, None), "it does not reach there");
    assert_eq!(hub.reads(), 1);
}

#[test]
fn what_was_trimmed_is_told_to_those_who_lack_it_and_to_nobody_else() {
    let (hub, _) = hub(5);
    publish(&hub, 10, "a", false);
    let a = interest("a", PrivateRights::None);
    let stretch = hub.read_stretch(after(&hub, 2), &a, ALL).unwrap();
    let page = |seq| page(&hub, &stretch, after(&hub, seq), &a, ALL);
    assert_eq!(page(2), Some((Some(5), (6..=10).collect(), 10)));
    assert_eq!(page(5), Some((None, (6..=10).collect(), 10)));
    assert_eq!(page(7), Some((None, (8..=10).collect(), 10)));
    assert_eq!(page(3), None, "whether it lacks anything was not asked");
}

#[test]
fn a_stretch_read_before_a_known_loss_is_not_given() {
    let (hub, log) = hub(100);
    publish(&hub, 10, "a", false);
    let (a, from) = (interest("a", PrivateRights::None), after(&hub, 2));
    let stretch = hub.read_stretch(from, &a, ALL).unwrap();
    assert!(page(&hub, &stretch, from, &a, ALL).is_some());
    log.lose(4);
    assert_eq!(page(&hub, &stretch, from, &a, ALL), None);
}

#[test]
fn a_stretch_serves_an_equal_selector_within_ones_own_rights() {
    let (hub, _) = hub(100);
    publish(&hub, 2, "a", false);
    publish(&hub, 2, "a", true);
    publish(&hub, 2, "b", false);
    let everything = PrivateRights::of([Pattern::parse("**").unwrap()]);
    let from = after(&hub, 0);
    let stretch = hub.read_stretch(from, &interest("a", everything), ALL).unwrap();
    let page = |it: &Interest| page(&hub, &stretch, from, it, ALL);
    assert_eq!(page(&interest("b", PrivateRights::None)), None);
    assert_eq!(page(&interest("a", PrivateRights::None)), Some((None, vec![1, 2], 6)));
}
