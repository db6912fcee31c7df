//! A subscriber that comes back is given less than it missed, or is not told where its stream begins.

use super::{asking, hub, hub_with, listen, publish};
use crate::support::await_that;

#[test]
fn whoever_comes_back_gets_exactly_what_they_missed() {
    let hub = hub();
    let ids: Vec<_> = (0..5).map(|n| publish(&hub, &format!("topic=a&data={n}"))).collect();
    publish(&hub, "topic=b&data=other");
    for (n, id) in ids.iter().enumerate().take(4) {
        let by_header = asking(&hub, "match=a").after(id);
        let escaped = id.replace('#', "%23");
        let by_query = asking(&hub, &format!("match=a&last_event_id={escaped}"));
        let by_older_query = asking(&hub, &format!("match=a&lastEventID={escaped}"));
        for subscription in [by_header, by_query, by_older_query] {
            let mut heard = subscription.open();
            assert_eq!(heard.head.header("mercure-last-event-id"), Some(&**id));
            for (expected, id) in ids.iter().enumerate().skip(n + 1) {
                let event = heard.next();
                assert_eq!((&event.data, &event.id), (&expected.to_string(), id));
            }
        }
    }
}

#[test]
fn the_header_goes_before_the_address() {
    let hub = hub();
    let ids: Vec<_> = (0..3).map(|n| publish(&hub, &format!("topic=a&data={n}"))).collect();
    let query = format!("match=a&last_event_id={}", ids[0].replace('#', "%23"));
    let mut heard = asking(&hub, &query).after(&ids[1]).open();
    assert_eq!(heard.head.header("mercure-last-event-id"), Some(&*ids[1]));
    assert_eq!(heard.next().data, "2");
}

#[test]
fn earliest_is_everything() {
    let hub = hub();
    publish(&hub, "topic=a&data=0");
    publish(&hub, "topic=a&data=1");
    for subscription in
        [asking(&hub, "match=a").after("earliest"), asking(&hub, "match=a&last_event_id=earliest")]
    {
        let mut heard = subscription.open();
        assert_eq!(heard.head.header("mercure-last-event-id"), Some("earliest"));
        assert_eq!((heard.next().data, heard.next().data), ("0".to_owned(), "1".to_owned()));
    }
}

#[test]
fn an_unknown_id_is_told_of_in_the_head_and_in_the_stream() {
    let hub = hub();
    publish(&hub, "topic=a&data=0");
    for id in ["urn:uuid:0", "#1-1", "#nothing"] {
        let mut heard = asking(&hub, "match=a").after(id).open();
        assert_eq!(heard.head.header("mercure-last-event-id"), Some("earliest"), "{id}");
        let gap = heard.next();
        assert!(gap.is_gap(), "an EventSource can hear of it: {gap:?}");
        assert_eq!(heard.next().data, "0", "what is left of the history, after {id}");
    }
}

#[test]
fn what_was_trimmed_is_told_of_in_the_head() {
    let hub = hub_with(&["--retain-count", "5", "--window-count", "5"]);
    let first = publish(&hub, "topic=a&data=0");
    for n in 0..200 {
        publish(&hub, &format!("topic=a&data={n}"));
    }
    let heard = asking(&hub, "match=a").after(&first).open();
    assert_eq!(heard.head.header("mercure-last-event-id"), Some("earliest"));
}

#[test]
fn whoever_asks_for_nothing_is_told_nothing() {
    let hub = hub();
    publish(&hub, "topic=a&data=0");
    let mut heard = listen(&hub, "match=a&last_event_id=");
    assert_eq!(heard.head.header("mercure-last-event-id"), None);
    publish(&hub, "topic=a&data=1");
    assert_eq!(heard.next().data, "1");
}

#[test]
fn a_stream_may_be_without_what_the_protocol_does_not_know() {
    let hub = hub_with(&["--mercure-gap-events=false"]);
    publish(&hub, "topic=a&data=0");
    let mut heard = asking(&hub, "match=a").after("urn:uuid:0").open();
    assert_eq!(heard.head.header("mercure-last-event-id"), Some("earliest"));
    assert_eq!(heard.next().data, "0", "no gap comes before it");
}

#[test]
fn of_several_updates_with_one_id_the_earliest_is_meant() {
    let hub = hub();
    publish(&hub, "topic=a&id=urn:x:0&data=0");
    for n in 1..4 {
        publish(&hub, &format!("topic=a&id=urn:again&data={n}"));
    }
    let mut heard = asking(&hub, "match=a").after("urn:again").open();
    assert_eq!(heard.head.header("mercure-last-event-id"), Some("urn:again"));
    let ids = [heard.next(), heard.next()].map(|event| (event.id, event.data));
    let expected = ["2", "3"].map(|data| ("urn:again".to_owned(), data.to_owned()));
    assert_eq!(ids, expected, "later updates of the same id too");
}

#[test]
fn an_id_whose_first_update_is_gone_leads_behind_no_later_one() {
    let hub = hub_with(&["--retain-count", "5", "--window-count", "5"]);
    publish(&hub, "topic=a&id=urn:first&data=0");
    publish(&hub, "topic=a&id=urn:again&data=0");
    for n in 1..=110 {
        publish(&hub, &format!("topic=a&data={n}"));
        publish(&hub, &format!("topic=a&id=urn:again&data={n}"));
    }
    publish(&hub, "topic=a&data=last");
    let come_back = |id: &str| {
        let mut heard = asking(&hub, "match=a").after(id).open();
        assert_eq!(heard.head.header("mercure-last-event-id"), Some("earliest"), "{id}");
        let gap = heard.next();
        assert!(gap.is_gap(), "{id}: {gap:?}");
        gap.data
    };
    // With Redis, ids are forgotten some seconds after their events.
    await_that("the first ids are forgotten", || come_back("urn:first").contains("unknown_id"));
    assert!(come_back("urn:again").contains("unknown_id"), "it received any of them");
}

#[test]
fn an_id_of_the_publishers_is_an_exact_cursor() {
    let hub = hub();
    for n in 0..3 {
        publish(&hub, &format!("topic=a&id=urn:x:{n}&data={n}"));
    }
    for subscription in
        [asking(&hub, "match=a").after("urn:x:0"), asking(&hub, "match=a&last_event_id=urn:x:0")]
    {
        let mut heard = subscription.open();
        assert_eq!(heard.head.header("mercure-last-event-id"), Some("urn:x:0"));
        let (first, second) = (heard.next(), heard.next());
        assert_eq!((&*first.id, &*first.data), ("urn:x:1", "1"));
        assert_eq!((&*second.id, &*second.data), ("urn:x:2", "2"));
    }
}
