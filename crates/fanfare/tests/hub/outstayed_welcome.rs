//! A right that ends, ends the streams that live on it.

use serde_json::json;

use crate::over_http1_and_http2;
use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Event, Http, Hub, Subscriber, Subscription};

over_http1_and_http2!(
    a_stream_outlives_its_token,
    a_slow_stream_outlives_its_token,
    a_stream_outlives_its_subject,
);

fn holder(subject: &str, seconds: f64) -> String {
    let rights = json!({"publish": ["**"], "subscribe": ["**"], "admin": subject == "root"});
    bearer(&token(&claims(subject, seconds, &rights)))
}

fn subscription(hub: &Hub, http: Http, holder: &str) -> Subscription {
    hub.subscription().over(http).header("Authorization", holder)
}

/// Subscribes from the beginning with a token of a moment, which is longer on a busy machine; the stream, its first
/// event, the token, and how many streams were over before they had told one.
fn open_for_a_moment(hub: &Hub, http: Http) -> (Subscriber, Event, String, f64) {
    let mut over = 0.0;
    for seconds in [1.5, 3.0, 6.0, 12.0, 24.0] {
        let holder = holder("ada", seconds);
        let subscription =
            subscription(hub, http, &holder).query("last_event_id=earliest").narrow();
        let Some(mut subscriber) = subscription.try_open() else { continue };
        let first = subscriber.next();
        if first.kind.as_deref() != Some("fanfare.expired") {
            return (subscriber, first, holder, over);
        }
        over += 1.0;
    }
    panic!("a token expires before it can be used");
}

fn publish(hub: &Hub, message: &str) {
    let headers =
        [("Authorization", &*holder("eve", 3600.0)), ("Content-Type", "application/json")];
    let response = hub.publisher().post(&headers, json!({ "message": message }).to_string());
    assert_eq!(response.status, 200, "{response:?}");
}

fn assert_over(subscriber: &mut Subscriber) {
    let last = subscriber.until_closed().pop().expect("word of the end");
    assert_eq!(last.kind.as_deref(), Some("fanfare.expired"), "{last:?}");
    assert!(!last.id.is_empty());
}

fn a_stream_outlives_its_token(http: Http) {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let mut staying = subscription(&hub, http, &holder("ada", 3600.0)).open();
    publish(&hub, "before");
    let (mut subscriber, first, short, over) = open_for_a_moment(&hub, http);
    assert_eq!(first.data, "before");
    assert_over(&mut subscriber);
    let (again, _) = subscription(&hub, http, &short).ask();
    assert_eq!(again.status, 401);
    publish(&hub, "after");
    assert_eq!(staying.messages(2), ["before", "after"]);
    hub.await_metrics("it expired, and no other that was let in", |now| {
        now.labelled("fanfare_closed_total", "\"expired\"") == over + 1.0
            && now.sum("fanfare_subscribers") == 1.0
    });
    // Nothing was lost between the two: the id of the last event is where to resume.
    let resumed =
        subscription(&hub, http, &holder("ada", 3600.0)).after(subscriber.last_event_id());
    assert_eq!(resumed.open().next().data, "after");
}

/// One that is replaying when its time is over.
fn a_slow_stream_outlives_its_token(http: Http) {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let headers =
        [("Authorization", &*holder("eve", 3600.0)), ("Content-Type", "application/x-ndjson")];
    let line = json!({"message": "x".repeat(100_000)}).to_string();
    let mut publisher = hub.publisher();
    for _ in 0..20 {
        let batch = vec![line.as_str(); 50].join("\n");
        assert_eq!(publisher.post(&headers, batch).status, 200);
    }
    let (mut subscriber, _, short, _) = open_for_a_moment(&hub, http);
    hub.await_metrics("its time is over", |_| {
        subscription(&hub, http, &short).ask().0.status == 401
    });
    assert_over(&mut subscriber);
}

fn a_stream_outlives_its_subject(http: Http) {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let root = holder("root", 3600.0);
    let cut = |subject: &str| -> u64 {
        let path = format!("/sse/subscribers?subject={subject}");
        let response = hub.request("DELETE", &path, &[("Authorization", &root)]);
        assert_eq!(response.status, 200, "{response:?}");
        let answer = response.json();
        assert_eq!(answer["status"], "streams closed");
        answer["count"].as_u64().expect("a number")
    };
    let open = |subject: &str| {
        let mut subscriber = subscription(&hub, http, &holder(subject, 3600.0)).open();
        publish(&hub, "it has begun");
        assert_eq!(subscriber.next().data, "it has begun");
        subscriber
    };
    let mut bob = open("bob smith");
    let mut adas = [open("ada"), open("ada")];
    assert_eq!(cut("ad"), 0);
    // Each node counts its own.
    let nodes = hub.nodes() as u64;
    assert_eq!(cut("ada"), 2 / nodes);
    for ada in &mut adas {
        ada.until_closed();
        assert!(ada.retries.len() >= 2, "it is told when to come back");
    }
    publish(&hub, "who is left");
    bob.until("who is left");
    cut("bob%20smith");
    bob.until_closed();
    assert_eq!(cut("ada"), 0);
    hub.await_metrics("three revoked", |now| {
        now.labelled("fanfare_closed_total", "\"revoked\"") == 3.0
    });

    let nameless = hub.request("DELETE", "/sse/subscribers", &[("Authorization", &root)]);
    assert_eq!(nameless.status, 422, "{nameless:?}");
}
