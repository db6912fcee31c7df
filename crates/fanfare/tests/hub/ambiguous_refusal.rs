//! A publish that cannot be accepted is refused in the shape FastAPI gives it, byte offsets and
//! texts included, because callers parse it; and it reaches nobody.
//!
//! Invariant: *valid by type*.

use serde_json::{Value, json};

use crate::support::{Hub, Publisher};

const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

fn detail(publisher: &mut Publisher, headers: &[(&str, &str)], body: &str) -> Value {
    let response = publisher.post(headers, body);
    assert_eq!(response.status, 422, "{body:?}: {response:?}");
    let mut answer = response.json();
    // What to send instead stands beside what FastAPI says.
    answer.as_object_mut().map(|answer| answer.remove("hint"));
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(1), "{answer}");
    assert_eq!(answer["detail"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["detail"][0].clone()
}

#[test]
fn a_missing_body_or_message_is_named() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let missing = json!({
        "type": "missing", "loc": ["body"], "msg": "Field required", "input": null,
    });
    assert_eq!(detail(&mut publisher, JSON, ""), missing);
    assert_eq!(detail(&mut publisher, &[], ""), missing, "without a content type either");
    let missing = |input: Value| {
        json!({
            "type": "missing", "loc": ["body", "message"], "msg": "Field required", "input": input,
        })
    };
    assert_eq!(detail(&mut publisher, JSON, "{}"), missing(json!({})));
    let other = json!({ "text": "a", "n": [1.5, "é"] });
    assert_eq!(detail(&mut publisher, JSON, &other.to_string()), missing(other));
}

#[test]
fn a_message_that_is_not_a_string_is_shown_back() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    for input in [json!(1), json!(null), json!(1.5), json!(true), json!(["a"]), json!({"a": "b"})] {
        let expected = json!({
            "type": "string_type", "loc": ["body", "message"],
            "msg": "Input should be a valid string", "input": input,
        });
        let body = json!({ "message": input }).to_string();
        assert_eq!(detail(&mut publisher, JSON, &body), expected);
    }
}

#[test]
fn broken_json_is_located_by_character() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    for (body, offset, error) in [
        (r#"{"message": "a" "b": 1}"#, 16, "Expecting ',' delimiter"),
        (r#"{"message": "a""#, 15, "Expecting ',' delimiter"),
        (r#"{"message": "é😀" x}"#, 17, "Expecting ',' delimiter"),
        (r#"{"message":01}"#, 12, "Expecting ',' delimiter"),
        ("[1 2]", 3, "Expecting ',' delimiter"),
        (r#"{"message": }"#, 12, "Expecting value"),
        (r#"{"message": -}"#, 12, "Expecting value"),
        (r#"{"a":tru}"#, 5, "Expecting value"),
        ("x", 0, "Expecting value"),
        (" ", 1, "Expecting value"),
        (r#"{message: "a"}"#, 1, "Expecting property name enclosed in double quotes"),
        ("{", 1, "Expecting property name enclosed in double quotes"),
        (r#"{"message": "a", x}"#, 17, "Expecting property name enclosed in double quotes"),
        (r#"{"message": "a"} x"#, 17, "Extra data"),
        (r#"{"message": "a"}{"message": "b"}"#, 16, "Extra data"),
        ("{\"message\": \"a\nb\"}", 14, "Invalid control character at"),
        (r#"{"message" "a"}"#, 11, "Expecting ':' delimiter"),
        (r#"{"message": "a"#, 12, "Unterminated string starting at"),
    ] {
        let expected = json!({
            "type": "json_invalid", "loc": ["body", offset], "msg": "JSON decode error",
            "input": {}, "ctx": { "error": error },
        });
        assert_eq!(detail(&mut publisher, JSON, body), expected, "{body:?}");
    }
}

#[test]
fn what_is_not_an_object_is_shown_back() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let expected = |input: Value| {
        json!({
            "type": "model_attributes_type", "loc": ["body"],
            "msg": "Input should be a valid dictionary or object to extract fields from",
            "input": input,
        })
    };
    for input in [json!([1, "a"]), json!("text"), json!(null), json!(7), json!(true)] {
        assert_eq!(detail(&mut publisher, JSON, &input.to_string()), expected(input));
    }
    let body = r#"{"message": "a"}"#;
    for headers in [
        &[][..],
        &[("Content-Type", "text/plain")][..],
        &[("Content-Type", "application/x-www-form-urlencoded")][..],
        &[("Content-Type", "application/jsonp")][..],
    ] {
        assert_eq!(detail(&mut publisher, headers, body), expected(json!(body)), "{headers:?}");
    }
}

#[test]
fn every_spelling_of_the_content_type_is_understood() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
    ] {
        let response =
            publisher.post(&[("Content-Type", content_type)], r#" {"message": "taken"} "#);
        assert_eq!(response.status, 200, "{content_type}: {response:?}");
        assert_eq!(response.json()["status"], "message sent");
        assert_eq!(subscriber.next().id, response.json()["id"].as_str().unwrap());
    }
}

#[test]
fn the_last_of_two_equal_fields_counts_and_unknown_ones_do_not() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    let response = publisher.post_json(r#"{"message": "a", "x": {"message": 1}, "message": "b"}"#);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(subscriber.next().data, "b");
}

#[test]
fn what_is_not_unicode_is_refused_and_disturbs_nobody() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    for body in [
        r#"{"message": "\ud800"}"#,
        r#"{"message": "\udc00\ud800"}"#,
        r#"{"message": "\ud800x"}"#,
        r#"{"message": NaN}"#,
    ] {
        let response = publisher.post_json(body);
        assert_eq!(response.status, 422, "{body}: {response:?}");
        assert!(response.json()["detail"].is_array(), "{response:?}");
    }
    for body in [&b"{\"message\": \"\xff\"}"[..], b"\xc3(", b"{\"message\": \"\xed\xa0\x80\"}"] {
        let response = publisher.post_json(body);
        assert_eq!(response.status, 400, "{body:?}: {response:?}");
        assert_eq!(response.json(), json!({ "detail": "There was an error parsing the body" }));
    }
    publisher.publish(&json!({ "message": "😀" }));
    let response = publisher.post_json(r#"{"message": "\ud83d\ude00"}"#);
    assert_eq!(response.status, 200, "a pair of surrogates is a character");
    assert_eq!(subscriber.messages(2), ["😀", "😀"]);
}

#[test]
fn a_bad_topic_or_event_type_is_refused() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("topic=**");
    let mut publisher = hub.publisher();
    for (field, value) in [
        ("topic", json!("")),
        ("topic", json!("a/*")),
        ("topic", json!("a\nb")),
        ("topic", json!("a\u{85}b")),
        ("topic", json!("x".repeat(257))),
        ("topic", json!(7)),
        ("topic", json!(["a"])),
        ("event", json!("")),
        ("event", json!("a\rdata: forged")),
        ("event", json!("a\nb")),
        ("event", json!("a\0b")),
        ("event", json!("x".repeat(129))),
        ("event", json!("fanfare.gap")),
        ("event", json!("fanfare.x")),
        ("event", json!(1)),
    ] {
        let body = json!({ "message": "refused", field: value }).to_string();
        let detail = detail(&mut publisher, JSON, &body);
        assert_eq!(detail["loc"], json!(["body", field]), "{body}");
        assert!(detail["msg"].is_string() && detail["type"].is_string(), "{detail}");
    }
    publisher.publish(&json!({ "message": "taken", "topic": "é".repeat(128), "event": "fanfare" }));
    assert_eq!(subscriber.next().data, "taken", "nothing that was refused is delivered");
}

#[test]
fn a_body_not_sent_as_json_gets_a_hint() {
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    for (headers, found) in [
        (&[][..], "the request has no Content-Type"),
        (
            &[("Content-Type", "application/x-www-form-urlencoded")],
            "the request's Content-Type is application/x-www-form-urlencoded",
        ),
    ] {
        let answer = publisher.post(headers, r#"{"message": "a"}"#).json();
        let hint = format!("{found}; send the header Content-Type: application/json");
        assert_eq!(answer["hint"], hint, "{answer}");
    }
    let answer = publisher.post(JSON, "[]").json();
    assert_eq!(answer.get("hint"), None, "it was sent as JSON: {answer}");
}
