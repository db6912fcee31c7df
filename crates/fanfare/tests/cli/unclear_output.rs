//! What is printed can be told apart, by people and by scripts.

use serde_json::json;

use crate::support::{Hub, json, run};

#[test]
fn what_was_published_arrives_as_published() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscriber_with_id(&["--count", "3"]);
    hub.publish(&["Hello from server!"]);
    hub.publish(&["default", " \u{1b}[1m\tspaces and escapes "]);
    hub.publish(&["default", "two\nlines", "--event", "note"]);
    assert!(subscriber.wait().success());
    assert_eq!(
        subscriber.stdout(),
        "Hello from server!\n \u{1b}[1m\tspaces and escapes \nnote two\nnote lines\n"
    );
    assert_eq!(subscriber.stderr(), "");
}

/// Events without their times, which must be there.
fn timeless(lines: &str) -> Vec<serde_json::Value> {
    let mut events = json(lines);
    for event in &mut events {
        let time = event.as_object_mut().unwrap().remove("published_at");
        assert!(time.is_some_and(|time| time.is_string()), "{event}");
    }
    events
}

#[test]
fn json_names_id_event_topic_and_data() {
    let hub = Hub::start(&[]);
    let first = hub.publish(&["orders/1", "a\nb", "--event", "paid"]);
    let ended = run(&mut hub.fanfare(&["publish", "orders/2", "\"{}\"", "--json"]));
    let second = json(&ended.stdout)[0]["id"].as_str().unwrap().to_owned();
    let paid = [json!({"id": first, "event": "paid", "topic": "orders/1", "data": "a\nb"})];
    let plain = [json!({"id": second, "event": null, "topic": "orders/2", "data": "\"{}\""})];

    let since = ["--since", "earliest", "--json", "--count"];
    let subscribe =
        |arguments: &[&str]| timeless(&hub.lines(&[&["subscribe"], arguments].concat()).join("\n"));
    // One topic, a pattern, several topics: the hub wraps the last two, and nobody must notice.
    assert_eq!(subscribe(&[&["orders/1"], &since[..], &["1"]].concat()), paid);
    for topics in [&["orders/*"][..], &["orders/1", "orders/2"]] {
        assert_eq!(subscribe(&[topics, &since[..], &["2"]].concat()), [&paid[..], &plain].concat());
    }
    let of_type = subscribe(&[&["**", "--event", "message"], &since[..], &["1"]].concat());
    assert_eq!(of_type, plain);
    let after = subscribe(&["orders/2", "--since", &first, "--json", "--count", "1"]);
    assert_eq!(after, plain);
}

#[test]
fn several_topics_are_told_apart() {
    let hub = Hub::start(&[]);
    hub.publish(&["a", "1"]);
    hub.publish(&["b", "2", "--event", "x"]);
    let lines = hub.lines(&["subscribe", "a", "b", "--since", "earliest", "--count", "2"]);
    assert_eq!(lines, ["a 1", "b x 2"]);
}

#[test]
fn a_key_publishes_once() {
    let hub = Hub::start(&[]);
    let first = hub.publish(&["reports", "ready", "--key", "report-1"]);
    assert_eq!(hub.publish(&["reports", "ready", "--key", "report-1"]), first);
    assert_ne!(hub.publish(&["reports", "ready"]), first);
}

#[test]
fn a_gap_is_reported() {
    let hub = Hub::start(&[]);
    hub.publish(&["1"]);
    let ended = run(&mut hub.fanfare(&["subscribe", "--since", "17-4", "--count", "1"]));
    assert_eq!(ended.lines(), ["1"]);
    assert!(ended.stderr.contains("warning: gap (unknown_epoch): events after 17-4 are gone"));
}

#[test]
fn quiet_prints_nothing() {
    let hub = Hub::start(&[]);
    assert_eq!(hub.lines(&["publish", "x", "--quiet"]), [""; 0]);
}
