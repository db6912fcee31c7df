//! A name with a slip of the finger in it is ignored, and an event goes to another topic than was meant,
//! or a stream listens to another.

use serde_json::{Value, json};

use crate::support::Hub;

fn refused(hub: &Hub, body: &Value) -> Value {
    let response = hub.publisher().post_json(body.to_string());
    assert_eq!(response.status, 422, "{body}: {response:?}");
    response.json()["detail"].clone()
}

#[test]
fn a_near_miss_of_a_field_is_refused() {
    let hub = Hub::start(&[]);
    for (name, meant) in
        [("topci", "topic"), ("Topic", "topic"), ("evnt", "event"), ("messages", "message")]
    {
        let expected = json!([{
            "type": "extra_forbidden", "loc": ["body", name],
            "msg": format!("Extra inputs are not permitted: did you mean '{meant}'?"),
            "input": "x",
        }]);
        assert_eq!(refused(&hub, &json!({ "message": "a", name: "x" })), expected);
    }
    let missing = refused(&hub, &json!({ "mesage": "a" }));
    let kinds: Vec<_> = missing.as_array().unwrap().iter().map(|fault| &fault["type"]).collect();
    assert_eq!(kinds, ["missing", "extra_forbidden"], "{missing}");
}

#[test]
fn a_line_with_a_near_miss_is_named() {
    let hub = Hub::start(&[]);
    let lines = "{\"message\": \"a\"}\n{\"message\": \"b\", \"topc\": \"x\"}\n";
    let response = hub.publisher().post(&[("Content-Type", "application/x-ndjson")], lines);
    assert_eq!(response.status, 422, "{response:?}");
    let fault = &response.json()["detail"][0];
    assert_eq!(fault["loc"], json!(["body", 2, "topc"]), "{fault}");
    assert!(fault["msg"].as_str().unwrap().ends_with("did you mean 'topic'?"), "{fault}");
}

#[test]
fn an_unknown_field_is_ignored() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let event = json!({ "message": "a", "ip": "x", "user": 1, "tpico": "x", "data": {} });
    hub.publisher().publish(&event);
    assert_eq!(subscriber.next().data, "a");
}

#[test]
fn a_near_miss_of_a_parameter_is_refused() {
    let hub = Hub::alone(&[]);
    for (path, name, meant) in [
        ("/sse/events?topc=a", "topc", "topic"),
        ("/sse/events?topic=a&events=b", "events", "event"),
        ("/sse/events?last_event_ids=1-1", "last_event_ids", "last_event_id"),
        ("/sse/events?tiket=a", "tiket", "ticket"),
        ("/sse/events?envelop=json", "envelop", "envelope"),
    ] {
        let response = hub.get(path);
        assert_eq!(response.status, 422, "{path}: {response:?}");
        let fault = &response.json()["detail"][0];
        assert_eq!(fault["type"], "extra_forbidden", "{path}: {fault}");
        assert_eq!(fault["loc"], json!(["query", name]));
        let hint = format!("did you mean '{meant}'?");
        assert!(fault["msg"].as_str().unwrap().ends_with(&hint), "{fault}");
    }
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"invalid_subscribe\"");
    assert_eq!(refused, 5.0);
}

#[test]
fn a_field_in_the_address_of_a_publish_is_refused() {
    let hub = Hub::alone(&[]);
    let json = [("Content-Type", "application/json")];
    let lines = [("Content-Type", "application/x-ndjson"), ("Accept", "application/x-ndjson")];
    let body = br#"{"message": "a"}"#;
    for (path, name, headers, said) in [
        ("send?topic=a", "topic", &json[..], "'topic' belongs in the body"),
        ("send?topc=a", "topc", &json, "did you mean 'topic'? It belongs in the body"),
        ("send?x=1&even%74=paid", "event", &json, "'event' belongs in the body"),
        ("send?id=1", "id", &json, "'id' belongs in the body"),
        ("send?private=true", "private", &lines, "'private' belongs in the body"),
        ("topics/a?evnt=x", "evnt", &[], "did you mean 'event'? It belongs in the header X-Event"),
        ("topics/a?topic=b", "topic", &[], "'topic' belongs in the path"),
        (
            "topics/a?private=1",
            "private",
            &[],
            "'private' belongs in the body of a publish in JSON, to /send",
        ),
    ] {
        let response = hub.connect().request("POST", &format!("/sse/{path}"), headers, body);
        assert_eq!(response.status, 422, "{path}: {response:?}");
        let fault = &response.json()["detail"][0];
        assert_eq!(fault["type"], "extra_forbidden", "{path}: {fault}");
        assert_eq!(fault["loc"], json!(["query", name]));
        assert_eq!(fault["msg"], format!("Extra inputs are not permitted: {said}"));
    }
    let metrics = hub.metrics();
    assert_eq!(metrics.labelled("fanfare_refused_total", "\"invalid_publish\""), 8.0);
    assert_eq!(metrics.sum("fanfare_publishes_total"), 0.0);
}

#[test]
fn an_unknown_parameter_of_a_publish_is_ignored() {
    let hub = Hub::start(&[]);
    let json = [("Content-Type", "application/json")];
    for path in ["send?_=17&utm_source=x&ticket=1&%ff=1", "topics/default?ip=x&to=%ff&"] {
        let path = format!("/sse/{path}");
        let response = hub.connect().request("POST", &path, &json, br#"{"message": "a"}"#);
        assert_eq!(response.status, 200, "{path}: {response:?}");
    }
}

#[test]
fn an_unknown_parameter_of_a_stream_is_ignored() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=a&_=17&utm_source=x&since=1&x[]=1");
    hub.publisher().publish(&json!({ "topic": "a", "message": "heard" }));
    assert_eq!(subscriber.next().data, "heard");
}
