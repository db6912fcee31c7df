//! A subscriber that stops reading delays nobody, costs no memory, is closed, and on return gets
//! what it missed, or a gap.
//!
//! Invariant: *nobody waits*, *bounded*.

use std::time::Instant;

use serde_json::json;

use crate::support::{Event, Http, Hub, Ledger, Subscriber, TEST_TIMEOUT};

const MESSAGES: u64 = 20_000;

fn numbered(numbers: std::ops::Range<u64>) -> impl Iterator<Item = serde_json::Value> {
    // White space that makes it large: a number all the same.
    numbers.map(|n| json!({ "message": format!("{n:<1000}") }))
}

/// Sends 20 MB past a subscriber that does not read, while another reads all of it, and waits
/// until the first has been closed; returns it.
fn stall(hub: &Hub) -> Subscriber {
    let slow = hub.subscription().narrow().open();
    let mut brisk = hub.subscribe("");
    let mut publisher = hub.publisher();
    let mut ledger = Ledger::beginning_with(0);
    for start in (0..MESSAGES).step_by(100) {
        publisher.batch(numbered(start..start + 100));
        (0..100).for_each(|_| ledger.enter(&brisk.next()));
    }
    // A seat is given back before it is counted who was closed.
    hub.await_metrics("the slow one closed", |now| {
        now.sum("fanfare_subscribers") == 1.0 && now.sum("fanfare_closed_total") == 1.0
    });
    publisher.batch(numbered(MESSAGES..MESSAGES + 1));
    ledger.enter(&brisk.next());
    slow
}

#[test]
fn one_that_stops_reading_is_closed_and_catches_up_later() {
    let hub = Hub::start(&["--write-timeout", "1s"]);
    let mut slow = stall(&hub);
    let mut ledger = Ledger::beginning_with(0);
    slow.until_lost().iter().for_each(|event| ledger.enter(event));
    assert!(ledger.next() < MESSAGES, "it was never slow");
    let mut back = hub.subscription().after(slow.last_event_id()).open();
    while ledger.next() <= MESSAGES {
        ledger.enter(&back.next());
    }
}

#[test]
fn one_that_falls_past_what_is_retained_is_told() {
    let hub = Hub::start(&["--write-timeout", "1s", "--retain-count", "1000"]);
    let mut slow = stall(&hub);
    let mut ledger = Ledger::beginning_with(0);
    let taken = slow.until_lost();
    taken.iter().for_each(|event| ledger.enter(event));
    hub.await_trim("", slow.last_event_id());
    let mut back = hub.subscription().after(slow.last_event_id()).open();
    let mut gap = back.gap("trimmed");
    let behind = |gap: &Event| Ledger::beginning_with(gap.seq() + 1 - taken[0].seq());
    let (mut ledger, mut last) = (behind(&gap), gap.seq());
    while ledger.next() <= MESSAGES {
        let event = back.next();
        assert!(event.seq() > last, "{event:?} does not lead on from {last}");
        last = event.seq();
        if event.is_gap() {
            // The log may still be being trimmed for what was published before.
            assert!(event.data.contains("trimmed"), "{event:?} after {gap:?}");
            ledger = behind(&event);
            gap = event;
        } else {
            ledger.enter(&event);
        }
    }
}

#[test]
fn a_stalled_stream_does_not_hold_up_another_of_its_connection() {
    let hub = Hub::start(&["--write-timeout", "1s"]);
    let [mut slow, mut brisk] = hub.subscription().open_pair();
    let mut publisher = hub.publisher();
    let mut ledger = Ledger::beginning_with(0);
    // So few at a time that its window has room for them however late they are read: it is never slow.
    for start in (0..1000).step_by(20) {
        publisher.batch(numbered(start..start + 20));
        (0..20).for_each(|_| ledger.enter(&brisk.next()));
    }
    hub.await_metrics("the slow one closed", |now| now.sum("fanfare_subscribers") == 1.0);
    publisher.batch(numbered(1000..1001));
    ledger.enter(&brisk.next());

    let mut ledger = Ledger::beginning_with(0);
    slow.until_lost().iter().for_each(|event| ledger.enter(event));
    assert!(ledger.next() < 1000, "it was never slow");
    let mut back = hub.subscription().over(Http::Two).after(slow.last_event_id()).open();
    while ledger.next() <= 1000 {
        ledger.enter(&back.next());
    }
}

#[test]
fn one_that_falls_behind_but_reads_again_misses_nothing() {
    let hub = Hub::start(&["--write-timeout", "1h", "--window-count", "64"]);
    let mut slow = hub.subscription().narrow().open();
    let mut publisher = hub.publisher();
    for start in (0..MESSAGES).step_by(100) {
        publisher.batch(numbered(start..start + 100));
    }
    let mut ledger = Ledger::beginning_with(0);
    while ledger.next() < MESSAGES {
        ledger.enter(&slow.next());
    }
}

#[test]
fn one_that_lags_past_retention_while_connected_is_told_on_the_stream() {
    let hub =
        Hub::start(&["--write-timeout", "1h", "--window-count", "64", "--retain-count", "100"]);
    let mut slow = hub.subscription().narrow().open();
    let mut publisher = hub.publisher();
    for start in (0..MESSAGES).step_by(100) {
        publisher.batch(numbered(start..start + 100));
    }
    let (mut next, mut gaps) = (0, 0);
    while next < MESSAGES {
        let event = slow.next();
        if event.is_gap() {
            gaps += 1;
            continue;
        }
        let number: u64 = event.data.trim_end().parse().unwrap();
        assert!(number == next || (gaps > 0 && number > next), "{number} instead of {next}");
        next = number + 1;
    }
    assert!(gaps > 0, "it was never slow");
}

#[test]
fn one_that_takes_next_to_nothing_is_closed() {
    let hub = Hub::alone(&["--write-timeout", "5s", "--min-rate", "1GiB"]);
    let mut trickle = hub.subscription().narrow().open();
    let mut publisher = hub.publisher();
    for start in (0..MESSAGES).step_by(100) {
        publisher.batch(numbered(start..start + 100));
        // It is slow, never silent, however long this takes.
        trickle.next();
    }
    let begun = Instant::now();
    // It reads all the while, never a gigabyte a second, and there is always more.
    while (0..20).all(|_| matches!(trickle.try_next(), Ok(Some(_)))) {
        publisher.batch(numbered(0..20));
        assert!(begun.elapsed() < TEST_TIMEOUT, "it is never closed");
    }
    // It sees that it is closed before that is counted.
    let closed = hub.await_metrics("it is counted", |now| now.sum("fanfare_closed_total") > 0.0);
    assert_eq!(closed.labelled("fanfare_closed_total", "\"too_slow\""), 1.0);
    assert_eq!(closed.sum("fanfare_closed_total"), 1.0);
}

#[test]
fn many_that_stop_reading_cost_no_memory() {
    let hub = Hub::alone(&[
        "--write-timeout",
        "1h",
        "--retain-bytes",
        "4194304",
        "--window-bytes",
        "1048576",
    ]);
    let slow: Vec<_> = (0..50).map(|_| hub.subscription().narrow().open()).collect();
    let mut publisher = hub.publisher();
    let mut flood = || {
        for start in (0..MESSAGES).step_by(100) {
            publisher.batch(numbered(start..start + 100));
        }
    };
    flood();
    let before = hub.resident_memory();
    for _ in 0..3 {
        flood();
    }
    let growth = hub.resident_memory().saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes more after 60 MB past {} subscribers", slow.len());
    assert_eq!(hub.metrics().sum("fanfare_subscribers"), 50.0);
}
