//! Requests of HTTP: what any client may send is understood, and what none may is refused.

use std::time::Instant;

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed, skipped};
use crate::request::RawRequest;
use crate::rule::{hub, rfc9110, rfc9112};
use crate::subject::{Subject, accepted, exactly, in_case};
use crate::wire::{RawAnswer, RawConnection};

pub(super) const CHECKS: &[Check] = &[
    must(
        "http/request-without-host-is-refused",
        rfc9112("3.2", "without Host, and with two, the answer is 400"),
        &[],
        |s| refused(s, |request| request.without("Host")),
    ),
    must(
        "http/request-with-two-hosts-is-refused",
        rfc9112("3.2", "without Host, and with two, the answer is 400"),
        &[],
        |s| refused(s, |request| request.field("Host", "another.example")),
    ),
    must(
        "http/space-before-a-colon-is-refused",
        rfc9112("5.1", "white space between a field's name and its colon is answered 400"),
        &[],
        |s| refused(s, |request| request.field("X-Test ", "1")),
    ),
    must(
        "http/field-names-in-any-case",
        rfc9110("5.1", "field names are case-insensitive"),
        &[],
        field_case,
    ),
    must(
        "http/chunked-publish-is-read",
        rfc9112("7.1", "every recipient must be able to read chunks; 411 asks for a length"),
        &[],
        chunked,
    ),
    must(
        "http/chunk-extensions-are-ignored",
        rfc9112("7.1.1", "extensions that are not known are ignored"),
        &[],
        extensions,
    ),
    must(
        "http/bad-chunk-size-is-refused",
        rfc9112("7.1", "what is no chunk is no message: it must not be accepted"),
        &[],
        bad_chunk,
    ),
    must(
        "http/two-lengths-are-refused",
        rfc9112("6.3", "lengths that differ are answered 400, and the connection closed"),
        &[],
        |s| {
            refused_publish(s, |length| {
                format!("Content-Length: {length}\r\nContent-Length: 1\r\n")
            })
        },
    ),
    must(
        "http/length-that-is-none-is-refused",
        rfc9112("6.3", "a length that is not digits is answered 400"),
        &[],
        |s| refused_publish(s, |length| format!("Content-Length: +{length}\r\n")),
    ),
    must(
        "http/length-and-chunks-smuggle-nothing",
        rfc9112(
            "6.1",
            "with both, chunks count or the request is refused; the connection is closed after",
        ),
        &[],
        smuggling,
    ),
    must(
        "http/expectation-is-answered",
        rfc9110("10.1.1", "`Expect: 100-continue` is answered 100, or at once for good"),
        &[],
        expectation,
    ),
    must(
        "http/absolute-target-is-understood",
        rfc9112("3.2.2", "a server must accept a whole URL as its target"),
        &[],
        absolute,
    ),
    should(
        "http/blank-line-before-a-request-is-skipped",
        rfc9112("2.2", "at least one empty line before a request is ignored"),
        &[],
        blank_line,
    ),
    should(
        "http/garbage-is-answered-400",
        rfc9112("3", "what is no request is answered 400, or the connection closed"),
        &[],
        garbage,
    ),
    hub_level(
        "http/client-that-ends-its-side-is-served",
        hub("a client may shut down its sending side and go on reading"),
        &[],
        half_closed,
    ),
];

/// A subscription that is wrong: it must be answered 400, or not at all.
fn refused(s: &Subject<'_>, spoil: impl Fn(RawRequest) -> RawRequest) -> CheckResult {
    let request = spoil(s.subscription(&s.topic()));
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    refusal(s, &mut wire)
}

/// A refusal, or a connection that is closed without a word.
fn refusal(s: &Subject<'_>, wire: &mut RawConnection) -> CheckResult {
    let deadline = s.soon();
    match wire.head(deadline) {
        Ok(head) if head.status >= 400 => Ok(()),
        Ok(head) => failed(format!("answered {}", head.status)),
        Err(_) if wire.drained(Instant::now() + s.quiet()) && wire.received.is_empty() => Ok(()),
        Err(finding) => Err(finding),
    }
}

/// A publish with other lengths than its own: refused, and nobody hears it.
fn refused_publish(s: &Subject<'_>, lengths: impl Fn(usize) -> String) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "smuggled", None)?;
    let length = request.payload().len();
    let head = String::from_utf8_lossy(&request.head()).into_owned();
    let head = head.replace(&format!("Content-Length: {length}\r\n"), &lengths(length));
    let mut wire = s.connect(&request.address)?;
    wire.send(&[head.as_bytes(), request.payload()].concat())?;
    refusal(s, &mut wire)?;
    exactly(&s.fenced(&mut stream, &topic)?, &[])
}

fn field_case(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "one", None)?;
    let head = String::from_utf8_lossy(&request.head()).into_owned();
    let mut lines = head.split_inclusive("\r\n");
    let mut spoilt = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) => spoilt += &format!("{}:{value}", name.to_ascii_uppercase()),
            None => spoilt += line,
        }
    }
    let mut wire = s.connect(&request.address)?;
    wire.send(&[spoilt.as_bytes(), request.payload()].concat())?;
    accepted(b"one", wire.answer(false, s.soon())?)?;
    exactly(&s.fenced(&mut stream, &topic)?, &["one".to_owned()])
}

fn or_asks_for_a_length(answer: RawAnswer) -> CheckResult<RawAnswer> {
    if answer.head.status == 411 {
        return skipped("the hub asks for a length (411), as it may");
    }
    accepted(b"one", answer)
}

fn chunked(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    or_asks_for_a_length(s.ask(&s.publication(&topic, "one", None)?.chunked())?)?;
    exactly(&s.fenced(&mut stream, &topic)?, &["one".to_owned()])
}

/// Sends a publish whose body is chunked as `chunks` writes it.
fn chunked_as(
    s: &Subject<'_>,
    topic: &str,
    chunks: impl Fn(&[u8]) -> Vec<u8>,
) -> CheckResult<RawConnection> {
    let request = s.publication(topic, "one", None)?.chunked();
    let mut wire = s.connect(&request.address)?;
    wire.send(&[request.head(), chunks(request.payload())].concat())?;
    Ok(wire)
}

fn extensions(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let mut wire = chunked_as(s, &topic, |body| {
        let size = format!("{:x};name=\"value\";flag\r\n", body.len());
        [size.as_bytes(), body, b"\r\n0;last\r\n\r\n"].concat()
    })?;
    or_asks_for_a_length(wire.answer(false, s.soon())?)?;
    exactly(&s.fenced(&mut stream, &topic)?, &["one".to_owned()])
}

fn bad_chunk(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let mut wire = chunked_as(s, &topic, |body| {
        [format!("0x{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
    })?;
    refusal(s, &mut wire)?;
    exactly(&s.fenced(&mut stream, &topic)?, &[])
}

/// A second request hides where the length and the chunks disagree.
fn smuggling(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let hidden = s.publication(&topic, "smuggled", None)?.bytes();
    let request = s.publication(&topic, "one", None)?.chunked();
    let mut head = request.head();
    head.truncate(head.len() - 2);
    let size = format!("{:x}\r\n", request.payload().len());
    let chunks = [size.as_bytes(), request.payload(), b"\r\n0\r\n\r\n"].concat();
    let length = format!("Content-Length: {}\r\n\r\n", chunks.len() + hidden.len());
    let mut wire = s.connect(&request.address)?;
    wire.send(&[&head, length.as_bytes(), &chunks, &hidden].concat())?;
    // Whatever it answers, the connection must not go on.
    let ended = wire.drained(s.soon());
    let heard = s.fenced(&mut stream, &topic)?;
    ensure(!heard.iter().any(|event| event.data == "smuggled"), || {
        "what stood behind the body was taken for a request".to_owned()
    })?;
    ensure(ended, || "the connection stayed open".to_owned())
}

fn expectation(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "one", None)?.field("Expect", "100-continue");
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.head())?;
    let first = wire.any_head(s.soon())?;
    if first.status >= 400 {
        return Ok(());
    }
    ensure(first.status == 100, || format!("answered {} without the body", first.status))?;
    wire.send(request.payload())?;
    accepted(b"one", wire.answer(false, s.soon())?)?;
    exactly(&s.fenced(&mut stream, &topic)?, &["one".to_owned()])
}

fn absolute(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let request = s.subscription(&topic);
    let target = [b"http://", request.address.host.as_bytes(), &request.target].concat();
    let mut stream = s.open(&request.target(target))?;
    s.fenced(&mut stream, &topic).map(drop)
}

fn blank_line(s: &Subject<'_>) -> CheckResult {
    let request = s.publication(&s.topic(), "one", None)?;
    let mut wire = s.connect(&request.address)?;
    wire.send(&[b"\r\n", request.bytes().as_slice()].concat())?;
    accepted(b"one", wire.answer(false, s.soon())?).map(drop)
}

fn garbage(s: &Subject<'_>) -> CheckResult {
    // The second is how TLS begins: a client that was told https.
    for (case, bytes) in [
        ("words", b"this is no request\r\n\r\n".as_slice()),
        ("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n"),
    ] {
        let mut wire = s.connect(s.address())?;
        wire.send(bytes)?;
        in_case(case, refusal(s, &mut wire))?;
    }
    s.still_works()
}

fn half_closed(s: &Subject<'_>) -> CheckResult {
    let request = s.publication(&s.topic(), "one", None)?;
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.bytes())?;
    wire.finish();
    accepted(b"one", wire.answer(false, s.soon())?).map(drop)
}
