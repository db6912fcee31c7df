//! A publisher that streams lines is told of each what became of it, while it goes on; whatever ends the stream,
//! it is told up to which line it got.
//!
//! Invariants: *whole or nothing*, *bounded*, *an answer is a resource*, *asked first*, *no longer than granted*.

use bytes::Bytes;
use h2::client;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::support::issuer::{SECRET, bearer, claims, token};
use crate::support::{Connection, Hub, LineStream, Setup, await_that, seq};

fn line(message: &str) -> String {
    json!({ "message": message }).to_string() + "\n"
}

fn numbered(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| line(&number.to_string())).collect()
}

fn holder(subject: &str, seconds: f64, rights: &Value) -> String {
    bearer(&token(&claims(subject, seconds, rights)))
}

fn refused(hub: &Hub, reason: &str) -> f64 {
    hub.metrics().labelled("fanfare_refused_total", &format!("reason=\"{reason}\""))
}

#[test]
fn a_line_is_answered_before_the_body_ends() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscribe("");
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&(line("one") + "\n" + &line("two")));
    let answer = publisher.answer();
    // They came together, but may have been read one after the other.
    let mut last = answer["lines"][1].as_u64().unwrap();
    assert_eq!(answer["lines"][0], 1);
    while last < 3 {
        last = publisher.answer()["lines"][1].as_u64().unwrap();
    }
    let events = [subscriber.next(), subscriber.next()];
    assert_eq!(answer["first"], events[0].id);
    publisher.send("{\"message\":");
    publisher.send(" \"th");
    publisher.send("ree\"}\n");
    let answer = publisher.answer();
    let third = subscriber.next();
    assert_eq!(third.data, "three");
    assert_eq!(
        (&answer["lines"], &answer["count"], &answer["first"], &answer["last"]),
        (&json!([4, 4]), &json!(1), &json!(third.id), &json!(third.id)),
    );
    assert_eq!(hub.metrics().sum("fanfare_publish_streams"), 1.0);
    publisher.send("{\"message\": \"no end\"}");
    publisher.finish();
    assert_eq!(publisher.answer()["lines"], json!([5, 5]));
    assert_eq!(publisher.end(), json!({"end": "complete", "line": 5}));
    assert_eq!(subscriber.next().data, "no end");
    hub.await_metrics("its end", |now| now.sum("fanfare_publish_streams") == 0.0);
}

#[test]
fn only_who_asks_is_answered_line_by_line() {
    let hub = Hub::start(&[]);
    let kind = ("Content-Type", "application/x-ndjson");
    for accept in ["*/*", "application/json"] {
        let headers = [kind, ("Accept", accept)];
        let response =
            hub.connect().request("POST", "/sse/send", &headers, numbered(0..2).as_bytes());
        assert_eq!(response.json()["ids"].as_array().map(Vec::len), Some(2), "{response:?}");
    }
    // One whose body ends may ask for it all the same.
    let headers = [kind, ("Accept", "application/x-ndjson")];
    let response = hub.connect().request("POST", "/sse/send", &headers, numbered(0..2).as_bytes());
    assert!(response.text().ends_with("{\"end\":\"complete\",\"line\":2}\n"), "{response:?}");
}

#[test]
fn one_bad_line_leaves_the_others() {
    let hub = Hub::start(&["--max-message", "10"]);
    let mut subscriber = hub.subscribe("topic=**");
    let mut publisher = LineStream::open(&hub, &[]);
    let bad = [
        ("{}\n", 422),
        ("{\"message\": 1}\n", 422),
        ("nonsense\n", 422),
        ("{\"message\": \"12345678901\"}\n", 413),
        ("{\"message\": \"x\", \"topic\": \"a/*\"}\n", 422),
    ];
    let mut all = line("first");
    for (bad, _) in bad {
        all.push_str(bad);
    }
    publisher.send(&(all + &line("last")));
    publisher.finish();
    assert_eq!(publisher.answer()["lines"], json!([1, 1]));
    for (number, (bad, status)) in (2..).zip(bad) {
        let answer = publisher.answer();
        assert_eq!((&answer["line"], &answer["status"]), (&json!(number), &json!(status)), "{bad}");
        // What is said of it is what a request of its own would have been told.
        assert!(
            answer["error"]["detail"].to_string().contains(&format!("ine {number}: ")),
            "{answer}"
        );
    }
    assert_eq!(publisher.answer()["lines"], json!([7, 7]));
    assert_eq!(publisher.end()["end"], "complete");
    assert_eq!(subscriber.messages(2), ["first", "last"]);
    assert_eq!(refused(&hub, "invalid_publish"), 4.0);
    assert_eq!(refused(&hub, "too_large"), 1.0);
}

#[test]
fn many_lines_are_all_published_in_order() {
    const LINES: u32 = 50_000;
    let hub = Hub::start(&["--retain-count", "100000"]);
    let mut publisher = LineStream::open(&hub, &[]);
    for piece in 0..50 {
        publisher.send(&numbered(piece * LINES / 50..(piece + 1) * LINES / 50));
    }
    publisher.finish();
    let (mut next, mut id) = (1, None);
    while next <= LINES {
        let answer = publisher.answer();
        assert_eq!(answer["lines"][0], next, "{answer}");
        let first = seq(answer["first"].as_str().unwrap());
        let last = seq(answer["last"].as_str().unwrap());
        let count = answer["count"].as_u64().unwrap();
        assert_eq!(last + 1 - first, count);
        if let Some(before) = id.replace(last) {
            assert_eq!(first, before + 1, "nobody else publishes");
        }
        next = u32::try_from(answer["lines"][1].as_u64().unwrap()).unwrap() + 1;
    }
    assert_eq!(publisher.end(), json!({"end": "complete", "line": LINES}));
    let mut subscriber = hub.subscription().after("earliest").open();
    for number in 0..LINES {
        assert_eq!(subscriber.next().data, number.to_string());
    }
}

#[test]
fn a_stream_with_a_key_is_refused() {
    let hub = Hub::start(&[]);
    let (head, mut stream) = LineStream::ask(hub.connect(), &[("Idempotency-Key", "one")]);
    assert_eq!(head.status, 422, "{head:?}");
    let _ = stream.try_send(&line("x"));
}

#[test]
fn a_line_that_never_ends_times_out() {
    let hub = Hub::alone(&["--body-timeout", "300ms", "--max-message", "10"]);
    let mut idle = LineStream::open(&hub, &[]);
    idle.send(&line("before"));
    idle.answer();
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&(line("whole") + "{\"message\":"));
    assert_eq!(publisher.answer()["lines"], json!([1, 1]));
    let end = publisher.end();
    assert_eq!(
        (&end["end"], &end["line"], &end["status"]),
        (&json!("body_timeout"), &json!(1), &json!(408))
    );
    assert_eq!(refused(&hub, "body_timeout"), 1.0);
    // One that only has nothing to say is left alone.
    idle.send(&line("after"));
    assert_eq!(idle.answer()["lines"], json!([2, 2]));

    let mut publisher = LineStream::open(&hub, &[]);
    let _ = publisher.try_send(&"x".repeat(16 << 10));
    let end = publisher.end();
    assert_eq!(
        (&end["end"], &end["line"], &end["status"]),
        (&json!("too_large"), &json!(0), &json!(413))
    );
}

#[test]
fn a_stream_takes_a_place_and_gives_it_back() {
    let hub = Hub::alone(&["--max-requests", "1"]);
    let mut publisher = LineStream::open(&hub, &[]);
    let busy = hub.connect().request(
        "POST",
        "/sse/send",
        &[("Content-Type", "application/json")],
        line("x").as_bytes(),
    );
    assert_eq!(busy.status, 503, "{busy:?}");
    publisher.finish();
    publisher.end();
    hub.publisher().send("after");
    // One whose connection breaks gives it back too.
    drop(LineStream::open(&hub, &[]));
    await_that("a place", || {
        let headers = [("Content-Type", "application/json")];
        let sent = hub.connect().request("POST", "/sse/send", &headers, line("y").as_bytes());
        sent.status == 200
    });
}

#[test]
fn a_quick_stream_is_slowed_to_its_rate() {
    let hub = Hub::alone(&["--publish-rate", "50"]);
    let mut publisher = LineStream::open(&hub, &[]);
    // Twice a second's worth may come at once, and more than that is owed.
    publisher.send(&numbered(0..120));
    publisher.send(&numbered(120..130));
    publisher.finish();
    let mut events = 0;
    while events < 130 {
        events += publisher.answer()["count"].as_u64().expect("none is refused");
    }
    assert_eq!(publisher.end()["line"], 130);
    assert_eq!(refused(&hub, "publish_rate"), 0.0);
}

#[test]
fn refused_lines_are_slowed_to_the_rate_of_events() {
    let hub = Hub::alone(&["--publish-rate", "1"]);
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&"no JSON\n".repeat(100));
    assert_eq!(publisher.answer()["line"], 1, "they are answered");
    // They were read as events are, so more than a minute's worth is owed.
    let response = hub.publisher().post_json(r#"{"message": "x"}"#);
    assert_eq!(response.status, 429, "{response:?}");
    assert!(refused(&hub, "publish_rate") >= 1.0);
}

#[test]
fn a_stream_ends_with_its_token_or_subject() {
    let hub = Hub::start(&["--jwt-secret", SECRET]);
    let rights = json!({"publish": ["a"], "subscribe": [], "admin": true});
    let root = holder("root", 3600.0, &rights);
    let open = |subject: &str, seconds| {
        let holder = holder(subject, seconds, &rights);
        LineStream::ask(hub.connect(), &[("Authorization", &holder)])
    };
    let (_, mut staying) = open("eve", 3600.0);
    let (_, mut cut) = open("ada", 3600.0);
    for stream in [&mut staying, &mut cut] {
        stream.send("{\"topic\":\"a\",\"message\":\"x\"}\n{\"message\":\"elsewhere\"}\n");
        assert_eq!(stream.answer()["lines"], json!([1, 1]));
        let answer = stream.answer();
        assert_eq!((&answer["line"], &answer["status"]), (&json!(2), &json!(403)), "{answer}");
    }
    let path = "/sse/subscribers?subject=ada";
    let response = hub.request("DELETE", path, &[("Authorization", &root)]);
    assert_eq!(response.status, 200, "{response:?}");
    let end = cut.end();
    assert_eq!(
        (&end["end"], &end["line"], &end["status"]),
        (&json!("unauthenticated"), &json!(2), &json!(401))
    );
    // A token of a moment, which is longer on a busy machine.
    let mut short = [1.0, 2.0, 4.0, 8.0, 16.0].into_iter().map(|seconds| open("bob", seconds));
    let (_, mut expiring) = short.find(|(head, _)| head.status == 200).expect("it can be used");
    let end = expiring.end();
    assert_eq!((&end["end"], &end["line"]), (&json!("unauthenticated"), &json!(0)));
    assert!(end["error"].to_string().contains("expired"), "{end}");
    staying.send("{\"topic\":\"a\",\"message\":\"y\"}\n");
    assert_eq!(staying.answer()["lines"], json!([3, 3]));
}

#[test]
fn a_drain_ends_a_stream_with_a_reason() {
    let mut hub = Hub::start(&["--drain", "1s"]);
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&line("x"));
    publisher.answer();
    hub.terminate();
    let end = publisher.end();
    assert_eq!(
        (&end["end"], &end["line"], &end["status"]),
        (&json!("draining"), &json!(1), &json!(503))
    );
    assert_eq!(end["retry_after"], 1);
    assert_eq!(hub.wait().code(), Some(0));
}

#[test]
fn an_upgrade_ends_a_stream_with_a_reason() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&line("x"));
    let answer = publisher.answer();
    hub.upgrade();
    let end = publisher.end();
    assert_eq!(
        (&end["end"], &end["line"], &end["status"]),
        (&json!("handed_over"), &json!(1), &json!(503))
    );
    let mut publisher = LineStream::open(&hub, &[]);
    publisher.send(&line("y"));
    let next = publisher.answer();
    let [before, after] = [&answer["last"], &next["first"]].map(|id| seq(id.as_str().unwrap()));
    assert_eq!(after, before + 1);
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    let hub = Hub::alone(&["--write-timeout", "1s"]);
    let before = hub.resident_memory();
    let (head, mut publisher) = LineStream::ask(Connection::open_narrow(hub.address()), &[]);
    assert_eq!(head.status, 200);
    // Each is answered at length.
    let bad = format!("{{\"message\": [\"{}\"]}}\n", "x".repeat(1_000));
    let piece = bad.repeat(60);
    let sent = (0..10_000).take_while(|_| publisher.try_send(&piece).is_ok()).count();
    assert!(sent < 10_000, "it is read for as long as it likes");
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 32 << 20, "{growth} bytes more for answers that are not read");
    hub.await_metrics("a refusal", |now| {
        now.labelled("fanfare_refused_total", "reason=\"unread\"") >= 1.0
            && now.sum("fanfare_publish_streams") == 0.0
    });
}

#[test]
fn lines_over_http2_are_answered_as_they_come() {
    let hub = Hub::alone(&[]);
    let address = hub.address();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{address}/sse/send"))
            .header("content-type", "application/x-ndjson")
            .header("accept", "application/x-ndjson")
            .body(())
            .unwrap();
        let mut requests = requests.ready().await.unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let mut answers = response.into_body();
        let (mut said, mut next) = (String::new(), 1);
        for _ in 0..3 {
            body.send_data(Bytes::from(line("x")), false).unwrap();
            while !said.contains(&format!("\"lines\":[{next},{next}]")) {
                let more = answers.data().await.expect("more is said").unwrap();
                answers.flow_control().release_capacity(more.len()).unwrap();
                said.push_str(std::str::from_utf8(&more).unwrap());
            }
            next += 1;
        }
        body.send_data(Bytes::new(), true).unwrap();
        while let Some(more) = answers.data().await {
            said.push_str(std::str::from_utf8(&more.unwrap()).unwrap());
        }
        assert!(said.ends_with("{\"end\":\"complete\",\"line\":3}\n"), "{said}");
    });
}

#[test]
fn silent_streams_hold_half_of_the_places() {
    let hub = Hub::alone(&["--max-requests", "4", "--body-timeout", "300ms"]);
    let mut streams: Vec<_> = (0..4).map(|_| LineStream::open(&hub, &[])).collect();
    hub.await_metrics("only half may go on", |now| now.sum("fanfare_publish_streams") == 2.0);
    assert_eq!(refused(&hub, "requests"), 2.0);
    hub.publisher().send("others are served");
    let goes_on = |stream: &mut LineStream| {
        // One that has ended may be gone.
        let _ = stream.try_send(&line("I am still here"));
        stream.answer().get("end").is_none()
    };
    assert_eq!(streams.iter_mut().map(goes_on).filter(|goes_on| *goes_on).count(), 2);
}
