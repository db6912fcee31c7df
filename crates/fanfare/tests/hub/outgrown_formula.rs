//! The hub takes more memory than `docs/sizing.md` says that it can: each of the larger terms of the
//! formula there, driven to its limit, one at a time and smaller than the defaults.

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Connection, Hub, Unread};
use serde_json::json;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Settings that leave little to the terms which a test is not about.
const SMALL: &[&str] =
    &["--window-bytes", "1MiB", "--retain-bytes", "1MiB", "--max-bodies", "1MiB", "--shards", "1"];

/// A hub on which one term is to be driven to its limit, and what it took before.
fn hub(settings: &[&str]) -> (Hub, u64) {
    let names: Vec<_> = settings.iter().step_by(2).collect();
    let small = SMALL.chunks(2).filter(|pair| !names.contains(&&pair[0])).flatten();
    let arguments: Vec<_> = small.chain(settings).copied().collect();
    let hub = Hub::alone(&arguments);
    // What is made on first use is no part of any term.
    assert_eq!(hub.get("/metrics").status, 200);
    let headers = [("Content-Type", "application/json")];
    let warm = hub.publisher().post(&headers, r#"{"message": "warm"}"#).status;
    assert!([200, 401].contains(&warm));
    let before = hub.peak_memory();
    (hub, before)
}

/// That no more was taken than the term, and what an allocator keeps and the hub's own 16 MiB leave room
/// for.
fn assert_within(hub: &Hub, before: u64, term: u64) {
    let grown = hub.peak_memory().saturating_sub(before);
    assert!(grown <= term + 16 * MIB, "{} MiB, and {} MiB allowed", grown / MIB, term / MIB);
}

#[test]
fn the_window_and_the_log() {
    let (hub, before) = hub(&["--window-bytes", "16MiB", "--retain-bytes", "32MiB"]);
    let (mut publisher, message) = (hub.publisher(), "m".repeat(1000));
    let line = json!({"topic": "chat", "message": message}).to_string();
    let batch = vec![line; 1000].join("\n");
    let headers = [("Content-Type", "application/x-ndjson")];
    // Someone listens, so that everything is encoded.
    let mut listener = hub.subscribe("topic=chat");
    for _ in 0..60 {
        assert_eq!(publisher.post(&headers, &batch).status, 200);
        listener.messages(1000);
    }
    // What a shared engine holds is asked for now and then.
    hub.await_metrics("both are full", |now| {
        now.sum("fanfare_window_bytes") > 15e6 && now.sum("fanfare_log_bytes") > 30e6
    });
    // The pages and bodies on the way are part of it too.
    let (window, log) = ((16 + 2 + 4) * MIB, 48 * MIB);
    assert_within(&hub, before, window + log + 12 * MIB);
}

#[test]
fn bodies_on_their_way() {
    let (hub, before) = hub(&["--max-bodies", "32MiB"]);
    let begun = format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: 6000000\r\n\r\n{{\"message\": \"{}",
        "x".repeat(1 << 20)
    );
    let held: Vec<_> = (0..64)
        .map(|_| {
            let mut connection = hub.connect();
            // The hub refuses what is beyond its bound before it has all of it.
            let _ = connection.try_send(&begun);
            connection
        })
        .collect();
    hub.await_metrics("the bound is reached", |now| {
        now.labelled("fanfare_refused_total", "\"bodies\"") >= 16.0
    });
    assert_within(&hub, before, 3 * 32 * MIB + 12 * MIB);
    drop(held);
}

#[test]
fn heads_on_their_way() {
    let (hub, before) = hub(&["--max-connections", "600", "--max-half-open", "600"]);
    let begun = format!("GET / HTTP/1.1\r\nHost: hub.test\r\nX-Long: {}", "x".repeat(60_000));
    let held: Vec<Connection> = (0..500)
        .map(|_| {
            let mut connection = hub.connect();
            connection.send(&begun);
            connection
        })
        .collect();
    hub.await_metrics("they are there", |now| now.sum("fanfare_half_open_connections") >= 500.0);
    assert_within(&hub, before, 600 * 128 * KIB);
    drop(held);
}

#[test]
fn answers_that_are_not_read() {
    let (hub, before) = hub(&["--max-requests", "2000"]);
    let attack = Unread::open(hub.address(), 10, 250, "/redoc/redoc.standalone.js");
    hub.await_metrics("the bound is reached", |now| {
        now.labelled("fanfare_refused_total", "\"unread\"") >= 400.0
    });
    assert_within(&hub, before, 2000 * 24 * KIB + 10 * 128 * KIB);
    drop(attack);
}

#[test]
fn idle_streams() {
    crate::support::raise_open_files();
    let (hub, before) = hub(&["--max-subscribers", "4000"]);
    let streams: Vec<_> = (0..4000)
        .map(|number| {
            let mut connection = hub.connect();
            let path = format!("/sse/events?topic=of/{number}");
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\n\r\n"));
            connection
        })
        .collect();
    hub.await_metrics("all are open", |now| now.sum("fanfare_subscribers") == 4000.0);
    assert_within(&hub, before, 4000 * KIB);
    drop(streams);
}

#[test]
fn idempotency_keys() {
    let (hub, before) = hub(&["--idempotency-keys", "20000"]);
    let body = r#"{"message": "m"}"#;
    let mut connection = hub.connect();
    // One publisher has half of them.
    for block in 0..100 {
        let requests: String = (0..100)
            .map(|number| {
                format!(
                    "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\nIdempotency-Key: \"{block}-{number}\"\r\n\r\n{body}",
                    body.len()
                )
            })
            .collect();
        connection.send(requests);
        (0..100).for_each(|_| assert_eq!(connection.response("POST").status, 200));
    }
    assert_within(&hub, before, 20_000 * 200);
}

#[test]
fn tickets() {
    let (hub, before) = hub(&["--jwt-secret", SECRET]);
    let rights = json!({"subscribe": (0..50).map(|n| format!("{n}/{}", "x".repeat(200))).collect::<Vec<_>>()});
    let credential = bearer(&token(&claims("ada", 600.0, &rights)));
    let mut connection = hub.connect();
    let headers = [("Authorization", &*credential)];
    let drawn = (0..20_000)
        .take_while(|_| connection.request("POST", "/sse/ticket", &headers, b"").status == 200)
        .count();
    assert!((100..20_000).contains(&drawn), "{drawn}");
    assert_within(&hub, before, 64 * MIB);
}
