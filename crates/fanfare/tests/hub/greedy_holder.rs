//! Whatever all share, each has a share of: tickets that one draws keep nobody else out.

use serde_json::{Value, json};

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Connection, Hub, Response};

fn draw(connection: &mut Connection, credential: &str) -> Response {
    let headers = [("Authorization", credential), ("Content-Length", "0")];
    connection.request("POST", "/sse/ticket", &headers, b"")
}

/// Rights that take up about 10 KB.
fn long_rights() -> Value {
    let pattern = |n: usize| format!("{n}/{}", "x".repeat(200));
    json!({"subscribe": (0..50).map(pattern).collect::<Vec<_>>()})
}

#[test]
fn one_holders_tickets_are_bounded_and_keep_nobody_out() {
    let hub = Hub::alone(&["--jwt-secret", SECRET]);
    let greedy = bearer(&token(&claims("greedy", 600.0, &long_rights())));
    let modest = bearer(&token(&claims("modest", 600.0, &long_rights())));
    let before = hub.resident_memory();
    let mut connection = hub.connect();
    let mut drawn = 0;
    let refused = loop {
        let answer = draw(&mut connection, &greedy);
        match answer.status {
            200 => drawn += 1,
            _ => break answer,
        }
        assert!(drawn < 10_000, "there is no end to it");
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    let grown = hub.resident_memory().saturating_sub(before);
    assert!(grown < 160 << 20, "{drawn} tickets take up {grown} bytes");
    for _ in 0..100 {
        let answer = draw(&mut connection, &modest);
        assert_eq!(answer.status, 200, "another is kept out: {answer:?}");
    }
    let refused = hub.metrics().labelled("fanfare_refused_total", "\"too_many_tickets\"");
    assert_eq!(refused, 1.0);
}

#[test]
fn no_address_draws_tickets_without_end() {
    let hub = Hub::alone(&["--jwt-secret", SECRET, "--ticket-rate", "5"]);
    let credential = bearer(&token(&claims("ada", 600.0, &json!({"subscribe": ["**"]}))));
    let mut connection = hub.connect();
    let refused = (0..10_000).find_map(|_| {
        let answer = draw(&mut connection, &credential);
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.unwrap();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
}
