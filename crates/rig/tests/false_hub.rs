//! A hub that breaks its promises on purpose: the client sees each of them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fanfare_rig::client::{AskedEnvelope, ClientCursor, Leave, RigClient};
use fanfare_rig::id::ReceivedId;
use fanfare_rig::judge::judge;
use fanfare_rig::ledger::{RoundLedger, Wrong};
use fanfare_rig::message::{EventName, Meant};
use fanfare_rig::topic::TopicChoice;

fn meant(n: u32, topic: usize) -> Meant {
    Meant { name: EventName { publisher: 0, n }, topic, kind: 0 }
}

fn event(id: &str, n: u32) -> String {
    let message = meant(n, 0).message();
    let data: String = message.split('\n').map(|line| format!("data: {line}\n")).collect();
    format!("id: {id}\n{data}\n")
}

fn gap(id: &str, to: &str) -> String {
    format!(
        "id: {id}\nevent: fanfare.gap\n\
         data: {{\"reason\":\"trimmed\",\"requested\":\"\",\"resumed_from\":\"{to}\"}}\n\n"
    )
}

/// What is found wrong with a stream that a client gets who comes after 1-1, where 1-2 to 1-9 were
/// acknowledged as the events 2 to 9.
fn found(status: &str, stream: &str) -> Vec<Wrong> {
    found_by(&RoundLedger::default(), status, stream)
}

fn found_by(ledger: &RoundLedger, status: &str, stream: &str) -> Vec<Wrong> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let nodes = [listener.local_addr().expect("it is bound")];
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{stream}\r\n0\r\n\r\n",
        stream.len()
    );
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the client comes");
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).expect("it asks");
        socket.write_all(answer.as_bytes()).expect("it listens");
    });
    let finishing = AtomicBool::new(false);
    let id = |seq| ReceivedId { epoch: 1, seq };
    ledger.acknowledge((2..10).map(|n| (id(u64::from(n)), meant(n, 0))));
    let selector = TopicChoice::of(&["rig/0/0"]);
    let mut client = RigClient::new(0, &nodes, ledger, &finishing, selector, AskedEnvelope::None);
    let leave = Leave {
        events: 100,
        time: Duration::from_secs(10),
        at: None,
        read_pause: Duration::ZERO,
        narrow: false,
    };
    client.run_connection(0, ClientCursor::After(id(1)), leave);
    server.join().expect("it answered");
    judge(ledger);
    Wrong::ALL.into_iter().filter(|wrong| ledger.count(*wrong) > 0).collect()
}

fn found_in(parts: &[String]) -> Vec<Wrong> {
    found("200 OK", &parts.concat())
}

#[test]
fn nothing_is_wrong_with_a_stream_that_keeps_the_promise() {
    assert_eq!(found_in(&[event("1-2", 2), event("1-3", 3)]), []);
    assert_eq!(found_in(&[gap("1-4", "1-4"), event("1-5", 5)]), []);
}

#[test]
fn a_skipped_event_is_found() {
    assert_eq!(found_in(&[event("1-2", 2), event("1-4", 4)]), [Wrong::SilentLoss]);
    assert_eq!(found_in(&[gap("1-3", "1-3"), event("1-5", 5)]), [Wrong::SilentLoss]);
}

#[test]
fn a_repeated_event_is_found() {
    assert_eq!(found_in(&[event("1-2", 2), event("1-2", 2)]), [Wrong::Duplicate]);
    // Also where a gap stands between the two.
    let again = [event("1-2", 2), event("1-3", 3), gap("1-1", "1-1"), event("1-2", 2)];
    assert!(found_in(&again).contains(&Wrong::Duplicate));
}

#[test]
fn a_late_event_is_found() {
    let late = [event("1-2", 2), event("1-4", 4), event("1-3", 3)];
    assert_eq!(found_in(&late), [Wrong::SilentLoss, Wrong::Reordered]);
    assert_eq!(found_in(&[event("1-1", 1)]), [Wrong::Reordered], "it is at the cursor");
}

#[test]
fn an_event_under_two_ids_is_found() {
    assert_eq!(found_in(&[event("1-2", 2), event("1-3", 2)]), [Wrong::OneEventTwoIds]);
}

#[test]
fn who_hears_a_batch_again_from_a_log_that_forgot_its_key_goes_on() {
    let ledger = RoundLedger::default();
    ledger.forgets_keys.store(true, Ordering::Relaxed);
    // It would never come past the second otherwise.
    let parts = [event("1-2", 2), event("1-3", 2), event("1-5", 5)];
    assert_eq!(found_by(&ledger, "200 OK", &parts.concat()), [Wrong::SilentLoss]);
}

#[test]
fn a_clock_that_was_set_excuses_a_key_that_was_forgotten_while_the_log_was_open() {
    let twice = [event("1-2", 2), event("1-3", 2)].concat();
    for starts in [false, true] {
        let ledger = RoundLedger::default();
        ledger.stepped.store(true, Ordering::Relaxed);
        if starts {
            ledger.starts_by_its_clock();
        }
        let found = found_by(&ledger, "200 OK", &twice);
        assert_eq!(found.contains(&Wrong::OneEventTwoIds), !starts, "{found:?}");
    }
}

#[test]
fn a_garbled_event_is_found() {
    let spoilt = event("1-2", 5).replace("data: 0 5 0 0 ", "data: 0 5 0 0 x");
    assert_eq!(found_in(&[spoilt]), [Wrong::Garbled]);
}

#[test]
fn an_unwanted_event_is_found() {
    let other = format!("id: 1-2\ndata: {}\n\n", meant(6, 1).message());
    assert_eq!(found_in(&[other]), [Wrong::Unwanted]);
}

#[test]
fn a_malformed_gap_is_found() {
    assert_eq!(found_in(&[gap("1-3", "1-4")]), [Wrong::Malformed]);
}

#[test]
fn a_circular_gap_is_found() {
    assert_eq!(found_in(&[gap("1-1", "1-1"), event("1-2", 2)]), [Wrong::Circular]);
}

#[test]
fn an_answer_no_event_source_survives_is_found() {
    assert_eq!(found("503 Service Unavailable", ""), [Wrong::Malformed]);
}

#[test]
fn a_malformed_line_is_found() {
    assert_eq!(found("200 OK", "\u{feff}id: 1-2\n"), [Wrong::Malformed]);
    assert_eq!(found("200 OK", "idx: 1-2\n"), [Wrong::Malformed]);
}
