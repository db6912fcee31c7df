//! Ids: what a client hands back when it reconnects.

use std::collections::HashSet;

use crate::check::{Check, hub_level, must, should};
use crate::finding::{CheckResult, ensure, failed, quote};
use crate::hub::Capability::{DenseIds, Idempotency, Ids, PublishId, Topics};
use crate::rule::{html, hub};
use crate::subject::{Subject, exactly, shown};

/// Longer ones are refused by some server's limit on heads on the way.
const LONGEST: usize = 1024;
/// How many subscribers each event is to reach.
const SUBSCRIBERS: usize = 50;
/// How many publishers publish at once.
const PUBLISHERS: usize = 4;

pub(super) const CHECKS: &[Check] = &[
    hub_level(
        "ids/every-event-has-an-id",
        hub("an event without an id cannot be resumed after"),
        &[Ids],
        every_event,
    ),
    hub_level(
        "ids/are-unique",
        hub("two events with one id cannot be told apart on a reconnect"),
        &[Ids],
        unique,
    ),
    must("ids/hold-no-nul", html("9.2.6", "an `id` with U+0000 in it is ignored"), &[Ids], no_nul),
    should(
        "ids/are-printable-ascii",
        html(
            "9.2.4",
            "the id comes back in a header; what is not ASCII gets lost there in some clients",
        ),
        &[Ids],
        ascii,
    ),
    should(
        "ids/are-short",
        html("9.2.4", "the id comes back in a header, whose length servers limit"),
        &[Ids],
        short,
    ),
    hub_level(
        "ids/answer-names-the-id",
        hub("the id in the answer to a publish is the event's"),
        &[PublishId],
        named,
    ),
    hub_level(
        "ids/are-dense",
        hub("an id ends in a number that grows by one for each event"),
        &[DenseIds],
        dense,
    ),
    hub_level(
        "ids/repeated-key-publishes-once",
        hub("a publish repeated with its key is one event, and is answered alike"),
        &[Idempotency],
        once,
    ),
    hub_level(
        "ids/order-is-that-of-publishing",
        hub("what one publisher sent later is heard later"),
        &[],
        order,
    ),
    hub_level(
        "ids/order-is-the-same-for-all",
        hub("two subscribers hear what several publish in the same order"),
        &[],
        same_order,
    ),
    hub_level(
        "ids/fan-out-reaches-everyone",
        hub("every subscriber hears every event, once"),
        &[],
        fan_out,
    ),
    hub_level(
        "ids/topics-are-apart",
        hub("a subscriber hears its own topics only"),
        &[Topics],
        apart,
    ),
];

fn every_event(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.publish_all(&topic, &s.messages(3))?;
    let heard = stream.events(3, s.soon())?;
    match heard.iter().find(|event| !event.has_id || event.id.is_empty()) {
        Some(event) => failed(format!("none with {}", quote(&event.data))),
        None => Ok(()),
    }
}

fn unique(s: &Subject<'_>) -> CheckResult {
    let heard = s.recorded(&s.topic(), 100)?;
    let mut seen = HashSet::new();
    match heard.iter().find(|event| !seen.insert(&event.id)) {
        Some(event) => failed(format!("two events with the id {}", quote(&event.id))),
        None => Ok(()),
    }
}

fn no_nul(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    s.fenced(&mut stream, &topic)?;
    match stream.noticed().bad_ids.first() {
        Some(id) => failed(format!("ignored: {}", quote(id))),
        None => Ok(()),
    }
}

fn ascii(s: &Subject<'_>) -> CheckResult {
    let heard = s.recorded(&s.topic(), 1)?;
    let id = &heard[0].id;
    ensure(id.bytes().all(|b| (b' '..=b'~').contains(&b)), || quote(id))
}

fn short(s: &Subject<'_>) -> CheckResult {
    let heard = s.recorded(&s.topic(), 1)?;
    ensure(heard[0].id.len() <= LONGEST, || format!("{} bytes", heard[0].id.len()))
}

fn named(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let answer = s.publish(&topic, "one")?;
    let heard = &stream.events(1, s.soon())?[0];
    match s.id_of(&answer) {
        Some(id) if id == heard.id => Ok(()),
        Some(id) => failed(format!("answered {}, heard {}", quote(id), quote(&heard.id))),
        None => failed(format!("the answer names none: {}", quote(&answer.body))),
    }
}

fn dense(s: &Subject<'_>) -> CheckResult {
    let heard = s.recorded(&s.topic(), 20)?;
    for pair in heard.windows(2) {
        let [one, two] = [&pair[0].id, &pair[1].id].map(|id| {
            let digits = id.len() - id.bytes().rev().take_while(u8::is_ascii_digit).count();
            (id[..digits].to_owned(), id[digits..].parse::<u64>().ok())
        });
        let follows = one.0 == two.0 && one.1.is_some() && two.1 == one.1.map(|n| n + 1);
        ensure(follows, || format!("{} after {}", quote(&pair[1].id), quote(&pair[0].id)))?;
    }
    Ok(())
}

fn once(s: &Subject<'_>) -> CheckResult {
    let Some(header) = &s.hub.publish.idempotency_header else { return Ok(()) };
    let topic = s.topic();
    let mut stream = s.subscribe(&topic)?;
    let request = s.publication(&topic, "once", None)?.field(header, s.unique("key"));
    let (first, second) = (s.ask(&request)?, s.ask(&request)?);
    let heard = s.fenced(&mut stream, &topic)?;
    ensure(heard.len() == 1, || format!("heard {}", shown(&heard)))?;
    ensure(first.head.status == second.head.status && s.id_of(&first) == s.id_of(&second), || {
        format!("answered {} and then {}", quote(&first.body), quote(&second.body))
    })
}

fn order(s: &Subject<'_>) -> CheckResult {
    let (topic, messages) = (s.topic(), s.messages(200));
    let mut stream = s.subscribe(&topic)?;
    s.publish_all(&topic, &messages)?;
    exactly(&s.fenced(&mut stream, &topic)?, &messages)
}

fn same_order(s: &Subject<'_>) -> CheckResult {
    let topic = s.topic();
    let (mut one, mut two) = (s.subscribe(&topic)?, s.subscribe(&topic)?);
    let batches: Vec<_> = (0..PUBLISHERS).map(|_| s.messages(50)).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> =
            batches.iter().map(|batch| scope.spawn(|| s.publish_all(&topic, batch))).collect();
        let mut ends = running.into_iter().map(|thread| thread.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| failed("a publisher broke down")))
    })?;
    let one = s.fenced(&mut one, &topic)?;
    let two = s.fenced(&mut two, &topic)?;
    let missing = batches.iter().flatten().find(|m| !one.iter().any(|event| event.data == **m));
    if let Some(missing) = missing {
        return failed(format!("{} was accepted and not heard", quote(missing)));
    }
    // The second has heard the first one's fence as well.
    let known: Vec<String> = one.iter().map(|event| event.data.clone()).collect();
    let two: Vec<_> = two.into_iter().filter(|event| known.contains(&event.data)).collect();
    exactly(&two, &known)
}

fn fan_out(s: &Subject<'_>) -> CheckResult {
    let (topic, messages) = (s.topic(), s.messages(5));
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS {
        streams.push(s.subscribe(&topic)?);
    }
    s.publish_all(&topic, &messages)?;
    let fence = s.unique("last");
    s.publish(&topic, &fence)?;
    for stream in &mut streams {
        let heard = stream.events(messages.len() + 1, s.soon())?;
        exactly(&heard[..heard.len() - 1], &messages)?;
    }
    Ok(())
}

fn apart(s: &Subject<'_>) -> CheckResult {
    let (mine, other) = (s.topic(), s.topic());
    let mut stream = s.subscribe(&mine)?;
    s.publish(&other, "for others")?;
    let heard = s.fenced(&mut stream, &mine)?;
    ensure(heard.is_empty(), || format!("heard {}", shown(&heard)))
}
