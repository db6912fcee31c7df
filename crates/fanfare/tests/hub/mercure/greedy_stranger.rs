//! A stranger who speaks the protocol takes up more of the hub than one of its own would.

use super::{FORM, PATH, asking, assert_not_a_stream, guarded_hub};
use crate::support::{Hub, Response};

fn refused(hub: &Hub, reason: &str) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", &format!("\"{reason}\""))
}

fn query(hub: &Hub, form: &str) -> Response {
    hub.connect().request("QUERY", PATH, &[("Content-Type", FORM)], form.as_bytes())
}

/// A URL Pattern with an expression of this, escaped.
fn pattern(expression: &str) -> String {
    let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("match_urlpattern=/({escaped})")
}

#[test]
fn a_pattern_too_costly_to_read_is_refused() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    // Of each class, each character would be compared with all that are written otherwise.
    let classes = r"[!-\x{ffff}]".repeat(36);
    for folded in [format!("(?i:{classes})"), format!("(?iu:{classes})"), r"\p{L}".repeat(90)] {
        assert_not_a_stream(&hub, &pattern(&folded), 400);
    }
    assert_eq!(refused(&hub, "invalid_subscribe"), 3.0);
    assert_eq!(asking(&hub, &pattern(r"(?i:[a-f\d]{8})")).ask().0.status, 200);
}

#[test]
fn refused_patterns_are_not_compiled() {
    let hub = guarded_hub(&["--anonymous-subscribe", "**"]);
    let large = |n| format!("{}&", pattern(&format!("{n}{}", "(?:ab|cd)?".repeat(40))));
    let small = |n| format!("match_urlpattern=/{n}/:x/y&");
    for (matchers, why) in [
        ((0..60).map(large).collect::<String>(), "too much to compile"),
        ((0..256).map(|n| format!("topic={n}{}&", "{a:9999}".repeat(29))).collect(), "too much"),
        ((0..256).map(small).collect(), "at most 32 patterns, this one 33"),
    ] {
        let answer = query(&hub, &matchers);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}

#[test]
fn rights_are_checked_before_a_subscription_is_read() {
    let hub = guarded_hub(&[]);
    assert_not_a_stream(&hub, "match_urlpattern=/(", 401);
    assert_eq!(query(&hub, "match_urlpattern=/(").status, 401);
}

#[test]
fn a_late_query_is_limited_and_authorised_first() {
    let head = |client: &str| {
        format!(
            "QUERY {PATH} HTTP/1.1\r\nHost: hub.test\r\nX-Forwarded-For: {client}\r\n\
             Content-Type: {FORM}\r\nContent-Length: 7\r\n\r\n"
        )
    };
    let settings = ["--anonymous-subscribe", "**", "--max-requests", "8"];
    let hub = guarded_hub(&[&settings[..], &["--trusted-proxy", "127.0.0.1"]].concat());
    let mut slow: Vec<_> = (0..4).map(|_| hub.connect()).collect();
    slow.iter_mut().for_each(|connection| connection.send(head("2001:db8::1")));
    // Before they have their places, whoever asks for another could be given one of them.
    hub.await_metrics("their heads are read", |now| {
        now.sum("fanfare_half_open_connections") == 0.0
    });
    hub.await_metrics("it has its share", |_| {
        let answer = hub.request("GET", "/sse/", &[("X-Forwarded-For", "2001:db8::2")]);
        answer.status == 429
    });
    let mut other = hub.connect();
    other.send(head("192.0.2.2") + "match=a");
    assert_eq!(other.head().status, 200, "another is kept out");
    for connection in &mut slow {
        connection.send("match=a");
        assert_eq!(connection.head().status, 200);
    }

    let closed = guarded_hub(&[]);
    let mut stranger = closed.connect();
    stranger.send(head("192.0.2.1"));
    assert_eq!(stranger.head().status, 401, "its body is waited for");
}
