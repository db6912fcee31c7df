//! A page that cannot show more than a few updates a second is not written to for each event, and
//! misses none.
//!
//! Invariants: *one sequence*, *once*.

use crate::support::{Http, Hub};

const EVENTS: usize = 60;

/// Publishes events one by one, and returns how many writes those took that had a reader.
fn writes_for(hub: &Hub, query: &str, http: Http) -> f64 {
    let mut subscriber = hub.subscription().query(query).over(http).open();
    hub.await_metrics("the stream", |now| now.sum("fanfare_subscribers") == 1.0);
    let before = hub.metrics().sum("fanfare_writes_total");
    let mut publisher = hub.publisher();
    let sent: Vec<_> = (0..EVENTS).map(|number| number.to_string()).collect();
    sent.iter().for_each(|message| drop(publisher.send(message)));
    assert_eq!(subscriber.messages(EVENTS), sent);
    let writes = hub.metrics().sum("fanfare_writes_total") - before;
    drop(subscriber);
    hub.await_metrics("it to leave", |now| now.sum("fanfare_subscribers") == 0.0);
    writes
}

#[test]
fn events_within_an_interval_share_a_write() {
    let hub = Hub::alone(&[]);
    for http in [Http::One, Http::Two] {
        // The first is written at once; the others together, unless publishing them takes long.
        let writes = writes_for(&hub, "interval=2000", http);
        assert!(
            writes <= EVENTS as f64 / 3.0,
            "{writes} writes for {EVENTS} events, over {http:?}"
        );
    }
}

#[test]
fn an_interval_out_of_bounds_is_refused() {
    let hub = Hub::alone(&[]);
    for interval in ["", "0", "9", "10001", "-1", "1e3", "40ms", "99999999999999999999"] {
        let path = format!("/sse/events?interval={interval}");
        let response = hub.connect().request("GET", &path, &[], b"");
        assert_eq!(response.status, 422, "{interval:?}: {response:?}");
        let detail = &response.json()["detail"][0];
        assert_eq!(detail["loc"], serde_json::json!(["query", "interval"]));
        let message = detail["msg"].as_str().unwrap();
        assert!(message.contains("milliseconds from 10 to 10000"), "{message}");
    }
    hub.subscription().query("interval=10").open();
}

#[test]
fn a_page_that_leaves_in_an_interval_misses_nothing() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscription().query("interval=10000").open();
    let mut publisher = hub.publisher();
    publisher.send("first");
    assert_eq!(subscriber.messages(1), ["first"]);
    publisher.send("held back");
    let mut back = hub.subscription().after(subscriber.last_event_id()).open();
    assert_eq!(back.messages(1), ["held back"]);
}
