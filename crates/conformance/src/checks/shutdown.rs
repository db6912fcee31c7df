//! Shutdown: a hub that is told to stop ends its streams in order, and forgets nothing in silence.

use std::time::Instant;

use crate::check::{Check, hub_level, must};
use crate::finding::{CheckResult, NotPassed, ensure, failed, skipped};
use crate::hub::Capability::{Resume, Start};
use crate::parser::DispatchedEvent;
use crate::readiness::wait_until_it_answers;
use crate::rule::{html, hub, rfc9112};
use crate::started::Started;
use crate::stream::{StreamEnding, SubscribedStream};
use crate::subject::{Subject, shown};

/// How many streams are open when it is told to stop.
const STREAMS: usize = 10;

pub(super) const CHECKS: &[Check] = &[
    must(
        "shutdown/streams-end-with-their-last-chunk",
        rfc9112("8", "a chunked body without its last chunk is incomplete"),
        &[Start],
        last_chunk,
    ),
    hub_level(
        "shutdown/no-event-is-cut-in-two",
        hub("a stream that the hub ends, ends between events"),
        &[Start],
        whole_events,
    ),
    hub_level(
        "shutdown/clients-are-told-when-to-come-back",
        html("9.2.6", "`retry` before the end keeps a fleet from coming back at once"),
        &[Start],
        retry,
    ),
    hub_level(
        "shutdown/what-was-accepted-is-delivered",
        hub("what was acknowledged before the signal is heard before the end"),
        &[Start],
        delivered,
    ),
    hub_level(
        "shutdown/process-ends",
        hub("whoever tells a hub to stop does not have to kill it"),
        &[Start],
        ends,
    ),
    hub_level(
        "shutdown/nothing-is-lost-in-silence-over-a-restart",
        hub("after a restart a client gets what it missed, or is told that it cannot"),
        &[Start, Resume],
        restart,
    ),
];

/// A hub of its own, to be stopped.
fn with_a_hub<T>(
    s: &Subject<'_>,
    run: impl FnOnce(&Subject<'_>, &mut Started) -> CheckResult<T>,
) -> CheckResult<T> {
    let Some(start) = &s.hub.start else { return skipped("it cannot be started") };
    let mut started = Started::start(start).map_err(NotPassed::Failed)?;
    wait_until_it_answers(&mut started, s.hub, s.settings).map_err(NotPassed::Failed)?;
    let url = started.url.clone();
    let subject =
        Subject::new(s.hub, s.settings, &url, Some(&started)).map_err(NotPassed::Failed)?;
    run(&subject, &mut started)
}

/// Opens streams that have heard something, stops the hub, and reads the streams to their end.
fn stopped(s: &Subject<'_>) -> CheckResult<Vec<SubscribedStream>> {
    with_a_hub(s, |s, started| {
        let topic = s.topic();
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(s.subscribe(&topic)?);
        }
        s.publish(&topic, "one")?;
        for stream in &mut streams {
            stream.events(1, s.soon())?;
        }
        started.ask_to_stop();
        let deadline = Instant::now() + s.settings.stop;
        for stream in &mut streams {
            stream.until(deadline, |_| false);
            ensure(stream.end.is_some(), || "a stream did not end in time".to_owned())?;
        }
        Ok(streams)
    })
}

fn last_chunk(s: &Subject<'_>) -> CheckResult {
    let ends: Vec<_> = stopped(s)?.into_iter().filter_map(|stream| stream.end).collect();
    let bad = ends.iter().filter(|end| **end != StreamEnding::Clean).count();
    ensure(bad == 0, || format!("{bad} of {STREAMS} ended otherwise: {:?}", ends.first()))
}

fn whole_events(s: &Subject<'_>) -> CheckResult {
    let cut = stopped(s)?.iter().filter(|stream| stream.is_inside_an_event()).count();
    ensure(cut == 0, || format!("{cut} of {STREAMS} ended inside an event"))
}

fn retry(s: &Subject<'_>) -> CheckResult {
    let told = |stream: &&SubscribedStream| !stream.noticed().retries.is_empty();
    let count = stopped(s)?.iter().filter(told).count();
    ensure(count == STREAMS, || format!("{count} of {STREAMS} were told"))
}

fn delivered(s: &Subject<'_>) -> CheckResult {
    with_a_hub(s, |s, started| {
        let (topic, messages) = (s.topic(), s.messages(200));
        let mut stream = s.subscribe(&topic)?;
        s.publish_all(&topic, &messages)?;
        started.ask_to_stop();
        let all = stream.until(Instant::now() + s.settings.stop, |stream| {
            stream.events.len() >= messages.len()
        });
        ensure(all, || format!("of {} accepted, {}", messages.len(), stream.shown()))
    })
}

fn ends(s: &Subject<'_>) -> CheckResult {
    with_a_hub(s, |s, started| {
        let topic = s.topic();
        let _open = s.subscribe(&topic)?;
        started.ask_to_stop();
        let ended = started.ended(Instant::now() + s.settings.stop).is_some();
        ensure(ended, || format!("it still ran after {:?}", s.settings.stop))
    })
}

fn restart(s: &Subject<'_>) -> CheckResult {
    let Some(start) = &s.hub.start else { return skipped("it cannot be started") };
    with_a_hub(s, |s, started| {
        let topic = s.topic();
        let heard = s.recorded(&topic, 3)?;
        started.ask_to_stop();
        if started.ended(Instant::now() + s.settings.stop).is_none() {
            return failed("it did not stop");
        }
        started.start_again(start).map_err(NotPassed::Failed)?;
        wait_until_it_answers(started, s.hub, s.settings).map_err(NotPassed::Failed)?;
        let mut stream = s.resume(&topic, &heard[0].id)?;
        let replayed = s.fenced(&mut stream, &topic)?;
        let gap = s.hub.subscribe.gap_event.as_deref();
        let told = |event: &DispatchedEvent| Some(event.kind.as_str()) == gap;
        let said = stream.notices.iter().any(told);
        let all = heard[1..].iter().all(|event| replayed.iter().any(|r| r.data == event.data));
        ensure(said || all, || format!("neither a word nor the events: heard {}", shown(&replayed)))
    })
}
