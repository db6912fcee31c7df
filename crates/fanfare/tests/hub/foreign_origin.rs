//! A page of another origin may read a stream only where it was allowed to.

use crate::support::{Hub, Response};

const OURS: &str = "https://app.example";
const THEIRS: &str = "https://evil.example";

/// The answers of all kinds that a page can ask for, a stream's head among them.
fn answers(hub: &Hub, origin: &str) -> Vec<Response> {
    let (head, _stream) = hub.subscription().header("Origin", origin).ask();
    let headers = [("Origin", origin), ("Content-Type", "application/json")];
    let sent = hub.publisher().post(&headers, r#"{"message": "a"}"#);
    assert_eq!((head.status, sent.status), (200, 200));
    let refused = hub.publisher().post(&headers, r#"{"message": 1}"#);
    assert_eq!(refused.status, 422);
    vec![head, sent, refused, hub.request("GET", "/sse/events?topic=a*", &[("Origin", origin)])]
}

#[test]
fn no_origin_is_allowed_unless_asked_for() {
    let hub = Hub::alone(&["--open"]);
    for response in answers(&hub, OURS) {
        assert_eq!(response.header("access-control-allow-origin"), None, "{response:?}");
    }
}

#[test]
fn an_allowed_origin_is_echoed_and_no_other() {
    let hub = Hub::alone(&["--open", "--allow-origin", OURS]);
    for response in answers(&hub, OURS) {
        assert_eq!(response.header("access-control-allow-origin"), Some(OURS), "{response:?}");
        assert!(response.list("vary").contains(&"origin".to_owned()), "{response:?}");
    }
    for origin in [THEIRS, "https://app.example.evil.example", "http://app.example", "null"] {
        for response in answers(&hub, origin) {
            assert_eq!(response.header("access-control-allow-origin"), None, "{response:?}");
            assert!(response.list("vary").contains(&"origin".to_owned()), "{response:?}");
        }
    }
}

#[test]
fn a_preflight_allows_what_clients_send() {
    let hub = Hub::alone(&["--open", "--allow-origin", OURS]);
    for (path, method) in [("/sse/events", "GET"), ("/sse/send", "POST")] {
        let preflight = |origin| {
            hub.request(
                "OPTIONS",
                path,
                &[
                    ("Origin", origin),
                    ("Access-Control-Request-Method", method),
                    (
                        "Access-Control-Request-Headers",
                        "last-event-id,authorization,content-type,idempotency-key,datastar-request",
                    ),
                ],
            )
        };
        let response = preflight(OURS);
        assert!(matches!(response.status, 200 | 204), "{response:?}");
        assert_eq!(response.header("access-control-allow-origin"), Some(OURS), "{response:?}");
        let headers = response.list("access-control-allow-headers");
        // Also those of libraries that the hub does not know.
        for header in [
            "last-event-id",
            "authorization",
            "content-type",
            "idempotency-key",
            "datastar-request",
        ] {
            assert!(headers.contains(&header.to_owned()), "{header} is not in {headers:?}");
        }
        let methods = response.list("access-control-allow-methods");
        assert!(methods.contains(&method.to_ascii_lowercase()), "{methods:?}");
        let response = preflight(THEIRS);
        assert_eq!(response.header("access-control-allow-origin"), None, "{response:?}");
    }
}

#[test]
fn a_page_may_read_retry_after() {
    // A rate so low that even a slow machine exceeds it.
    let hub = Hub::alone(&["--open", "--allow-origin", OURS, "--request-rate", "2"]);
    let ask = || hub.request("GET", "/sse/events?topic=a*", &[("Origin", OURS)]);
    let publish = || hub.request("POST", "/sse/send", &[("Origin", OURS)]);
    for answer in [ask(), publish()] {
        let exposed = answer.list("access-control-expose-headers");
        assert!(exposed.contains(&"retry-after".to_owned()), "{answer:?}");
    }
    let mut answers = (0..100).map(|_| publish());
    let refused = answers.find(|answer| answer.status == 429).expect("too many are refused");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let exposed = refused.list("access-control-expose-headers");
    assert!(exposed.contains(&"retry-after".to_owned()), "{refused:?}");
}

fn preflight(hub: &Hub, origin: &str, headers: &str) -> Response {
    let asked = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", headers),
    ];
    hub.request("OPTIONS", "/sse/send", &asked)
}

#[test]
fn preflights_have_a_rate_limit() {
    // A rate so low that even a slow machine exceeds it.
    let hub = Hub::alone(&["--open", "--allow-origin", OURS, "--request-rate", "2"]);
    for origin in [OURS, THEIRS] {
        let mut answers = (0..100).map(|_| preflight(&hub, origin, "content-type"));
        let refused = answers.find(|answer| answer.status == 429).expect("too many are refused");
        assert!(refused.header("retry-after").is_some());
        let readable = (origin == OURS).then_some(OURS);
        assert_eq!(refused.header("access-control-allow-origin"), readable);
    }
}

#[test]
fn preflights_take_a_place_like_any_request() {
    let hub = Hub::alone(&["--open", "--allow-origin", OURS, "--max-requests", "1"]);
    let mut slow = hub.connect();
    slow.send(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    );
    assert_eq!(slow.head().status, 100, "it has the only place");
    assert_eq!(preflight(&hub, OURS, "content-type").status, 503);
}

#[test]
fn a_preflight_echoes_a_bounded_list() {
    let hub = Hub::alone(&["--open", "--allow-origin", OURS]);
    let allowed = |length: usize| {
        let asked = "h".repeat(length);
        let answer = preflight(&hub, OURS, &asked);
        let allowed = answer.header("access-control-allow-headers").map(str::to_owned);
        allowed.inspect(|allowed| assert_eq!(*allowed, asked)).is_some()
    };
    assert!(allowed(1024));
    assert!(!allowed(1025));
}
