//! Methods, versions and answers of HTTP: what any client, proxy or library may expect.

use std::time::Instant;

use crate::check::{Check, must, should};
use crate::finding::{CheckResult, ensure, failed, quote, skipped};
use crate::head::RawHead;
use crate::rule::{rfc9110, rfc9112};
use crate::stream::{StreamEnding, SubscribedStream};
use crate::subject::{Subject, accepted, exactly, in_case};
use crate::wire::RawAnswer;

pub(super) const CHECKS: &[Check] = &[
    must(
        "http/head-of-a-stream-has-no-body",
        rfc9110("9.3.2", "the answer to HEAD has no body"),
        &[],
        head_only,
    ),
    should(
        "http/head-of-a-stream-is-that-of-get",
        rfc9110("9.3.2", "HEAD is answered with the fields of GET"),
        &[],
        head_like_get,
    ),
    should(
        "http/post-to-a-stream-is-405",
        rfc9110("9.1", "a method that is known and not allowed there should be answered 405"),
        &[],
        |s| wrong_method(s, "POST", false),
    ),
    must(
        "http/refused-method-names-those-allowed",
        rfc9110("15.5.6", "a 405 must name the methods allowed, in Allow"),
        &[],
        |s| wrong_method(s, "POST", true),
    ),
    should(
        "http/unknown-method-is-501",
        rfc9110("9.1", "a method that is not known should be answered 501"),
        &[],
        unknown_method,
    ),
    must(
        "http/stream-for-1.0-is-not-chunked",
        rfc9112("6.1", "no Transfer-Encoding for a client of HTTP/1.0"),
        &[],
        old_unchunked,
    ),
    must(
        "http/stream-for-1.0-delivers",
        rfc9112("6.3", "without a length the body ends with the connection"),
        &[],
        old_delivers,
    ),
    must(
        "http/stream-has-no-length",
        rfc9112("6.3", "a length ends the stream where nobody knows its end"),
        &[],
        no_length,
    ),
    must(
        "http/chunks-are-well-formed",
        rfc9112("7.1", "size in hexadecimal, CR LF, as many bytes, CR LF"),
        &[],
        chunks,
    ),
    must(
        "http/head-lines-end-in-crlf",
        rfc9112("2.1", "each line of a head ends in CR LF"),
        &[],
        crlf,
    ),
    must(
        "http/answers-are-dated",
        rfc9110("6.6.1", "a server with a clock sends Date"),
        &[],
        dated,
    ),
    should(
        "http/connection-is-kept-after-a-publish",
        rfc9112("9.3", "connections persist unless one side says otherwise"),
        &[],
        kept,
    ),
    must(
        "http/requests-in-one-packet-are-answered-in-order",
        rfc9112("9.3.2", "pipelined requests are answered in their order"),
        &[],
        pipelined,
    ),
    must(
        "http/close-is-honoured",
        rfc9112("9.6", "after `Connection: close` the server closes"),
        &[],
        closes,
    ),
];

fn head_only(s: &Subject<'_>) -> CheckResult {
    let request = s.subscription(&s.topic()).method("HEAD").field("Connection", "close");
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    wire.head(s.soon())?;
    wire.drained(Instant::now() + s.quiet());
    ensure(wire.received.is_empty(), || format!("behind the head: {}", quote(&wire.received)))
}

fn head_like_get(s: &Subject<'_>) -> CheckResult {
    let request = s.subscription(&s.topic());
    let get = s.open_any(&request)?.head;
    let head = s.ask(&request.method("HEAD"))?.head;
    let same = get.status == head.status && get.field("content-type") == head.field("content-type");
    ensure(same, || {
        let [get, head] =
            [get, head].map(|head| format!("{}, {}", head.status, head.shown("content-type")));
        format!("GET: {get}; HEAD: {head}")
    })
}

fn wrong_method(s: &Subject<'_>, method: &str, allow: bool) -> CheckResult {
    let request = s.subscription(&s.topic()).method(method).body("").field("Connection", "close");
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    let head = wire.head(s.soon())?;
    if allow && head.status != 405 {
        return skipped(format!("{method} was not answered 405 but {}", head.status));
    }
    ensure(!allow || head.field("allow").is_some(), || "405 without Allow".to_owned())?;
    ensure(matches!(head.status, 404 | 405 | 501), || format!("answered {}", head.status))
}

fn unknown_method(s: &Subject<'_>) -> CheckResult {
    let request = s.subscription(&s.topic()).method("FANFARE");
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    let head = wire.head(s.soon())?;
    ensure(matches!(head.status, 400 | 404 | 405 | 501), || format!("answered {}", head.status))
}

fn old(s: &Subject<'_>, topic: &str) -> CheckResult<SubscribedStream> {
    s.open(&s.subscription(topic).old())
}

fn old_unchunked(s: &Subject<'_>) -> CheckResult {
    let head = old(s, &s.topic())?.head;
    let plain = head.field("transfer-encoding").is_none();
    ensure(plain, || head.shown("transfer-encoding"))
}

fn old_delivers(s: &Subject<'_>) -> CheckResult {
    let (topic, messages) = (s.topic(), s.messages(3));
    let mut stream = old(s, &topic)?;
    s.publish_all(&topic, &messages)?;
    exactly(&s.fenced(&mut stream, &topic)?, &messages)
}

fn no_length(s: &Subject<'_>) -> CheckResult {
    let head = s.subscribe(&s.topic())?.head;
    ensure(head.field("content-length").is_none(), || head.shown("content-length"))
}

fn chunks(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    if !stream.head.lists("transfer-encoding", "chunked") {
        return skipped("the stream is not chunked");
    }
    for length in [0, 1, 15, 16, 255, 256, 4095, 4096, 70_000] {
        let message = format!("{length}:{}", "x".repeat(length));
        s.publish(&topic, message)?;
    }
    s.fenced(&mut stream, &topic)?;
    match &stream.end {
        Some(StreamEnding::Malformed(how)) => failed(how.clone()),
        _ => Ok(()),
    }
}

fn crlf(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let stream = s.open_any(&s.subscription(&topic))?.head;
    for head in [stream, s.publish(&topic, "x")?.head] {
        let bare = head
            .raw
            .iter()
            .enumerate()
            .find(|(at, byte)| **byte == b'\n' && (*at == 0 || head.raw[at - 1] != b'\r'));
        ensure(bare.is_none(), || quote(&head.raw))?;
    }
    Ok(())
}

fn dated(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let has_date = |head: &RawHead| head.field("date").is_some();
    ensure(has_date(&s.subscribe(&topic)?.head), || "the stream has no Date".to_owned())?;
    let answer = s.publish(&topic, "x")?;
    ensure(has_date(&answer.head), || "the answer to a publish has no Date".to_owned())
}

fn kept(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "one", None)?;
    let mut wire = s.connect(&request.address)?;
    for message in ["one", "two", "three"] {
        wire.send(&s.publication(&topic, message, None)?.bytes())?;
        let answer = wire.answer(false, s.soon());
        in_case(&format!("message {message}"), answer.and_then(|answer| announced(&answer)))?;
    }
    let heard = s.fenced(&mut stream, &topic)?;
    exactly(&heard, &["one", "two", "three"].map(str::to_owned))
}

/// A connection may be closed after an answer that says so: there is nothing to check then.
pub(super) fn announced(answer: &RawAnswer) -> CheckResult {
    if answer.head.minor == 0 || answer.head.lists("connection", "close") {
        return skipped("each answer says that its connection is closed, as it may");
    }
    Ok(())
}

fn pipelined(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let good = s.publication(&topic, "one", None)?;
    let missing = s.subscription(&topic).target("/no/such/path");
    if missing.address != good.address {
        return skipped("publishing has an address of its own");
    }
    let mut wire = s.connect(&good.address)?;
    wire.send(
        &[good.bytes(), missing.bytes(), s.publication(&topic, "two", None)?.bytes()].concat(),
    )?;
    let first = wire.answer(false, s.soon())?;
    announced(&first)?;
    let rest = [wire.answer(false, s.soon())?, wire.answer(false, s.soon())?];
    let good = [first.head.is_success(), !rest[0].head.is_success(), rest[1].head.is_success()];
    ensure(good == [true; 3], || {
        let [second, third] = [&rest[0], &rest[1]].map(|answer| answer.head.status);
        format!("answered {}, {second}, {third}", first.head.status)
    })?;
    exactly(&s.fenced(&mut stream, &topic)?, &["one", "two"].map(str::to_owned))
}

fn closes(s: &Subject<'_>) -> CheckResult {
    let request = s.publication(&s.topic(), "one", None)?.field("Connection", "close");
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    accepted(b"one", wire.answer(false, s.soon())?)?;
    ensure(wire.drained(s.soon()), || "the connection stayed open".to_owned())
}
