//! Slow readers: one that does not read delays nobody, and is not cheated of anything.

use crate::check::{Check, hub_level};
use crate::finding::{CheckResult, ensure, failed};
use crate::rule::hub;
use crate::stream::StreamEnding;
use crate::subject::Subject;

/// More than the buffers of two sockets hold.
const MESSAGES: usize = 96;
const LENGTH: usize = 128 * 1024;

pub(super) const CHECKS: &[Check] = &[
    hub_level(
        "slow/one-that-stops-delays-no-other",
        hub("a reader that stops costs the others nothing"),
        &[],
        others,
    ),
    hub_level(
        "slow/one-that-stops-delays-no-publisher",
        hub("a reader that stops costs the publisher nothing"),
        &[],
        publishers,
    ),
    hub_level(
        "slow/one-that-stops-misses-nothing-in-silence",
        hub(
            "what a slow reader is sent has no holes: it gets all, or its stream ends, or it is told",
        ),
        &[],
        honest,
    ),
];

/// Subscribes without reading, and publishes more than fits.
fn others(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let _stopped = s.subscribe(&topic)?;
    let mut reads = s.subscribe(&topic)?;
    for n in 0..MESSAGES {
        s.publish(&topic, message(n))?;
        reads.events(n + 1, s.soon())?;
    }
    Ok(())
}

fn publishers(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let _stopped = s.subscribe(&topic)?;
    for n in 0..MESSAGES {
        s.publish(&topic, message(n))?;
    }
    Ok(())
}

fn honest(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut slow = s.subscribe(&topic)?;
    for n in 0..MESSAGES {
        s.publish(&topic, message(n))?;
    }
    let all = slow.until(s.soon(), |slow| slow.events.len() >= MESSAGES);
    let gap = s.hub.subscribe.gap_event.as_deref();
    if slow.notices.iter().any(|event| Some(event.kind.as_str()) == gap) {
        return Ok(());
    }
    let mut numbers = slow.events.iter().map(|event| number(&event.data));
    if let Some(hole) = (0..).zip(&mut numbers).find(|(n, number)| Some(*n) != *number) {
        return failed(format!("number {:?} came in place of {}", hole.1, hole.0));
    }
    let ended = matches!(
        slow.end,
        Some(StreamEnding::Clean | StreamEnding::CutShort | StreamEnding::Broken)
    );
    ensure(all || ended, || format!("the stream stays open, {}", slow.shown()))
}

fn message(n: usize) -> String {
    format!("{n} {}", "x".repeat(LENGTH))
}

fn number(data: &str) -> Option<usize> {
    data.split(' ').next()?.parse().ok()
}
