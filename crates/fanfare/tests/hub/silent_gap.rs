//! What is lost is said: a gap comes before anything later, and only where something was lost.
//!
//! Invariant: *no silent loss*.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::over_http1_and_http2;
use crate::support::{Event, Http, Hub, Ledger, Setup, seq};

over_http1_and_http2!(
    what_was_trimmed_is_said,
    a_gap_is_not_repeated_on_the_next_reconnect,
    an_unknown_epoch_gets_everything_retained,
    an_id_that_does_not_parse_gets_live_events_only,
    an_id_ahead_of_the_log_waits_and_is_told,
    an_id_just_ahead_of_the_log_is_no_gap,
    a_quiet_topic_has_no_gap_because_another_was_trimmed,
    a_trimmed_topic_has_its_gap_by_every_name,
);

fn requested(gap: &Event) -> String {
    let said: Value = serde_json::from_str(&gap.data).unwrap();
    said["requested"].as_str().expect("a gap says what was requested").to_owned()
}

fn what_was_trimmed_is_said(http: Http) {
    let hub = Hub::start(&["--retain-count", "10"]);
    let ids = hub.publisher().count("default", 0..100);
    hub.await_trim("", &ids[4]);
    let mut subscriber = hub.subscription().over(http).after(&ids[4]).open();
    let mut gap = subscriber.gap("trimmed");
    assert_eq!(requested(&gap), ids[4]);
    // Nothing is published meanwhile: it would trim what is still to be read. What was published may.
    let mut event = subscriber.next();
    while event.is_gap() {
        assert!(event.seq() > gap.seq(), "{event:?} does not lead on from {gap:?}");
        gap = event;
        event = subscriber.next();
    }
    let mut ledger = Ledger::beginning_with(gap.seq() + 1 - seq(&ids[0]));
    assert!((10..90).contains(&(100 - ledger.next())), "what is retained: {gap:?}");
    ledger.enter(&event);
    while ledger.next() < 100 {
        ledger.enter(&subscriber.next());
    }
    hub.publisher().send("100");
    ledger.enter(&subscriber.next());

    let hub = Hub::start(&["--retain-count", "10"]);
    let ids = hub.publisher().count("default", 0..100);
    let mut subscriber = hub.subscription().over(http).after(&ids[94]).open();
    assert_eq!(subscriber.messages(5), ["95", "96", "97", "98", "99"], "nothing of it is trimmed");
}

fn a_gap_is_not_repeated_on_the_next_reconnect(http: Http) {
    let hub = Hub::start(&["--retain-count", "10"]);
    let ids = hub.publisher().count("default", 0..100);
    hub.await_trim("", &ids[4]);
    let mut resumed = Vec::new();
    for stale in [ids[4].as_str(), "1-1", "nonsense"] {
        let mut gap = hub.subscription().over(http).after(stale).open().next();
        assert!(gap.is_gap(), "{stale}: {gap:?}");
        let mut subscriber = hub.subscription().over(http).after(&gap.id).open();
        let mut last = gap.seq();
        while last < seq(&ids[99]) {
            let event = subscriber.next();
            if event.is_gap() {
                // The log has been trimmed further since.
                assert!(event.seq() > gap.seq(), "{stale}: {event:?} after {gap:?}");
                gap = event;
                last = gap.seq();
            } else {
                last += 1;
                assert_eq!(event.seq(), last, "{stale}: {event:?}");
            }
        }
        resumed.push(subscriber);
    }
    hub.publisher().send("end");
    for mut subscriber in resumed {
        assert_eq!(subscriber.next().data, "end");
    }
}

#[test]
fn what_a_topics_limit_hides_is_said_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let few = ["--data", &data, "--retain-topic-count", "3", "--window-count", "2"];
    let hub = Setup::new(&few).own_log().start();
    let start = hub.publisher().send_to("quiet", "q0");
    let ids = hub.publisher().count("busy", 0..100);
    let busy = "topic=busy&topic=quiet";
    for query in ["topic=busy", busy, "topic=**"] {
        let mut subscriber = hub.subscription().query(query).after(&start).open();
        let gap = subscriber.gap("trimmed");
        assert_eq!((requested(&gap), &gap.id), (start.clone(), &ids[96]), "{query}");
        assert_eq!(subscriber.messages(3), ["97", "98", "99"]);
        drop(subscriber);
        let mut subscriber = hub.subscription().query(query).after(&gap.id).open();
        assert_eq!(subscriber.messages(3), ["97", "98", "99"], "{query}: the same gap again");
    }
    let mut subscriber = hub.subscription().query("topic=quiet").after(&start).open();
    hub.publisher().send_to("quiet", "q1");
    assert_eq!(subscriber.messages(1), ["q1"], "nothing of it is hidden");
}

fn an_unknown_epoch_gets_everything_retained(http: Http) {
    let hub = Hub::start(&[]);
    let ids = hub.publisher().count("default", 0..5);
    for unknown in ["1-3", "18446744073709551615-1", "7-18446744073709551615", "0-0"] {
        let mut subscriber = hub.subscription().over(http).after(unknown).open();
        let gap = subscriber.gap("unknown_epoch");
        assert_eq!(requested(&gap), unknown);
        assert_eq!(gap.seq() + 1, seq(&ids[0]));
        assert_eq!(subscriber.messages(5), ["0", "1", "2", "3", "4"]);
    }
}

fn an_id_that_does_not_parse_gets_live_events_only(http: Http) {
    let hub = Hub::start(&[]);
    let ids = hub.publisher().count("default", 0..5);
    for bad in ["nonsense", "-", "1-", "1-2-3", "+1-2", "123456789012345678901-1", "Earliest"] {
        let mut subscriber = hub.subscription().over(http).after(bad).open();
        let gap = subscriber.gap("bad_id");
        assert_eq!(requested(&gap), bad);
        assert!(gap.seq() >= seq(&ids[4]), "it resumes where live begins: {gap:?}");
        hub.publisher().send("live");
        assert_eq!(subscriber.next().data, "live");
    }
    // An id from a query may hold anything; it must not forge a field.
    let query = "last_event_id=x%0D%0Aid:+9-9%0A%0Adata:+forged";
    let mut subscriber = hub.subscription().over(http).query(query).open();
    let gap = subscriber.gap("bad_id");
    assert_eq!(requested(&gap), "x\r\nid: 9-9\n\ndata: forged");
    hub.publisher().send("live");
    assert_eq!(subscriber.next().data, "live");
}

#[test]
fn an_id_that_is_not_text_is_a_bad_one() {
    let hub = Hub::start(&[]);
    let mut connection = hub.connect();
    connection
        .send(b"GET /sse/events HTTP/1.1\r\nHost: hub.test\r\nLast-Event-ID: \xff\xfe\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("bad_id") {
        seen.extend(connection.chunk().unwrap().expect("the stream goes on"));
    }
}

fn an_id_ahead_of_the_log_waits_and_is_told(http: Http) {
    let hub = Hub::start(&[]);
    // Every node hears of it first: one that had not would deliver it after the gap.
    let id = hub.publisher().count("default", 0..1).remove(0);
    let (epoch, last) = id.split_once('-').unwrap();
    let ahead = format!("{epoch}-{}", last.parse::<u64>().unwrap() + 1000);
    let mut subscriber = hub.subscription().over(http).after(&ahead).open();
    let gap = subscriber.gap("engine_lost_writes");
    assert_eq!(requested(&gap), ahead);
    hub.publisher().send("later");
    let event = subscriber.next();
    assert_eq!(event.data, "later");
    assert!(event.seq() > gap.seq(), "{event:?} after {gap:?}");
}

fn an_id_just_ahead_of_the_log_is_no_gap(http: Http) {
    /// How long a node waits for what it has not heard of.
    const CATCH_UP: Duration = Duration::from_secs(2);
    let hub = Hub::start(&[]);
    let mut publisher = hub.publisher();
    let mut come_ahead = || {
        let id = publisher.send("last");
        let (epoch, last) = id.split_once('-').unwrap();
        let ahead = format!("{epoch}-{}", last.parse::<u64>().unwrap() + 1);
        let begun = Instant::now();
        let mut subscriber = std::thread::scope(|scope| {
            // The answer may wait for the log.
            let subscriber = scope.spawn(|| hub.subscription().over(http).after(&ahead).open());
            assert_eq!(publisher.send("already known"), ahead);
            publisher.send("new");
            subscriber.join().unwrap()
        });
        let event = subscriber.next();
        assert!(!event.is_gap() || begun.elapsed() >= CATCH_UP, "it did not wait: {event:?}");
        event
    };
    // On a busy machine it may have waited in vain, because the publisher was even later.
    let heard = (0..5).map(|_| come_ahead()).find(|event| !event.is_gap());
    assert_eq!(heard.expect("a node that waits hears of it").data, "new");
}

fn a_quiet_topic_has_no_gap_because_another_was_trimmed(http: Http) {
    let hub = Hub::start(&["--retain-count", "20"]);
    let mut publisher = hub.publisher();
    let before = publisher.send_to("chat", "first");
    let quiet = publisher.send_to("orders/1", "quiet");
    publisher.count("chat", 0..200);
    publisher.send_to("orders/1", "after");
    hub.await_trim("topic=chat", &before);
    for (id, topic, expected) in [
        (&quiet, "orders/1", "after"),
        (&quiet, "orders/*", "after"),
        (&before, "never/published", "end"),
    ] {
        let query = format!("topic={topic}");
        let mut subscriber = hub.subscription().over(http).query(&query).after(id).open();
        publisher.send_to("never/published", "end");
        assert_eq!(subscriber.messages(1), [expected], "{topic}");
    }
}

fn a_trimmed_topic_has_its_gap_by_every_name(http: Http) {
    let hub = Hub::start(&["--retain-count", "20"]);
    let mut publisher = hub.publisher();
    let before = publisher.send_to("chat", "first");
    publisher.send_to("orders/1", "trimmed");
    publisher.count("chat", 0..200);
    hub.await_trim("topic=orders/1", &before);
    for topic in ["orders/1", "orders/*", "orders/**", "**", "chat", "quiet&topic=chat"] {
        let query = format!("topic={topic}");
        hub.subscription().over(http).query(&query).after(&before).open().gap("trimmed");
    }
}

#[test]
fn retention_by_bytes_and_by_age_is_said_too() {
    for limit in [["--retain-bytes", "4096"], ["--retain-age", "1s"]] {
        let hub = Hub::start(&limit);
        let mut publisher = hub.publisher();
        let start = publisher.send("start");
        for _ in 0..20 {
            publisher.send(&"x".repeat(1000));
        }
        let begun = Instant::now();
        // Age is looked at about once a second: ask until it shows.
        loop {
            let mut subscriber = hub.subscription().after(&start).open();
            if subscriber.next().is_gap() {
                break;
            }
            assert!(
                begun.elapsed() < crate::support::TEST_TIMEOUT,
                "nothing is trimmed: {limit:?}"
            );
        }
    }
}
