//! Limits: what is too much is refused in order, and whoever holds things up holds up nobody else.

use std::time::Instant;

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed};
use crate::request::RawRequest;
use crate::rule::{hub, rfc9110, rfc9112};
use crate::subject::{Subject, accepted, in_case};

/// How many connections are left half-way.
const HALF: usize = 50;

pub(super) const CHECKS: &[Check] = &[
    must(
        "limits/long-header-is-answered",
        rfc9110("5.4", "fields larger than the server takes are answered with a 4xx"),
        &[],
        |s| answered(s, &s.subscription(&s.topic()).field("X-Long", "x".repeat(64 * 1024))),
    ),
    must(
        "limits/many-headers-are-answered",
        rfc9110("5.4", "more fields than the server takes are answered with a 4xx"),
        &[],
        |s| {
            let request = s.subscription(&s.topic());
            answered(
                s,
                &(0..5000).fold(request, |request, n| request.field(&format!("X-{n}"), "x")),
            )
        },
    ),
    must(
        "limits/long-target-is-answered",
        rfc9112("3", "a target longer than the server takes is answered 414"),
        &[],
        |s| long_target(s, 128 * 1024, false),
    ),
    should(
        "limits/target-of-8000-bytes-is-taken",
        rfc9112("3", "lines of a request of 8000 bytes at least should be taken"),
        &[],
        |s| long_target(s, 7900, true),
    ),
    should(
        "limits/long-last-event-id-is-answered",
        rfc9110("5.4", "fields larger than the server takes are answered with a 4xx"),
        &[],
        |s| answered(s, &s.subscription(&s.topic()).field("Last-Event-ID", "7".repeat(16 * 1024))),
    ),
    hub_level(
        "limits/half-a-head-holds-up-nobody",
        hub("who sends half a request waits alone"),
        &[],
        |s| beside(s, |request| b"GET ".iter().chain(&request.target).copied().collect()),
    ),
    hub_level(
        "limits/half-a-body-holds-up-nobody",
        hub("who sends half a request waits alone"),
        &[],
        |s| beside(s, RawRequest::head),
    ),
    hub_level(
        "limits/silent-connections-hold-up-nobody",
        hub("who says nothing waits alone"),
        &[],
        |s| beside(s, |_| Vec::new()),
    ),
    hub_level(
        "limits/a-head-in-pieces-is-read",
        rfc9112("2.2", "a message is a stream of bytes, however it is cut"),
        &[],
        pieces,
    ),
    hub_level(
        "limits/dropped-streams-do-no-harm",
        hub("clients vanish without a word, many at once"),
        &[],
        dropped,
    ),
];

/// A 4xx, or the thing itself; not silence, and not a 5xx that blames the server.
fn answered(s: &Subject<'_>, request: &RawRequest) -> CheckResult {
    let mut wire = s.connect(&request.address)?;
    // It may answer, and stop reading, before it has all.
    let _ = wire.try_send(&request.bytes());
    let head = wire.head(s.soon())?;
    ensure(head.status < 500, || format!("answered {}", head.status))
}

fn long_target(s: &Subject<'_>, length: usize, taken: bool) -> CheckResult {
    let request = s.subscription(&s.topic());
    let join = if request.target.contains(&b'?') { "&" } else { "?" };
    let target = [&request.target, join.as_bytes(), b"x=", "x".repeat(length).as_bytes()].concat();
    let mut wire = s.connect(&request.address)?;
    let _ = wire.try_send(&request.target(target).bytes());
    let status = wire.head(s.soon())?.status;
    let good = if taken { status == 200 } else { matches!(status, 200 | 400 | 414 | 431) };
    ensure(good, || format!("answered {status}"))
}

/// Others are served while connections hang half-way.
fn beside(s: &Subject<'_>, part: impl Fn(&RawRequest) -> Vec<u8>) -> CheckResult {
    let mut hanging = Vec::new();
    for _ in 0..HALF {
        let request = s.publication(&s.topic(), "x", None)?;
        let mut wire = s.connect(&request.address)?;
        wire.send(&part(&request))?;
        hanging.push(wire);
    }
    in_case(&format!("beside {HALF} that hang"), s.still_works())
}

fn pieces(s: &Subject<'_>) -> CheckResult {
    let request = s.publication(&s.topic(), "in pieces", None)?;
    let mut wire = s.connect(&request.address)?;
    for (sent, piece) in request.bytes().chunks(7).enumerate() {
        wire.send(piece)?;
        // Without a pause, a busy machine hands the server all of them in one read.
        if sent < 3 && wire.drained(Instant::now() + s.quiet()) {
            break;
        }
    }
    accepted(b"in pieces", wire.answer(false, s.soon())?).map(drop)
}

fn dropped(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stays = s.subscribe(&topic)?;
    for _ in 0..100 {
        drop(s.open_any(&s.subscription(&topic))?);
    }
    let messages = s.messages(10);
    s.publish_all(&topic, &messages)?;
    let heard = s.fenced(&mut stays, &topic)?;
    match crate::subject::exactly(&heard, &messages) {
        Ok(()) => s.still_works(),
        Err(_) => failed(format!("{} of 10 events were heard", heard.len())),
    }
}
