//! Replay: a client that was away gets exactly what it missed, or is told that it cannot.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed, quote};
use crate::hub::Capability::{
    Earliest, EventTypes, Framing, Gap, Resume, ResumeQuery, Topics, UnknownId,
};
use crate::parser::DispatchedEvent;
use crate::rule::{html, hub};
use crate::stream::SubscribedStream;
use crate::subject::{Subject, accepted, exactly, in_case, shown};

const EXACT: &str =
    "after a reconnect: everything after the id that the client names, once, in order";
const SAID: &str = "what cannot be replayed is said, before anything later; never passed over";
const SOURCE: &str = "any answer but 200 ends an EventSource for good";
/// How often the seam between replay and live is looked at.
const SEAMS: usize = 5;
/// The most that is published meanwhile.
const MOST_BESIDE: usize = 20_000;

pub(super) const CHECKS: &[Check] = &[
    hub_level("replay/is-exact", hub(EXACT), &[Resume], exact),
    hub_level("replay/after-the-last-id-nothing-is-repeated", hub(EXACT), &[Resume], from_the_end),
    hub_level("replay/brings-what-came-while-nobody-listened", hub(EXACT), &[Resume], while_away),
    hub_level("replay/brings-a-thousand-events", hub(EXACT), &[Resume], a_thousand),
    hub_level("replay/has-no-seam-with-what-is-live", hub(EXACT), &[Resume], no_seam),
    hub_level("replay/goes-on-live", hub(EXACT), &[Resume], goes_on),
    hub_level(
        "replay/can-be-repeated",
        hub("resuming after the same id again brings the same"),
        &[Resume],
        repeatable,
    ),
    hub_level(
        "replay/keeps-ids",
        hub("a replayed event has the id that it had"),
        &[Resume],
        keeps_ids,
    ),
    hub_level(
        "replay/keeps-text",
        hub("a replayed event has the text that it had"),
        &[Resume, Framing],
        keeps_text,
    ),
    hub_level(
        "replay/keeps-types",
        hub("a replayed event has the type that it had"),
        &[Resume, EventTypes],
        keeps_types,
    ),
    hub_level(
        "replay/keeps-to-its-topics",
        hub("what is replayed is what would have been heard"),
        &[Resume, Topics],
        own_topics,
    ),
    must(
        "replay/header-name-in-any-case",
        crate::rule::rfc9110(
            "5.1",
            "field names are case-insensitive; HTTP/2 has them in lower case",
        ),
        &[Resume],
        any_case,
    ),
    hub_level(
        "replay/by-query",
        hub("the id can stand in the URL, for clients that cannot set headers"),
        &[ResumeQuery],
        by_query,
    ),
    hub_level(
        "replay/header-beats-query",
        html(
            "9.2.4",
            "an EventSource reconnects to the same URL, and only its header is up to date",
        ),
        &[ResumeQuery],
        header_wins,
    ),
    hub_level(
        "replay/empty-id-is-none",
        html("9.2.4", "an empty last event id is not sent: one that is, is none"),
        &[Resume],
        empty_id,
    ),
    hub_level(
        "replay/no-id-means-live",
        hub("a client without an id hears what comes, not what was"),
        &[Resume],
        live_only,
    ),
    hub_level(
        "replay/everything-retained-on-demand",
        hub("a word in place of an id asks for everything retained"),
        &[Earliest],
        earliest,
    ),
    hub_level("replay/unknown-id-is-not-passed-over", hub(SAID), &[UnknownId], unknown),
    hub_level("replay/bad-id-is-not-passed-over", hub(SAID), &[Gap], bad_id_said),
    hub_level(
        "replay/gap-event-has-an-id",
        hub("without one, the next reconnect asks for what is gone again"),
        &[Gap, UnknownId],
        gap_id,
    ),
    should("replay/bad-id-ends-no-event-source", html("9.2.3", SOURCE), &[], |s| {
        hostile(s, b"not an id!")
    }),
    should(
        "replay/id-of-other-bytes-ends-no-event-source",
        html("9.2.4", "the id is sent as UTF-8, whatever is in it"),
        &[],
        |s| hostile(s, "\u{e9}\u{6f22}-1".as_bytes()),
    ),
    hub_level(
        "replay/huge-numbers-in-an-id-do-no-harm",
        hub("an id comes from a client, and may be anything"),
        &[],
        |s| hostile(s, b"99999999999999999999999999-99999999999999999999999999"),
    ),
];

fn after(s: &Subject<'_>, topic: &str, id: &str) -> CheckResult<Vec<DispatchedEvent>> {
    let mut stream = s.resume(topic, id)?;
    let heard = s.fenced(&mut stream, topic)?;
    Ok(heard.into_iter().filter(|event| !event.data.starts_with("fence-")).collect())
}

fn data(events: &[DispatchedEvent]) -> Vec<String> {
    events.iter().map(|event| event.data.clone()).collect()
}

fn exact(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 5)?;
    for at in [0, 1, 3] {
        let replayed = after(s, &topic, &heard[at].id)?;
        in_case(&format!("after event {}", at + 1), exactly(&replayed, &data(&heard[at + 1..])))?;
    }
    Ok(())
}

fn from_the_end(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 3)?;
    exactly(&after(s, &topic, &heard[2].id)?, &[])
}

fn while_away(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let id = s.recorded(&topic, 1)?[0].id.clone();
    let missed = s.messages(3);
    s.publish_all(&topic, &missed)?;
    exactly(&after(s, &topic, &id)?, &missed)
}

fn a_thousand(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let id = s.recorded(&topic, 1)?[0].id.clone();
    let missed = s.messages(1000);
    s.publish_all(&topic, &missed)?;
    exactly(&after(s, &topic, &id)?, &missed)
}

/// Resumes while a publisher is at work: each run must hear one sequence.
fn no_seam(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let id = s.recorded(&topic, 1)?[0].id.clone();
    let (stop, published) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut sent = Vec::new();
            while !stop.load(Ordering::Relaxed) && sent.len() < MOST_BESIDE {
                let batch = s.messages(10);
                s.publish_all(&topic, &batch)?;
                sent.extend(batch);
                published.store(sent.len(), Ordering::Relaxed);
            }
            Ok(sent)
        });
        let resumed: CheckResult<Vec<Vec<DispatchedEvent>>> = (0..SEAMS)
            .map(|_| {
                let mut stream = s.resume(&topic, &id)?;
                // The seam is behind the stream by now; ten more may be under way.
                let behind_it = published.load(Ordering::Relaxed) + 20;
                Ok(stream.events(behind_it.min(MOST_BESIDE), s.soon())?.to_vec())
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        let sent = publisher.join().unwrap_or_else(|_| failed("the publisher broke down"))?;
        for heard in resumed? {
            exactly(&heard, &sent[..heard.len().min(sent.len())])?;
        }
        Ok(())
    })
}

fn goes_on(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 3)?;
    let mut stream = s.resume(&topic, &heard[0].id)?;
    let mut expected = data(&heard[1..]);
    stream.events(2, s.soon())?;
    let live = s.messages(3);
    s.publish_all(&topic, &live)?;
    expected.extend(live);
    exactly(&s.fenced(&mut stream, &topic)?, &expected)
}

fn repeatable(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 4)?;
    for _ in 0..3 {
        exactly(&after(s, &topic, &heard[1].id)?, &data(&heard[2..]))?;
    }
    Ok(())
}

fn keeps_ids(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 4)?;
    let replayed = after(s, &topic, &heard[0].id)?;
    exactly(&replayed, &data(&heard[1..]))?;
    match replayed.iter().zip(&heard[1..]).find(|(now, then)| now.id != then.id) {
        Some((now, then)) => failed(format!("{} became {}", quote(&then.id), quote(&now.id))),
        None => Ok(()),
    }
}

fn keeps_text(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let id = s.recorded(&topic, 1)?[0].id.clone();
    let text = " one\r\n: two\r\rdata: three\n\u{2028}\u{1F468}\n";
    s.publish(&topic, text)?;
    let replayed = after(s, &topic, &id)?;
    crate::subject::one_event(&replayed, text)
}

fn keeps_types(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let id = s.recorded(&topic, 1)?[0].id.clone();
    accepted(b"typed", s.offer(&topic, "typed", Some("paid"))?)?;
    s.publish(&topic, "untyped")?;
    let replayed = after(s, &topic, &id)?;
    let kinds: Vec<&str> = replayed.iter().map(|event| event.kind.as_str()).collect();
    ensure(kinds == ["paid", "message"], || format!("heard {}", shown(&replayed)))
}

fn own_topics(s: &Subject<'_>) -> CheckResult {
    let (mine, other) = (s.topic(), s.topic());
    let id = s.recorded(&mine, 1)?[0].id.clone();
    s.publish(&other, "for others")?;
    s.publish(&mine, "for me")?;
    exactly(&after(s, &mine, &id)?, &["for me".to_owned()])
}

fn any_case(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 2)?;
    for name in ["last-event-id", "LAST-EVENT-ID", "lAsT-eVeNt-Id"] {
        let mut stream = s.open(&s.subscription(&topic).field(name, heard[0].id.as_bytes()))?;
        let replayed = s.fenced(&mut stream, &topic)?;
        in_case(
            name,
            ensure(replayed.iter().any(|e| e.data == heard[1].data), || shown(&replayed)),
        )?;
    }
    Ok(())
}

fn by_query(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 3)?;
    let mut stream = s.open(&s.subscription_by_query(&topic, &heard[0].id))?;
    exactly(&s.fenced(&mut stream, &topic)?, &data(&heard[1..]))
}

fn header_wins(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let heard = s.recorded(&topic, 4)?;
    let request = s.subscription_by_query(&topic, &heard[0].id);
    let mut stream = s.open(&request.field("Last-Event-ID", heard[2].id.as_bytes()))?;
    exactly(&s.fenced(&mut stream, &topic)?, &data(&heard[3..]))
}

fn empty_id(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    s.recorded(&topic, 2)?;
    let mut stream = s.open(&s.subscription(&topic).field("Last-Event-ID", ""))?;
    let heard = s.fenced(&mut stream, &topic)?;
    exactly(&heard, &[])?;
    ensure(stream.notices.is_empty(), || format!("told {}", shown(&stream.notices)))
}

fn live_only(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    s.recorded(&topic, 2)?;
    let mut stream = s.subscribe(&topic)?;
    exactly(&s.fenced(&mut stream, &topic)?, &[])
}

fn earliest(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let sent = s.messages(3);
    s.publish_all(&topic, &sent)?;
    let word = s.hub.subscribe.earliest.clone().unwrap_or_default();
    exactly(&after(s, &topic, &word)?, &sent)
}

/// Either the hub says so, or it gives everything that it has: both lose nothing.
fn said(
    s: &Subject<'_>,
    stream: &mut SubscribedStream,
    topic: &str,
    before: &[DispatchedEvent],
) -> CheckResult {
    let heard = s.fenced(stream, topic)?;
    let gap = s.hub.subscribe.gap_event.as_deref();
    let told = |event: &DispatchedEvent| Some(event.kind.as_str()) == gap;
    if stream.notices.iter().chain(&heard).any(told) {
        return Ok(());
    }
    let everything = before.iter().all(|event| heard.iter().any(|h| h.data == event.data));
    ensure(everything, || format!("neither a word nor what was there: heard {}", shown(&heard)))
}

fn unknown(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let before = s.recorded(&topic, 3)?;
    let id = s.hub.subscribe.unknown_id.clone().unwrap_or_default();
    said(s, &mut s.resume(&topic, &id)?, &topic, &before)
}

fn bad_id_said(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let before = s.recorded(&topic, 3)?;
    said(s, &mut s.resume(&topic, "not an id!")?, &topic, &before)
}

fn gap_id(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    s.recorded(&topic, 1)?;
    let id = s.hub.subscribe.unknown_id.clone().unwrap_or_default();
    let mut stream = s.resume(&topic, &id)?;
    s.fenced(&mut stream, &topic)?;
    let gap = s.hub.subscribe.gap_event.as_deref();
    match stream.notices.iter().find(|event| Some(event.kind.as_str()) == gap) {
        Some(event) if event.has_id && event.id != id => Ok(()),
        Some(event) => failed(format!("it came with the id {}", quote(&event.id))),
        None => failed("no gap event came"),
    }
}

fn hostile(s: &Subject<'_>, id: &[u8]) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.open(&s.subscription(&topic).field("Last-Event-ID", id))?;
    s.fenced(&mut stream, &topic).map(drop)
}
