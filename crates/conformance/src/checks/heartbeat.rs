//! Heartbeats: a quiet stream is kept open, and no client takes that for a message.

use std::time::Instant;

use crate::check::{Check, hub_level, should};
use crate::finding::{CheckResult, ensure, skipped};
use crate::rule::{html, hub};
use crate::stream::SubscribedStream;
use crate::subject::{Subject, shown};

pub(super) const CHECKS: &[Check] = &[
    should(
        "heartbeat/comes-in-time",
        html(
            "9.2.7",
            "a comment every 15 seconds or so, against proxies that drop quiet connections",
        ),
        &[],
        in_time,
    ),
    should(
        "heartbeat/is-no-message",
        html("9.2.7", "a keepalive is a comment: no client is to hear of it"),
        &[],
        no_message,
    ),
    hub_level(
        "heartbeat/is-no-block-of-its-own",
        hub("a comment followed by a blank line is an empty message to several clients"),
        &[],
        no_block,
    ),
];

/// A quiet stream up to its first keepalive, and what came with it.
fn kept_alive(s: &Subject<'_>) -> CheckResult<(SubscribedStream, usize, bool)> {
    let mut stream = s.subscribe(&s.topic())?;
    // What is sent at once is no keepalive.
    stream.until(Instant::now() + s.quiet(), |_| false);
    let begun = stream.raw.len();
    let came =
        stream.until(Instant::now() + s.settings.heartbeat, |stream| stream.raw.len() > begun);
    stream.until(Instant::now() + s.quiet(), |_| false);
    Ok((stream, begun, came))
}

fn in_time(s: &Subject<'_>) -> CheckResult {
    let (stream, _, came) = kept_alive(s)?;
    stream.still_open()?;
    ensure(came, || format!("nothing came in {:?}", s.settings.heartbeat))
}

fn no_message(s: &Subject<'_>) -> CheckResult {
    let (stream, _, came) = kept_alive(s)?;
    if !came {
        return skipped("there was no keepalive to look at");
    }
    ensure(stream.events.is_empty(), || format!("heard {}", shown(&stream.events)))
}

fn no_block(s: &Subject<'_>) -> CheckResult {
    let (stream, begun, came) = kept_alive(s)?;
    if !came {
        return skipped("there was no keepalive to look at");
    }
    let noticed = stream.noticed();
    ensure(noticed.idle_blanks == 0 && noticed.dataless == 0, || {
        crate::finding::quote(&stream.raw[begun..])
    })
}
