//! Errors: what is wrong is refused, with an answer that says so, and reaches no subscriber.

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, quote};
use crate::hub::Capability::{Json, Largest};
use crate::rule::{Rule, hub, rfc9110};
use crate::subject::{Subject, exactly};

const BAD: Rule = rfc9110("15.5.1", "what a client got wrong is answered with a 4xx");

pub(super) const CHECKS: &[Check] = &[
    must("errors/broken-json-is-refused", BAD, &[Json], |s| {
        refused(s, &[b"{\"message\": \"on", b"{", b"}", b"nonsense"])
    }),
    should("errors/empty-body-is-refused", BAD, &[Json], |s| refused(s, &[b""])),
    should("errors/json-of-another-shape-is-refused", BAD, &[Json], |s| {
        refused(s, &[b"[]", b"\"text\"", b"null", b"7", b"{}"])
    }),
    hub_level(
        "errors/deep-json-does-no-harm",
        hub("a body may nest as deep as it is long"),
        &[Json],
        deep,
    ),
    should(
        "errors/unknown-path-is-404",
        rfc9110("15.5.5", "what is not there is answered 404"),
        &[],
        unknown_path,
    ),
    should(
        "errors/wrong-method-to-publish-is-405",
        rfc9110("9.1", "a method that is known and not allowed there should be answered 405"),
        &[],
        wrong_method,
    ),
    should(
        "errors/too-large-a-body-is-413",
        rfc9110("15.5.14", "what is larger than the server takes is answered 413"),
        &[Largest],
        too_large,
    ),
    hub_level(
        "errors/body-without-an-end-is-cut-off",
        hub("a chunked body says no length: it must be cut off as it grows"),
        &[Largest],
        endless,
    ),
    should(
        "errors/connection-outlives-an-error",
        hub("one bad publish does not take the good ones on its connection along"),
        &[],
        outlives,
    ),
    must(
        "errors/bad-percent-encoding-does-no-harm",
        hub("a URL comes from outside, and may be anything"),
        &[],
        bad_percent,
    ),
];

/// Each body is refused, whole, and heard by nobody.
fn refused(s: &Subject<'_>, bodies: &[&[u8]]) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    for body in bodies {
        let answer = s.ask(&s.publication(&topic, "x", None)?.body(*body))?;
        ensure(answer.head.is_client_error(), || {
            format!("{} was answered {}", quote(body), answer.head.status)
        })?;
    }
    exactly(&s.fenced(&mut stream, &topic)?, &[])
}

fn deep(s: &Subject<'_>) -> CheckResult {
    const DEPTH: usize = 50_000;
    let body = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let answer = s.ask(&s.publication(&s.topic(), "x", None)?.body(body))?;
    ensure(answer.head.is_client_error(), || format!("answered {}", answer.head.status))?;
    s.still_works()
}

fn unknown_path(s: &Subject<'_>) -> CheckResult {
    let answer = s.ask(&s.subscription(&s.topic()).target("/no/such/path"))?;
    ensure(answer.head.status == 404, || format!("answered {}", answer.head.status))
}

fn wrong_method(s: &Subject<'_>) -> CheckResult {
    let request = s.publication(&s.topic(), "x", None)?.method("PATCH");
    let answer = s.ask(&request)?;
    ensure(matches!(answer.head.status, 404 | 405 | 501), || {
        format!("PATCH was answered {}", answer.head.status)
    })
}

fn too_large(s: &Subject<'_>) -> CheckResult {
    let largest = s.hub.publish.largest_body.unwrap_or_default();
    let topic = s.topic();
    let request = s.publication(&topic, "x".repeat(largest + 1), None)?;
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.head())?;
    // It may answer, and stop reading, before it has all.
    let _ = wire.try_send(request.payload());
    let head = wire.head(s.soon())?;
    ensure(head.status == 413, || format!("answered {}", head.status))
}

fn endless(s: &Subject<'_>) -> CheckResult {
    /// How many times the largest body is sent at most.
    const TIMES: usize = 8;
    let largest = s.hub.publish.largest_body.unwrap_or_default();
    let request = s.publication(&s.topic(), "x", None)?.chunked();
    let mut wire = s.connect(&request.address)?;
    wire.send(&request.head())?;
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    let cut_off = (0..=largest * TIMES / 0x10000).any(|_| wire.try_send(&chunk).is_err());
    if !cut_off {
        // All was taken: then at least it has been refused.
        let head = wire.head(s.soon())?;
        ensure(head.is_client_error(), || format!("answered {}", head.status))?;
    }
    s.still_works()
}

fn outlives(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let good = s.publication(&topic, "one", None)?;
    let bad = s.publication(&topic, "one", None)?.target("/no/such/path").method("GET").body("");
    let mut wire = s.connect(&good.address)?;
    wire.send(&bad.bytes())?;
    let answer = wire.answer(false, s.soon())?;
    ensure(!answer.head.is_success(), || format!("answered {}", answer.head.status))?;
    super::http_answers::announced(&answer)?;
    wire.send(&good.bytes())?;
    let answer = wire.answer(false, s.soon())?;
    ensure(answer.head.is_success(), || format!("then answered {}", answer.head.status))
}

fn bad_percent(s: &Subject<'_>) -> CheckResult {
    for tail in ["%", "%zz", "%ff%fe", "%00", "%0d%0aX-Forged:%201"] {
        let request = s.subscription(&s.topic());
        let target = [&request.target, tail.as_bytes()].concat();
        let head = s.open_any(&request.target(target))?.head;
        let good = head.status < 500 && head.field("x-forged").is_none();
        ensure(good, || format!("{tail:?} was answered {}", head.status))?;
    }
    s.still_works()
}
