//! JSON that is published as JSON arrives as something else.

use serde_json::{Value, json};

use crate::support::Hub;

#[test]
fn a_value_arrives_unchanged_but_for_spaces() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    for (sent, heard) in [
        (
            "{ \"b\" : [ 1, 2.50, true, null ],\n \"a\" : {} }",
            "{\"b\":[1,2.50,true,null],\"a\":{}}",
        ),
        (
            "12345678901234567890123.000000000000000000001",
            "12345678901234567890123.000000000000000000001",
        ),
        ("1e999", "1e999"),
        ("null", "null"),
        ("false", "false"),
        ("\"\"", "\"\""),
        (r#""caf\u00e9 \ud83d\ude00 \/ \n""#, "\"café 😀 / \\n\""),
        ("[]", "[]"),
    ] {
        let response = publisher.post_json(format!("{{\"json\": {sent}}}"));
        assert_eq!(response.status, 200, "{sent}: {response:?}");
        assert_eq!(subscriber.next().data, heard);
    }
    let lines = "{\"json\": {\"n\": 1}, \"topic\": \"default\"}\n{\"message\": \"text\"}\n";
    let response = publisher.post(&[("Content-Type", "application/x-ndjson")], lines);
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(subscriber.messages(2), ["{\"n\":1}", "text"]);
}

#[test]
fn two_messages_are_refused() {
    let hub = Hub::start(&[]);
    for body in [
        json!({ "message": "a", "json": 1 }),
        json!({ "message": "a", "json": null }),
        json!({ "message": null, "json": {} }),
    ] {
        let response = hub.publisher().post_json(body.to_string());
        assert_eq!(response.status, 422, "{body}: {response:?}");
        let expected = json!([{
            "type": "value_error", "loc": ["body", "json"],
            "msg": "Value error, a publish has a message or json, not both",
            "input": body["json"], "ctx": { "error": {} },
        }]);
        assert_eq!(response.json()["detail"], expected);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let hub = Hub::start(&[]);
    for (value, kind) in [
        ("NaN", "value_error"),
        ("[1, -Infinity]", "value_error"),
        (r#"{"a": "\ud800"}"#, "string_unicode"),
        (r#"{"\udc00": 1}"#, "string_unicode"),
    ] {
        let response = hub.publisher().post_json(format!("{{\"json\": {value}}}"));
        assert_eq!(response.status, 422, "{value}: {response:?}");
        let fault = &response.json()["detail"][0];
        assert_eq!((&fault["type"], &fault["loc"]), (&json!(kind), &json!(["body", "json"])));
    }
    let long = format!("{{\"json\": \"{}\"}}", "x".repeat(100));
    let hub = Hub::start(&["--max-message", "100"]);
    assert_eq!(hub.publisher().post_json(long).status, 413, "its quotes count");
}

#[test]
fn a_message_must_be_a_string() {
    let hub = Hub::start(&[]);
    for value in [json!(1), json!({}), Value::Null] {
        let response = hub.publisher().post_json(json!({ "message": value }).to_string());
        assert_eq!(response.json()["detail"][0]["type"], "string_type");
    }
}
