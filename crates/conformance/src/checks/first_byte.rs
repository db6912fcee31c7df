//! The first byte, and every byte after: nothing is held back.

use std::time::Instant;

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed, quote};
use crate::hub::Capability::Framing;
use crate::rule::{html, hub};
use crate::subject::{Subject, exactly};

/// How often an event is published with the very arrival of the head.
const TRIES: usize = 20;
const AT_ONCE: &str =
    "an event is dispatched with the blank line that ends it, while the stream is open";

pub(super) const CHECKS: &[Check] = &[
    must(
        "flush/head-arrives-before-any-event",
        html("9.2.3", "the connection is announced, `open`, once the head is there"),
        &[],
        head_first,
    ),
    must(
        "flush/subscription-is-answered-200",
        html("9.2.3", "any other status fails the connection for good"),
        &[],
        status,
    ),
    should(
        "flush/body-begins-before-any-event",
        html("9.2.7", "a comment at once shows that nothing on the way holds the stream back"),
        &[],
        body_first,
    ),
    hub_level(
        "flush/retry-comes-first",
        html("9.2.6", "`retry` says how long to wait; it counts from when it is heard"),
        &[],
        retry_first,
    ),
    must(
        "flush/retry-is-digits-alone",
        html("9.2.6", "a `retry` that is not digits alone is ignored"),
        &[],
        retry_digits,
    ),
    must("flush/event-arrives-while-the-stream-is-open", html("9.2.6", AT_ONCE), &[], at_once),
    must("flush/event-is-whole-when-it-arrives", html("9.2.6", AT_ONCE), &[Framing], whole),
    must("flush/each-event-arrives-before-the-next", html("9.2.6", AT_ONCE), &[], one_by_one),
    hub_level(
        "flush/event-arrives-after-a-quiet-while",
        hub("a stream that was quiet is not asleep"),
        &[],
        after_quiet,
    ),
    hub_level(
        "flush/what-follows-the-head-is-heard",
        hub("whoever has the head is subscribed: what is published then is heard"),
        &[],
        follows_head,
    ),
    hub_level(
        "flush/burst-arrives-whole",
        hub("a burst is delivered as a whole, in order, once"),
        &[],
        burst,
    ),
    hub_level(
        "flush/stream-stays-open",
        hub("a stream ends when the hub ends, not when it is quiet"),
        &[],
        stays_open,
    ),
];

fn head_first(s: &Subject<'_>) -> CheckResult {
    s.open_any(&s.subscription(&s.topic())).map(drop)
}

fn status(s: &Subject<'_>) -> CheckResult {
    let head = s.open_any(&s.subscription(&s.topic()))?.head;
    ensure(head.status == 200, || format!("{}", head.status))
}

fn body_first(s: &Subject<'_>) -> CheckResult {
    let mut stream = s.subscribe(&s.topic())?;
    ensure(stream.until(s.soon(), |stream| !stream.raw.is_empty()), || "nothing came".to_owned())
}

fn retry_first(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let early = stream.until(s.soon(), |stream| !stream.noticed().retries.is_empty());
    ensure(early, || stream.shown())
}

fn retry_digits(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.fenced(&mut stream, &topic)?;
    match stream.noticed().bad_retries.first() {
        Some(bad) => failed(format!("ignored: retry: {}", quote(bad))),
        None => Ok(()),
    }
}

fn at_once(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.publish(&topic, "x")?;
    stream.events(1, s.soon())?;
    stream.still_open()
}

/// The line break at the end of the message must not leave the event unfinished.
fn whole(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.publish(&topic, "x\n")?;
    stream.events(1, s.soon())?;
    stream.until(Instant::now() + s.quiet(), |_| false);
    ensure(!stream.is_inside_an_event(), || "something was left unfinished behind it".to_owned())
}

fn one_by_one(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    for count in 1..=10 {
        s.publish(&topic, format!("{count}"))?;
        stream.events(count, s.soon())?;
    }
    Ok(())
}

fn after_quiet(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.stays_quiet(&mut stream)?;
    s.publish(&topic, "x")?;
    stream.events(1, s.soon()).map(drop)
}

/// Without the pause that a hub's description may ask for: here it is the point.
fn follows_head(s: &Subject<'_>) -> CheckResult {
    for _ in 0..TRIES {
        let topic = s.topic();
        let mut stream = s.open_any(&s.subscription(&topic))?;
        s.publish(&topic, "x")?;
        stream.events(1, s.soon())?;
    }
    Ok(())
}

fn burst(s: &Subject<'_>) -> CheckResult {
    let (topic, messages) = (s.topic(), s.messages(500));
    let mut stream = s.subscribe(&topic)?;
    s.publish_all(&topic, &messages)?;
    exactly(&s.fenced(&mut stream, &topic)?, &messages)
}

fn stays_open(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    for count in 1..=3 {
        s.publish(&topic, "x")?;
        stream.events(count, s.soon())?;
        stream.until(Instant::now() + s.quiet(), |_| false);
        stream.still_open()?;
    }
    Ok(())
}
