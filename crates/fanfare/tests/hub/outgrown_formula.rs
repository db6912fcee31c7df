//! The hub takes more memory than `docs/sizing.md` says that it can: each of the larger terms of the
//! formula there, driven to its limit, one at a time and smaller than the defaults.

use std::time::Duration;

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Connection, FrameConnection, Hub, Metrics, Unread};
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
fn window_and_log_keep_to_the_formula() {
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
    // What a shared engine holds is asked for now and then; where it was asked early, it keeps too little until it is
    // asked again, and then more has to come.
    let full = |now: &Metrics| {
        now.sum("fanfare_window_bytes") > 15e6 && now.sum("fanfare_log_bytes") > 30e6
    };
    for _ in 0..100 {
        if full(&hub.metrics()) {
            break;
        }
        assert_eq!(publisher.post(&headers, &batch).status, 200);
        listener.messages(1000);
        std::thread::sleep(Duration::from_millis(200));
    }
    hub.await_metrics("both are full", full);
    // The pages and bodies on the way are part of it too.
    let (window, log) = ((16 + 2 + 4) * MIB, 48 * MIB);
    assert_within(&hub, before, window + log + 12 * MIB);
}

#[test]
fn bodies_keep_to_the_formula() {
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
fn heads_keep_to_the_formula() {
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
fn unread_answers_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-requests", "2000"]);
    let attack = Unread::open(hub.address(), 10, 250, "/redoc/redoc.standalone.js");
    hub.await_metrics("the bound is reached", |now| {
        now.labelled("fanfare_refused_total", "\"unread\"") >= 400.0
    });
    assert_within(&hub, before, 2000 * 24 * KIB + 10 * 128 * KIB);
    drop(attack);
}

#[test]
fn idle_streams_keep_to_the_formula() {
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
fn keys_keep_to_the_formula() {
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
fn tickets_keep_to_the_formula() {
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

/// How many segments of up to four characters stand behind the `*` of a long pattern.
const SEGMENTS: usize = 62;

/// Opens streams of 32 patterns each until one is refused, or there are `most`.
fn named(hub: &Hub, most: usize, pattern: impl Fn(usize) -> String) -> Vec<Connection> {
    crate::support::raise_open_files();
    let refused = |now: &crate::support::Metrics| {
        now.labelled("fanfare_refused_total", "\"pattern_capacity\"") > 0.0
    };
    let mut streams = Vec::new();
    while streams.len() < most && !refused(&hub.metrics()) {
        for _ in 0..50 {
            let number = 32 * streams.len();
            let query: Vec<_> =
                (number..number + 32).map(|n| format!("topic={}", pattern(n))).collect();
            let mut connection = hub.connect();
            let path = format!("/sse/events?{}", query.join("&"));
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\n\r\n"));
            streams.push(connection);
        }
        // Those that were refused are no subscribers.
        hub.await_metrics("they are open", |now| {
            now.sum("fanfare_subscribers") == streams.len() as f64 || refused(now)
        });
    }
    assert!(refused(&hub.metrics()), "the limit was not reached");
    streams
}

#[test]
fn patterns_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-patterns", "40000"]);
    let streams = named(&hub, 1300, |n| format!("user/{n}/*"));
    assert_within(&hub, before, 40_000 * KIB + 1300 * KIB);
    drop(streams);
}

#[test]
fn long_patterns_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-patterns", "40000"]);
    let streams = named(&hub, 1300, |n| {
        let segment = |at| format!("/{:x}", 0x1000 + (n * SEGMENTS + at) % 0xf000);
        let behind: String = (0..SEGMENTS - 12).map(segment).collect();
        format!("*{behind}/{n}")
    });
    assert!(streams.len() < 400, "a long pattern counts as one: {}", streams.len());
    assert_within(&hub, before, 40_000 * KIB + 1300 * KIB);
    drop(streams);
}

/// Opens streams of so many matchers of Mercure's protocol each, has all of them asked, and holds what they take
/// against the term.
fn expressions(each: usize, matcher: impl Fn(usize, usize) -> String) {
    let url = "https://example.com/.well-known/mercure";
    let settings = ["--max-patterns", "60000", "--mercure-url", url, "--mercure", "--open"];
    let (hub, before) = hub(&settings);
    let mut streams = Vec::new();
    for stream in 0..2_400 / each {
        let query: Vec<_> = (0..each).map(|n| matcher(stream, n)).collect();
        let mut connection = hub.connect();
        let path = format!("/.well-known/mercure?{}", query.join("&"));
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\n\r\n"));
        streams.push(connection);
    }
    hub.await_metrics("the bound is reached", |now| {
        now.labelled("fanfare_refused_total", "\"pattern_capacity\"") > 0.0
    });
    // Each is asked, for all begin alike, and remembers what it has seen.
    let publish =
        |n: usize| json!({"topic": format!("https://example.com/{n}/{n}/x"), "message": "m"});
    let batch: Vec<_> = (0..50).map(|n| publish(n).to_string()).collect();
    let headers = [("Content-Type", "application/x-ndjson")];
    assert_eq!(hub.publisher().post(&headers, batch.join("\n")).status, 200);
    assert_within(&hub, before, 60_000 * KIB);
    drop(streams);
}

#[test]
fn templates_keep_to_the_formula() {
    expressions(1, |stream, n| {
        format!("topic=https%3A%2F%2Fexample.com%7B/a,b,c,d,e,f,g,h%7D%2F{stream}%2F{n}")
    });
}

#[test]
fn url_patterns_keep_to_the_formula() {
    expressions(32, |stream, n| {
        format!("match_urlpattern=https%3A%2F%2Fexample.com%2F(%5Cd%2B)%2F{stream}%2F{n}")
    });
}

#[test]
fn topic_names_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-topics", "200", "--max-target", "64KiB"]);
    let streams: Vec<_> = (0..400)
        .map(|stream| {
            let topics: Vec<_> =
                (0..200).map(|n| format!("topic={}{stream}/{n}", "x".repeat(240))).collect();
            let mut connection = hub.connect();
            let path = format!("/sse/events?{}", topics.join("&"));
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: hub.test\r\n\r\n"));
            connection
        })
        .collect();
    hub.await_metrics("all are open", |now| now.sum("fanfare_subscribers") == 400.0);
    assert_within(&hub, before, 400 * (200 * 200 + 64 * KIB));
    drop(streams);
}

#[test]
fn unread_streams_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-message", "64KiB", "--max-http2-requests", "50"]);
    // Without a subscription of their own they would share what they hold.
    let attacks: Vec<_> = (0..60)
        .map(|n| Unread::open(hub.address(), 1, 1, &format!("/sse/events?topic=of/{n}")))
        .collect();
    hub.await_metrics("they are open", |now| now.sum("fanfare_subscribers") == 60.0);
    let (mut publisher, message) = (hub.publisher(), "m".repeat(16 << 10));
    let headers = [("Content-Type", "application/x-ndjson")];
    for round in 0..180 {
        let line = |n| json!({"topic": format!("of/{n}"), "message": message}).to_string();
        let batch: Vec<_> = (0..20).map(|n| line(20 * (round % 3) + n)).collect();
        assert_eq!(publisher.post(&headers, batch.join("\n")).status, 200);
    }
    // Bodies, the window and the log, beside what the streams hold.
    assert_within(&hub, before, 60 * (64 + 64) * KIB + 16 * MIB);
    drop(attacks);
}

#[test]
fn unread_connections_keep_to_the_formula() {
    let (hub, before) = hub(&["--max-connections", "100", "--retain-bytes", "8MiB"]);
    let attacks: Vec<_> = (0..6).map(|_| FrameConnection::unread(&hub, 100, 'u')).collect();
    let mut listener = hub.subscribe("topic=u");
    hub.await_metrics("they are open", |now| now.sum("fanfare_subscribers") == 601.0);
    let mut publisher = hub.publisher();
    for _ in 0..10 {
        publisher.batch((0..500).map(|_| json!({ "topic": "u", "message": "m" })));
        listener.messages(500);
    }
    // Of what waits, each small event takes its place in a list besides.
    assert_within(&hub, before, 600 * (64 + 48 + 64) * KIB + 6 * 128 * KIB);
    drop(attacks);
}
