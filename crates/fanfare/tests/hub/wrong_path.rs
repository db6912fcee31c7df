//! A request that goes astray is told so, or shown the way, as FastAPI would.

use serde_json::json;

use crate::support::Hub;

#[test]
fn an_unknown_path_is_not_found() {
    let hub = Hub::alone(&[]);
    for path in ["/nope", "/sse/nope", "/sse/events/deeper", "/ssee/"] {
        let response = hub.get(path);
        assert_eq!(response.status, 404, "{path}: {response:?}");
        assert_eq!(response.json(), json!({ "detail": "Not Found" }), "{path}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let hub = Hub::alone(&[]);
    for (method, path, allowed) in [
        ("GET", "/sse/send", "post"),
        ("PUT", "/sse/send", "post"),
        ("DELETE", "/sse/send", "post"),
        ("POST", "/sse/events", "get"),
        ("DELETE", "/sse/events", "get"),
        ("POST", "/sse/", "get"),
        ("POST", "/healthz", "get"),
    ] {
        let response = hub.request(method, path, &[]);
        assert_eq!(response.status, 405, "{method} {path}: {response:?}");
        assert_eq!(response.json(), json!({ "detail": "Method Not Allowed" }));
        let allow = response.list("allow");
        assert!(allow.contains(&allowed.to_owned()), "{method} {path}: {allow:?}");
        assert!(!allow.contains(&method.to_ascii_lowercase()), "{method} {path}: {allow:?}");
    }
}

#[test]
fn a_slash_too_many_or_too_few_is_redirected_with_its_method() {
    let hub = Hub::alone(&[]);
    for (method, path, target) in [
        ("GET", "/sse", "/sse/"),
        ("POST", "/sse/send/", "/sse/send"),
        ("GET", "/sse/console/", "/sse/console"),
        ("GET", "/docs/", "/docs"),
        ("GET", "/redoc/", "/redoc"),
        ("GET", "/sse/events/?topic=a%2Fb&event=x", "/sse/events?topic=a%2Fb&event=x"),
    ] {
        let response = hub.request(method, path, &[]);
        assert_eq!(response.status, 307, "{method} {path}: {response:?}");
        let location = response.header("location").expect("a redirect has a target");
        let local = location.strip_prefix("http://hub.test").unwrap_or(location);
        assert_eq!(local, target, "{method} {path}");
    }
    let response = hub.get("/");
    assert!(matches!(response.status, 302 | 303 | 307 | 308), "{response:?}");
    assert!(response.header("location").is_some_and(|to| to.ends_with("/sse/")), "{response:?}");
}

#[test]
fn head_of_a_stream_answers_headers_and_ends() {
    let hub = Hub::alone(&[]);
    let mut connection = hub.connect();
    connection.send("HEAD /sse/events HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n");
    let response = connection.response("HEAD");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(response.header("x-accel-buffering"), Some("no"));
    assert_eq!(connection.rest(), b"", "an answer to HEAD has no body");
    assert_eq!(hub.metrics().sum("fanfare_subscribers"), 0.0);
}

#[test]
fn head_of_a_stream_leaves_the_connection_usable() {
    let hub = Hub::alone(&[]);
    let mut connection = hub.connect();
    assert_eq!(connection.request("HEAD", "/sse/events", &[], b"").status, 200);
    assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
}

#[test]
fn a_bad_subscription_is_refused_for_good() {
    let hub = Hub::alone(&[]);
    let long_topic = format!("topic={}", "x".repeat(257));
    let long_type = format!("event={}", "x".repeat(129));
    for query in [
        "topic=orders*",
        "topic=a/***",
        "topic=",
        "topic=a%0Ab",
        "topic=good&topic=bad*",
        "event=",
        "event=a%0Ab",
        "envelope=xml",
        "topic=%FF",
        &long_topic,
        &long_type,
    ] {
        let (head, _) = hub.subscription().query(query).ask();
        assert_eq!(head.status, 422, "{query}: {head:?}");
        let response = hub.get(&format!("/sse/events?{query}"));
        assert!(response.json()["detail"].is_array(), "{query}: {response:?}");
    }
    assert_eq!(hub.metrics().sum("fanfare_subscribers"), 0.0);
}

#[test]
fn another_prefix_moves_everything() {
    let hub = Hub::alone(&["--prefix", "/live"]);
    let mut subscriber = hub.subscription().prefix("/live").open();
    let mut publisher = hub.publisher();
    assert_eq!(publisher.post_json(r#"{"message": "a"}"#).status, 404);
    "/live/send".clone_into(&mut publisher.path);
    publisher.send("moved");
    assert_eq!(subscriber.next().data, "moved");
    assert_eq!(hub.get("/live/").status, 200);
    assert_eq!(hub.get("/live").status, 307);
    assert_eq!(hub.get("/sse/events").status, 404);
    assert_eq!(hub.get("/healthz").status, 200);
}
