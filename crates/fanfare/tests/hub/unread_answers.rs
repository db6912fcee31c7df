//! Answers that their clients do not read cost little, for a bounded time, and keep nobody out.

use std::io::Write as _;

use crate::support::{
    Connection, Deaf, Files, Http, Hub, Identity, Metrics, Unread, await_that, trusting,
};

/// The largest file that is part of the hub.
const PAGE: &str = "/redoc/redoc.standalone.js";

fn unread(hub: &Hub) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", "reason=\"unread\"")
}

#[test]
fn pages_that_nobody_reads_are_bounded() {
    let hub = Hub::alone(&[]);
    assert_eq!(hub.request("HEAD", PAGE, &[]).status, 200);
    let before = hub.resident_memory();
    let attack = Unread::open(hub.address(), 4, 200, PAGE);
    assert_eq!(attack.answered, 800);
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 48 << 20, "{growth} bytes more for pages that are not read");
    hub.publisher().send("others publish");
    drop(attack);
}

#[test]
fn a_template_that_nobody_reads_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("sse_index.html"), "x".repeat(2 << 20)).unwrap();
    let hub = Hub::alone(&["--templates", &directory.path().display().to_string()]);
    assert_eq!(hub.request("HEAD", "/sse/", &[]).status, 200);
    let before = hub.resident_memory();
    let attack = Unread::open(hub.address(), 2, 200, "/sse/");
    assert_eq!(attack.answered, 400);
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 48 << 20, "{growth} bytes more for pages that are not read");
}

#[test]
fn connections_that_read_nothing_lock_nobody_out() {
    let hub = Hub::alone(&["--max-connections", "20"]);
    let attack = Unread::open(hub.address(), 19, 1, PAGE);
    assert_eq!(attack.answered, 19);
    // While they may still be about to read, a newcomer may be refused; it tries again.
    let served = |request: &str| {
        let mut connection = hub.connect();
        await_that("an answer", || {
            connection = hub.connect();
            connection.try_send(request).is_ok() && connection.at_most(12) == b"HTTP/1.1 200"
        });
        connection
    };
    let stream = "GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n";
    let streams: Vec<_> = (0..10).map(|_| served(stream)).collect();
    let body = r#"{"message": "everyone is served"}"#;
    let length = body.len();
    served(&format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(streams.len(), 10);
}

#[test]
fn an_answer_that_is_never_read_is_broken_off() {
    // Long enough for whoever reads, on a busy machine too.
    let hub = Hub::alone(&["--write-timeout", "2s"]);
    let attack = Unread::open(hub.address(), 2, 3, PAGE);
    assert_eq!(attack.answered, 6);
    hub.await_metrics("all of them to be broken off", |now| {
        now.labelled("fanfare_refused_total", "reason=\"unread\"") == 6.0
            && now.sum("fanfare_unread_answers") == 0.0
    });
    // HTTP/1.1: what the system takes of it is not all.
    let mut connection = Connection::open_narrow(hub.address());
    connection.send(format!("GET {PAGE} HTTP/1.1\r\nHost: hub.test\r\n\r\n"));
    hub.await_metrics("it is broken off", |now| {
        now.labelled("fanfare_refused_total", "reason=\"unread\"") == 7.0
    });
    assert_eq!(hub.get(PAGE).status, 200);
    assert_eq!(unread(&hub), 7.0, "whoever reads is served");
}

#[test]
fn an_answer_of_which_one_byte_is_read_is_unread() {
    // Long enough for all of them to wait at once, on a busy machine too.
    let hub = Hub::alone(&["--write-timeout", "8s"]);
    let broken_off = |now: &Metrics| now.labelled("fanfare_refused_total", "reason=\"unread\"");
    for (path, all) in [("/healthz", 100.0), ("/metrics", 200.0), ("/sse/", 300.0)] {
        let attack = Unread::with_window(1, hub.address(), 2, 50, path);
        assert_eq!(attack.answered, 100);
        hub.await_metrics("all of them wait", |now| now.sum("fanfare_unread_answers") == 100.0);
        hub.await_metrics("none of them waits", |now| {
            broken_off(now) == all && now.sum("fanfare_unread_answers") == 0.0
        });
    }
}

#[test]
fn at_most_as_many_answers_wait_as_requests() {
    let hub = Hub::alone(&["--max-requests", "100"]);
    let attack = Unread::open(hub.address(), 2, 150, "/sse/");
    hub.await_metrics("those that have waited longest to be broken off", |now| {
        now.labelled("fanfare_refused_total", "reason=\"unread\"") >= 200.0
            && now.sum("fanfare_unread_answers") <= 100.0
    });
    hub.publisher().send("others are served");
    drop(attack);
}

#[test]
fn one_unread_stream_leaves_the_others_of_its_connection() {
    let hub = Hub::alone(&["--write-timeout", "500ms", "--window-bytes", "4MiB"]);
    let mut streams =
        hub.subscription().query("topic=loud&topic=quiet").over(Http::Two).open_many(2);
    let mut publisher = hub.publisher();
    let _unread = streams.remove(1);
    let read = &mut streams[0];
    // Its window has room for one however late it is read: who reads is never slow.
    let message = "x".repeat(16 << 10);
    let body = serde_json::json!({"topic": "loud", "message": message}).to_string();
    let headers = [("Content-Type", "application/json")];
    for _ in 0..400 {
        assert_eq!(publisher.post(&headers, &body).status, 200);
        assert_eq!(read.next().data, message);
    }
    hub.await_metrics("the other to be closed", |now| {
        now.sum("fanfare_subscribers") == 1.0 && now.sum("fanfare_unread_answers") == 0.0
    });
    assert_eq!(publisher.post(&headers, &body).status, 200);
    assert_eq!(read.next().data, message, "the stream that was read goes on");
}

#[test]
fn unread_answers_of_one_address_cost_no_other_its_stream() {
    let hub = Hub::alone(&["--max-requests", "60", "--trusted-proxy", "127.0.0.0/8"]);
    // It stalls longer than everyone else, and holds one.
    let stalled = Unread::saying(("x-forwarded-for", "192.0.2.1"), hub.address(), 1, 1, PAGE);
    hub.await_metrics("it waits", |now| now.sum("fanfare_unread_answers") == 1.0);
    let attack = Unread::saying(("x-forwarded-for", "192.0.2.2"), hub.address(), 1, 200, PAGE);
    hub.await_metrics("the others to be broken off", |_| unread(&hub) >= 100.0);
    drop(attack);
    hub.await_metrics("only the one is left", |now| now.sum("fanfare_unread_answers") == 1.0);
    drop(stalled);
}

/// Requests whose answers are heads and nothing more, each with a body that waits until somebody wants it, which
/// nobody does.
fn asks_for_heads() -> [String; 2] {
    let long = "q".repeat(4000);
    let end = "Host: hub.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    [
        format!("POST /sse/send/?{long} HTTP/1.1\r\n{end}"),
        format!("GET {PAGE} HTTP/1.1\r\nIf-None-Match: *\r\n{end}"),
    ]
}

/// Says the same again and again, until it has said so much or the hub takes no more.
fn keep_asking(connection: &mut Connection, request: &str, bytes: usize) {
    let block = request.repeat((64 << 10) / request.len());
    let _ = (0..bytes / block.len()).try_for_each(|_| connection.try_send(&block));
}

#[test]
fn heads_that_nobody_reads_are_bounded() {
    let [redirected, unchanged] = asks_for_heads();
    for (request, bytes) in [(redirected, 48 << 20), (unchanged, 6 << 20)] {
        let hub = Hub::alone(&["--write-timeout", "1s"]);
        assert_eq!(hub.request("HEAD", PAGE, &[]).status, 200);
        let before = hub.peak_memory();
        let mut connection = Connection::open_narrow(hub.address());
        keep_asking(&mut connection, &request, bytes);
        let growth = hub.peak_memory().saturating_sub(before);
        assert!(growth < 8 << 20, "{growth} bytes more for heads that are not read");
        hub.await_metrics("it is broken off", |_| unread(&hub) == 1.0);
    }
}

#[test]
fn heads_behind_tls_are_bounded() {
    let identity = Identity::generate();
    let files = Files::with(&identity);
    let arguments = files.arguments(&["--write-timeout", "1s"]);
    let hub = Hub::alone(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let [redirected, _] = asks_for_heads();
    let before = hub.peak_memory();
    let mut connection = Connection::open_narrow_secure(hub.address(), &trusting(&identity));
    keep_asking(&mut connection, &redirected, 48 << 20);
    let growth = hub.peak_memory().saturating_sub(before);
    assert!(growth < 8 << 20, "{growth} bytes more for heads that are not read");
}

#[test]
fn a_stream_keeps_the_answers_before_it() {
    const ASKED: usize = 4000;
    // Whoever waits for a head that is lost is not kept waiting by the stream.
    let hub = Hub::alone(&["--heartbeat", "1m"]);
    let [redirected, _] = asks_for_heads();
    let (mut connection, mut socket) = Connection::open_narrow_and_socket(hub.address());
    let asks = std::thread::spawn(move || {
        socket.write_all(redirected.repeat(ASKED).as_bytes()).unwrap();
        socket.write_all(b"GET /sse/events HTTP/1.1\r\nHost: hub.test\r\n\r\n").unwrap();
    });
    hub.await_metrics("answers wait for their reader", |now| {
        now.sum("fanfare_unread_answers") == 1.0 || now.sum("fanfare_subscribers") == 1.0
    });
    for number in 0..ASKED {
        assert_eq!(connection.head().status, 307, "answer {number}");
    }
    assert_eq!(connection.head().header("content-type"), Some("text/event-stream"));
    asks.join().unwrap();
}

#[test]
fn heads_behind_a_full_socket_count_as_unread() {
    let long = format!("/sse/send/?{}", "q".repeat(4000));
    let counts = |path: &str, header: (&str, &str)| {
        // Long enough for all of them to be asked for, on a busy machine too.
        let hub = Hub::alone(&["--write-timeout", "8s"]);
        let deaf = Deaf::open(hub.address());
        // More than the system holds for it.
        deaf.ask("GET", PAGE, ("accept", "*/*"), 10);
        hub.await_metrics("the socket is full", |now| now.sum("fanfare_unread_answers") == 10.0);
        deaf.ask("GET", path, header, 150);
        hub.await_metrics("each is waited for", |now| now.sum("fanfare_unread_answers") >= 150.0);
        hub.await_metrics("it is broken off", |now| {
            unread(&hub) >= 1.0 && now.sum("fanfare_unread_answers") == 0.0
        });
    };
    // Most of the time is spent waiting, so they wait side by side.
    std::thread::scope(|scope| {
        for (path, header) in [
            (&*long, ("accept", "*/*")),
            (PAGE, ("if-none-match", "*")),
            ("/nowhere", ("accept", "*/*")),
        ] {
            scope.spawn(move || counts(path, header));
        }
    });
}

#[test]
fn a_redirect_repeats_a_bounded_target() {
    let hub = Hub::alone(&[]);
    let ask = |length| hub.get(&format!("/sse/events/?topic={}", "t".repeat(length)));
    let short = ask(4000);
    assert_eq!(short.status, 307);
    assert!(short.header("location").unwrap().ends_with(&"t".repeat(4000)));
    let long = ask(5000);
    assert_eq!((long.status, long.header("location")), (414, None));
}
