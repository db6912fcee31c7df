//! A client that was away receives exactly what it missed.
//!
//! Invariant: *no silent loss*.

use crate::over_http1_and_http2;
use crate::support::{Http, Hub, Ledger, Subscription};

over_http1_and_http2!(
    what_was_missed_is_replayed_exactly,
    an_id_is_taken_from_header_or_query,
    the_header_wins_over_the_query,
    an_empty_id_is_none,
    earliest_is_everything_retained,
    replay_keeps_to_the_selector,
    replay_runs_into_live_delivery,
);

/// A hub that holds the numbers 0 to 99, and their ids.
fn hundred() -> (Hub, Vec<String>) {
    let hub = Hub::start(&[]);
    let ids = hub.publisher().count("default", 0..100);
    (hub, ids)
}

/// Checks that a subscription gets the numbers from `from` to 99 with their ids, then live events.
fn replays(hub: &Hub, ids: &[String], subscription: &Subscription, from: usize) {
    let mut subscriber = subscription.open();
    hub.publisher().send("end");
    let events = subscriber.until("end");
    let received: Vec<_> = events.iter().map(|event| (&event.id, event.data.clone())).collect();
    let expected: Vec<_> = (from..100).map(|n| (&ids[n], n.to_string())).collect();
    assert_eq!(received, expected, "{subscription:?}");
}

fn what_was_missed_is_replayed_exactly(http: Http) {
    let (hub, ids) = hundred();
    for from in [1, 50, 98, 99, 100] {
        let subscription = hub.subscription().over(http).after(&ids[from - 1]);
        let mut subscriber = subscription.open();
        let received = subscriber.messages(100 - from);
        let expected: Vec<_> = (from..100).map(|n| n.to_string()).collect();
        assert_eq!(received, expected);
    }
}

fn an_id_is_taken_from_header_or_query(http: Http) {
    for spelling in ["Last-Event-ID", "last-event-id"] {
        let (hub, ids) = hundred();
        replays(&hub, &ids, &hub.subscription().over(http).header(spelling, &ids[49]), 50);
    }
    for name in ["last_event_id", "lastEventId"] {
        let (hub, ids) = hundred();
        let query = format!("{name}={}", ids[69]);
        replays(&hub, &ids, &hub.subscription().over(http).query(&query), 70);
    }
}

fn the_header_wins_over_the_query(http: Http) {
    let (hub, ids) = hundred();
    let query = format!("last_event_id={}", ids[9]);
    replays(&hub, &ids, &hub.subscription().over(http).query(&query).after(&ids[89]), 90);
}

fn an_empty_id_is_none(http: Http) {
    let (hub, ids) = hundred();
    replays(&hub, &ids, &hub.subscription().over(http).after(""), 100);
    let (hub, ids) = hundred();
    replays(&hub, &ids, &hub.subscription().over(http).query("last_event_id="), 100);
    let (hub, ids) = hundred();
    let query = format!("last_event_id={}", ids[49]);
    let both = hub.subscription().over(http).query(&query).after("");
    replays(&hub, &ids, &both, 50);
}

fn earliest_is_everything_retained(http: Http) {
    let (hub, ids) = hundred();
    replays(&hub, &ids, &hub.subscription().over(http).after("earliest"), 0);
    let (hub, ids) = hundred();
    replays(&hub, &ids, &hub.subscription().over(http).query("lastEventId=earliest"), 0);

    let hub = Hub::start(&["--retain-count", "10"]);
    hub.publisher().count("default", 0..100);
    let mut subscriber = hub.subscription().over(http).after("earliest").open();
    hub.publisher().send("end");
    let events = subscriber.until("end");
    assert!(!events.is_empty() && events.len() < 100, "{events:?}");
    let mut ledger = Ledger::default();
    events.iter().for_each(|event| ledger.enter(event));
    assert_eq!(ledger.next(), 100, "whoever asks for what is there misses nothing");

    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().over(http).after("earliest").open();
    hub.publisher().send("first");
    assert_eq!(subscriber.next().data, "first", "of an empty log, everything is to come");
}

fn replay_keeps_to_the_selector(http: Http) {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let start = publisher.send("start");
    for n in 0..50 {
        publisher.send_to(if n % 2 == 0 { "even/n" } else { "odd/n" }, &n.to_string());
        publisher.publish(&serde_json::json!({
            "topic": "even/n", "message": "unwanted", "event": "noise",
        }));
    }
    for topic in ["even/n", "even/*", "even/**"] {
        let query = format!("topic={topic}&event=message");
        let mut subscriber = hub.subscription().over(http).query(&query).after(&start).open();
        let expected: Vec<_> = (0..50).step_by(2).map(|n| n.to_string()).collect();
        assert_eq!(subscriber.messages(25), expected, "{topic}");
    }
    // Another selector than the one an id was received under is as good.
    let mut subscriber = hub.subscription().over(http).query("topic=odd/*").after(&start).open();
    assert_eq!(subscriber.next().data, "1");
}

fn replay_runs_into_live_delivery(http: Http) {
    let (hub, ids) = hundred();
    let mut subscriber = hub.subscription().over(http).after(&ids[0]).open();
    let mut publisher = hub.publisher();
    let mut ledger = Ledger::beginning_with(1);
    for n in 100..200 {
        publisher.send(&n.to_string());
        ledger.enter(&subscriber.next());
    }
    while ledger.next() < 200 {
        ledger.enter(&subscriber.next());
    }
}
