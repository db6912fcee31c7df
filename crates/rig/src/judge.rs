//! The judge. It knows what was acknowledged and what clients heard, and the promise: after a
//! client's cursor everything it wants is delivered, or covered by a gap before anything later.
//!
//! What must hold: it tolerates nothing that `docs/guarantees.md` does not name.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::id::ReceivedId;
use crate::ledger::{
    AcknowledgedEvent, ClientStream, Observation, RoundLedger, Unknown, What, Wrong,
};
use crate::message::EventName;
use crate::topic::{KINDS, TOPICS, TopicChoice, topic};

/// Judges every connection of the ledger, and returns them.
pub fn judge(ledger: &RoundLedger) -> Vec<ClientStream> {
    let all = sorted(ledger);
    let mut wanted: HashMap<Arc<TopicChoice>, Vec<ReceivedId>> = HashMap::new();
    let streams = ledger.streams();
    for stream in &streams {
        let ids = wanted
            .entry(Arc::clone(&stream.selector))
            .or_insert_with(|| wanted_by(&stream.selector, &all));
        judge_one(ledger, stream, ids, &streams);
    }
    streams
}

/// Holds what was still there at the end against what had been acknowledged, where nothing may be
/// gone; and batches without an answer are there as a whole or not at all.
pub fn audit(ledger: &RoundLedger, there: &HashSet<EventName>) {
    let all = sorted(ledger);
    let gone: Vec<_> = all.iter().filter(|event| !there.contains(&event.meant.name)).collect();
    if let [first, ..] = gone[..] {
        ledger.wrong(Wrong::Lost, gone.len() as u64, || {
            let mut text = format!("{} of {}, the first of them {first:?}", gone.len(), all.len());
            ledger.events().iter().for_each(|(at, event)| {
                let _ = write!(text, "\n  rig, {at} ms: {event}");
            });
            text
        });
    }
    for Unknown { first, count } in ledger.all_unknown() {
        let part =
            (0..count).filter(|n| there.contains(&EventName { n: first.n + n, ..first })).count();
        if part > 0 && part < count as usize {
            ledger.wrong(Wrong::TornBatch, part as u64, || {
                format!("{part} of {count} events were kept of the batch that began with {first:?}")
            });
        }
    }
}

/// What was acknowledged, by id.
pub fn sorted(ledger: &RoundLedger) -> Vec<AcknowledgedEvent> {
    let mut all = ledger.look(<[_]>::to_vec);
    all.sort_unstable_by_key(|event| event.id);
    all
}

fn wanted_by(selector: &TopicChoice, all: &[AcknowledgedEvent]) -> Vec<ReceivedId> {
    let table: Vec<_> = (0..TOPICS * KINDS.len())
        .map(|n| selector.wants(&topic(n / KINDS.len()), n % KINDS.len()))
        .collect();
    all.iter()
        .filter(|event| table[event.meant.topic * KINDS.len() + event.meant.kind])
        .map(|event| event.id)
        .collect()
}

/// What was wanted after `from` and before `to`, or at `to` if it is included.
fn between(
    wanted: &[ReceivedId],
    from: ReceivedId,
    to: ReceivedId,
    included: bool,
) -> &[ReceivedId] {
    let begin = wanted.partition_point(|&id| id <= from);
    let end = wanted.partition_point(|&id| id < to || (included && id == to));
    &wanted[begin..end.max(begin)]
}

fn judge_one(
    ledger: &RoundLedger,
    stream: &ClientStream,
    wanted: &[ReceivedId],
    streams: &[ClientStream],
) {
    let mut position = stream.after;
    // The reason of a gap since which no event was heard.
    let mut told: Option<&str> = None;
    for (n, Observation { what, .. }) in stream.heard.iter().enumerate() {
        let (missing, next) = match what {
            What::Events { first, last } => {
                (position.map(|from| between(wanted, from, *first, false)), *last)
            }
            What::Cursor(to) => (position.map(|from| between(wanted, from, *to, true)), *to),
            What::Gap { reason, to } => {
                if reason == "trimmed" && position.is_some_and(|from| *to <= from) {
                    ledger.wrong(Wrong::Circular, 1, || trace(ledger, stream, n, &[]));
                }
                told = Some(reason);
                (None, *to)
            }
        };
        // An engine that forgot forgot the rest of what came before the new epoch.
        let forgot = matches!(told, Some("engine_lost_writes" | "unknown_epoch"));
        let missing = missing.unwrap_or_default();
        let missing = match missing.iter().position(|id| !forgot || id.epoch == next.epoch) {
            Some(begin) => &missing[begin..],
            None => &[],
        };
        if !missing.is_empty() {
            let count = missing.len() as u64;
            ledger.wrong(Wrong::SilentLoss, count, || trace(ledger, stream, n, missing));
        }
        if !matches!(what, What::Gap { .. }) {
            told = None;
        }
        position = Some(next);
    }
    let Some(from) = position.filter(|_| stream.to_the_end) else { return };
    let end = ReceivedId { epoch: u64::MAX, seq: u64::MAX };
    let missing = between(wanted, from, end, true);
    if !missing.is_empty() {
        let count = missing.len() as u64;
        ledger.wrong(Wrong::Stuck, count, || {
            let mut text = trace(ledger, stream, stream.heard.len(), missing);
            let own: Vec<_> =
                streams.iter().filter(|other| other.client == stream.client).collect();
            for before in &own[own.len().saturating_sub(6)..] {
                let after = before.after.map_or("none".to_owned(), |id| id.to_string());
                let last = before.heard.last().map(|heard| (heard.at, &heard.what));
                let ClientStream { node, at, end, heard, .. } = before;
                let entries = heard.len();
                let _ = write!(
                    text,
                    "\n  before, at node {node} since {at} ms, cursor {after}: {entries} entries, \
                     the last {last:?}; {end}"
                );
            }
            text
        });
    }
}

/// How much is told of what a client heard before and after.
const AROUND: usize = 8;

fn trace(ledger: &RoundLedger, stream: &ClientStream, n: usize, missing: &[ReceivedId]) -> String {
    let mut text = format!(
        "client {} at node {} since {} ms, {}{}",
        stream.client,
        stream.node,
        stream.at,
        stream.selector.query().trim_end_matches('&'),
        stream.after.map_or(String::new(), |after| format!(", cursor {after}")),
    );
    if let [first, .., last] | [first @ last] = missing {
        let acknowledged = ledger.look(|all| all.iter().find(|event| event.id == *first).copied());
        let _ = write!(text, "\n  never heard {} from {first} to {last}", missing.len());
        if let Some(event) = acknowledged {
            let _ = write!(text, "; the first was acknowledged at {} ms", event.at);
        }
    }
    let begin = n.saturating_sub(AROUND);
    if begin > 0 {
        let _ = write!(text, "\n  … {begin} entries before");
    }
    for (at, heard) in stream.heard.iter().enumerate().skip(begin).take(2 * AROUND) {
        let mark = if at == n { ">" } else { " " };
        let _ = write!(text, "\n {mark} {} ms: {:?}", heard.at, heard.what);
    }
    let _ = write!(text, "\n  its end: {}", stream.end);
    let last = stream.heard.last().map_or(stream.at, |heard| heard.at);
    for (at, event) in ledger.events() {
        if (stream.at.saturating_sub(10_000)..=last + 1_000).contains(&at) {
            let _ = write!(text, "\n  rig, {at} ms: {event}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Meant;

    fn id(epoch: u64, seq: u64) -> ReceivedId {
        ReceivedId { epoch, seq }
    }

    fn events(epoch: u64, first: u64, last: u64) -> What {
        What::Events { first: id(epoch, first), last: id(epoch, last) }
    }

    fn gap(reason: &str, to: ReceivedId) -> What {
        What::Gap { reason: reason.to_owned(), to }
    }

    /// 1-1 to 1-10 and 2-1 to 2-10 were acknowledged; a client came after `after` and heard this.
    fn judged(after: ReceivedId, heard: Vec<What>, to_the_end: bool) -> RoundLedger {
        let ledger = RoundLedger::default();
        for epoch in [1, 2] {
            let name = EventName { publisher: 0, n: 1 };
            let meant = Meant { name, topic: 0, kind: 0 };
            ledger.acknowledge((1..=10).map(|seq| (id(epoch, seq), meant)));
        }
        ledger.record_stream(ClientStream {
            client: 0,
            node: 0,
            selector: Arc::new(TopicChoice::of(&["**"])),
            after: Some(after),
            at: 0,
            heard: heard.into_iter().map(|what| Observation { at: 0, what }).collect(),
            end: String::new(),
            to_the_end,
        });
        judge(&ledger);
        ledger
    }

    #[test]
    fn what_was_skipped_without_a_gap_is_a_silent_loss() {
        let lost = |after, heard| judged(after, heard, false).count(Wrong::SilentLoss);
        assert_eq!(lost(id(1, 2), vec![events(1, 3, 10), events(2, 1, 10)]), 0);
        assert_eq!(lost(id(1, 2), vec![events(1, 5, 10)]), 2);
        assert_eq!(lost(id(1, 2), vec![events(1, 3, 4), events(1, 6, 10)]), 1);
        assert_eq!(lost(id(1, 2), vec![events(2, 1, 10)]), 8);
        assert_eq!(lost(id(1, 2), vec![What::Cursor(id(1, 3))]), 1);
    }

    #[test]
    fn a_gap_covers_what_lies_before_the_place_it_names() {
        let lost = |after, heard| judged(after, heard, false).count(Wrong::SilentLoss);
        assert_eq!(lost(id(1, 2), vec![gap("trimmed", id(1, 4)), events(1, 5, 10)]), 0);
        assert_eq!(lost(id(1, 2), vec![gap("trimmed", id(1, 4)), events(1, 6, 10)]), 1);
        assert_eq!(lost(id(1, 2), vec![gap("trimmed", id(1, 4)), events(2, 1, 1)]), 6);
        // The engine's memory ended at 1-4: the rest of that epoch is gone, and told.
        let forgot = "engine_lost_writes";
        assert_eq!(lost(id(1, 9), vec![gap(forgot, id(1, 4)), events(2, 1, 1)]), 0);
        assert_eq!(lost(id(1, 9), vec![gap(forgot, id(1, 4)), events(2, 2, 2)]), 1);
        let later = vec![gap(forgot, id(1, 4)), events(1, 5, 5), events(2, 1, 1)];
        assert_eq!(lost(id(1, 9), later), 5);
    }

    #[test]
    fn a_gap_that_leads_nowhere_is_seen() {
        let circular =
            |to| judged(id(1, 2), vec![gap("trimmed", to)], false).count(Wrong::Circular);
        assert_eq!(circular(id(1, 2)), 1);
        assert_eq!(circular(id(1, 3)), 0);
    }

    #[test]
    fn a_client_that_never_gets_to_the_end_is_seen() {
        assert_eq!(judged(id(2, 2), vec![events(2, 3, 8)], true).count(Wrong::Stuck), 2);
        assert_eq!(judged(id(2, 2), vec![events(2, 3, 10)], true).count(Wrong::Stuck), 0);
    }
}
