//! A batch is accepted as a whole, with consecutive positions, or not at all.
//!
//! Invariant: *whole or nothing*.

use serde_json::json;

use crate::support::{Hub, Publisher};

const NDJSON: &[(&str, &str)] = &[("Content-Type", "application/x-ndjson")];

fn refuse(publisher: &mut Publisher, lines: &[&str], bad: usize) {
    let response = publisher.post(NDJSON, lines.join("\n"));
    assert_eq!(response.status, 422, "{lines:?}: {response:?}");
    let detail = response.json()["detail"][0].clone();
    let located = detail["loc"].as_array().is_some_and(|loc| loc.contains(&json!(bad)));
    let told = detail["msg"].as_str().is_some_and(|msg| msg.contains(&format!("line {bad}")));
    assert!(located || told, "line {bad} of {lines:?} is not named: {detail}");
}

#[test]
fn the_events_of_a_batch_follow_each_other() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=a&topic=b");
    let mut publisher = hub.publisher();
    let ids = publisher.batch([
        json!({ "message": "1", "topic": "a" }),
        json!({ "message": "2", "topic": "b", "event": "tick" }),
        json!({ "message": "3", "topic": "a" }),
    ]);
    for (id, message) in ids.iter().zip(["1", "2", "3"]) {
        let event = subscriber.next();
        assert_eq!((&event.id, event.data.as_str()), (id, message));
    }
    let seqs: Vec<_> = ids.iter().map(|id| crate::support::seq(id)).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
}

#[test]
fn a_trailing_line_end_is_no_line() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let response = publisher.post(NDJSON, "{\"message\":\"1\"}\n{\"message\":\"2\"}\n");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()["ids"].as_array().unwrap().len(), 2);
    let response = publisher.post(NDJSON, "{\"message\":\"1\"}\r\n{\"message\":\"2\"}\r\n");
    assert_eq!(response.status, 200, "CR is white space in JSON: {response:?}");
}

#[test]
fn one_bad_line_refuses_all_of_them() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=**");
    let mut publisher = hub.publisher();
    let good = r#"{"message": "refused with the others"}"#;
    for bad in [
        "{",
        "{}",
        "[]",
        "null",
        r#"{"message": 1}"#,
        r#"{"message": "a", "topic": "*"}"#,
        r#"{"message": "a", "event": "fanfare.x"}"#,
        r#"{"message": "\ud800"}"#,
        r#"{"message": "a"} {"message": "b"}"#,
    ] {
        refuse(&mut publisher, &[bad, good, good], 1);
        refuse(&mut publisher, &[good, bad, good], 2);
        refuse(&mut publisher, &[good, good, bad], 3);
    }
    let mut body = format!("{good}\n{good}\n").into_bytes();
    body.extend_from_slice(b"{\"message\": \"\xff\"}");
    let response = publisher.post(NDJSON, body);
    assert_eq!(response.status, 400, "{response:?}");
    let response = publisher.post(NDJSON, "");
    assert_eq!(response.status, 422, "a batch of nothing: {response:?}");
    publisher.send("after");
    assert_eq!(subscriber.next().data, "after");
}
