//! The bytes of a stream, exactly: any client, proxy and HTTP version can take it apart.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Connection, Hub};

/// So long that no keepalive or cursor comes between the bytes under test.
const QUIET: &[&str] = &["--heartbeat", "1h"];

/// Reads the chunks of the opening `:` and `retry:` lines; returns N.
fn opening(connection: &mut Connection) -> u64 {
    let mut bytes = Vec::new();
    while bytes.iter().filter(|byte| **byte == b'\n').count() < 2 {
        bytes.extend(connection.chunk().unwrap().expect("the stream is open"));
    }
    let text = String::from_utf8(bytes).unwrap();
    let digits = text.strip_prefix(":\nretry: ").and_then(|rest| rest.strip_suffix('\n'));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("opens with {text:?}"))
}

#[test]
fn a_stream_is_announced_as_one_and_kept_out_of_caches_and_buffers() {
    let hub = Hub::alone(QUIET);
    let subscriber = hub.subscribe("");
    let head = &subscriber.head;
    assert_eq!(head.status_line, "HTTP/1.1 200 OK");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("content-length"), None);
    assert!(head.header("date").is_some(), "an origin server has a clock (RFC 9110, 6.6.1)");
    assert_eq!(head.header("access-control-allow-origin"), None);
}

#[test]
fn events_are_whole_chunks_of_exact_bytes() {
    let hub = Hub::alone(QUIET);
    let mut connection = hub.connect();
    connection.send("GET /sse/events?topic=t HTTP/1.1\r\nHost: hub.test\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    opening(&mut connection);
    let mut publisher = hub.publisher();
    for (event, expected) in [
        (json!({ "topic": "t", "message": "hello" }), "data: hello\n\n"),
        (json!({ "topic": "t", "message": "" }), "data: \n\n"),
        (
            json!({ "topic": "t", "message": " x\ny", "event": "tick" }),
            "event: tick\ndata:  x\ndata: y\n\n",
        ),
        (
            json!({ "topic": "t", "message": "a\r\nb\rc\n" }),
            "data: a\ndata: b\ndata: c\ndata: \n\n",
        ),
    ] {
        let id = publisher.publish(&event);
        let chunk = connection.chunk().unwrap().expect("the stream goes on");
        let chunk = String::from_utf8(chunk).unwrap();
        assert_eq!(chunk, format!("id: {id}\n{expected}"));
    }
}

#[test]
fn http_1_0_gets_a_body_that_ends_with_the_connection() {
    let mut hub = Hub::alone(&["--heartbeat", "1h", "--drain", "0s"]);
    let mut connection = hub.connect();
    connection.send("GET /sse/events HTTP/1.0\r\n\r\n");
    let head = connection.head();
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.header("transfer-encoding"), None, "{head:?}");
    assert_eq!(head.header("content-length"), None, "{head:?}");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(connection.exactly(9), b":\nretry: ");
    while connection.exactly(1) != b"\n" {}
    let id = hub.publisher().send("hello");
    let expected = format!("id: {id}\ndata: hello\n\n");
    assert_eq!(connection.exactly(expected.len()), expected.as_bytes());
    hub.terminate();
    let rest = String::from_utf8(connection.rest()).unwrap();
    assert!(rest.starts_with("retry: ") && rest.ends_with('\n'), "{rest:?}");
    assert!(hub.wait().success());
}

#[test]
fn a_reconnecting_fleet_is_spread_out() {
    let hub = Hub::alone(&["--heartbeat", "1h", "--retry", "4s"]);
    let retries: BTreeSet<_> = (0..32)
        .map(|_| {
            let mut connection = hub.connect();
            connection.send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
            connection.head();
            opening(&mut connection)
        })
        .collect();
    assert!(retries.len() > 8, "hardly jittered: {retries:?}");
    assert!(retries.iter().all(|retry| (2000..=8000).contains(retry)), "{retries:?}");
}

#[test]
fn a_keepalive_is_a_comment_without_a_blank_line() {
    let hub = Hub::alone(&["--heartbeat", "100ms"]);
    // The hub has heard of it before anyone listens.
    hub.publisher().count("default", 0..1);
    let mut connection = hub.connect();
    connection.send("GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n");
    connection.head();
    opening(&mut connection);
    let mut comments = 0;
    while comments < 5 {
        let chunk = connection.chunk().unwrap().expect("the stream is kept alive");
        let text = std::str::from_utf8(&chunk).unwrap();
        // A cursor may come along once, since the subscriber holds no id yet.
        if text.contains("event: fanfare.cursor\n") {
            assert!(text.ends_with("\n\n"), "{text:?}");
        } else {
            assert_eq!(text, ":\n");
            comments += 1;
        }
    }
}

#[test]
fn bytes_sent_ahead_of_the_answer_do_no_harm() {
    let hub = Hub::alone(QUIET);
    let mut connection = hub.connect();
    connection.send(
        "GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n\
         GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n\
         GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n",
    );
    assert_eq!(connection.response("GET").status, 200);
    let head = connection.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
    opening(&mut connection);
    connection.send("and more that nobody asked for\r\n\r\n");
    let id = hub.publisher().send("unharmed");
    let chunk = String::from_utf8(connection.chunk().unwrap().unwrap()).unwrap();
    assert_eq!(chunk, format!("id: {id}\ndata: unharmed\n\n"));
}

#[test]
fn a_request_that_arrives_in_drops_is_understood() {
    let hub = Hub::alone(QUIET);
    let mut connection = hub.connect();
    for byte in b"GET /sse/events?topic=drops HTTP/1.1\r\nHost: hub.test\r\n\r\n" {
        connection.send([*byte]);
    }
    assert_eq!(connection.head().status, 200);
    opening(&mut connection);
    hub.publisher().send_to("drops", "drop");
    assert!(connection.chunk().unwrap().unwrap().ends_with(b"data: drop\n\n"));
}
