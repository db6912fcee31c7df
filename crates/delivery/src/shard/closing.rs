//! Closing: how a stream ends when it is the hub that ends it.
//!
//! What must hold, the *clean close*: it ends between events, with its last chunk, and with word of
//! when to come back; and whoever leaves holds an id to come back with.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use fanfare_event::Timestamp;

use super::Shard;
use crate::counters::CloseReason;
use crate::cursor::HeldId;
use crate::cut::Cut;
use crate::now::Now;
use crate::subscriber::Subscriber;
use crate::subscriber_key::SubscriberKey;
use crate::wire::FinalEvent;

impl Shard {
    /// Ends a stream in good order. One that has never had an id gets where it stands: without it, it
    /// would come back to what is live and miss what came meanwhile.
    pub(super) fn close(&mut self, key: SubscriberKey, reason: CloseReason, now: Now) {
        let Some(subscriber) = self.table.get(key) else { return };
        let position = subscriber.position(self.position);
        let final_event = match position {
            Some(position) if subscriber.held_id == HeldId::NONE => FinalEvent::Cursor(position),
            _ => FinalEvent::Silent,
        };
        self.close_with(key, final_event, reason, now);
    }

    /// Ends a stream in good order: what was begun is finished, a final event and when to come back
    /// follow, and nothing of the log any more.
    fn close_with(
        &mut self,
        key: SubscriberKey,
        final_event: FinalEvent,
        reason: CloseReason,
        now: Now,
    ) {
        let retry = self.retry.pick();
        self.totals.fresh_cursors += u64::from(matches!(final_event, FinalEvent::Cursor(_)));
        self.with(key, now, |subscriber, context| {
            let bytes = subscriber.wire().final_event(final_event, retry);
            subscriber.begin_close(bytes, reason, context)
        });
    }

    /// Ends the stream of this name; whether there was one.
    pub(super) fn cut_one(&mut self, key: SubscriberKey, now: Now) -> bool {
        let known = self.table.get(key).is_some_and(|subscriber| !subscriber.is_closing());
        if known {
            self.close(key, CloseReason::Cut, now);
        }
        known
    }

    /// Ends the streams that are meant; how many those were. Looks at every subscriber, once for
    /// all cuts: this is rare, and an index would cost each of them memory.
    pub(super) fn cut(&mut self, cuts: &[Cut], now: Now) -> usize {
        let mut latest = HashMap::new();
        for cut in cuts {
            self.cuts.insert(cut, now.monotonic);
            let at = latest.entry(&*cut.subject).or_insert(cut.at);
            *at = cut.at.max(*at);
        }
        let is_meant = |subscriber: &Subscriber| {
            let lease = subscriber.lease.as_deref();
            let at =
                lease.and_then(|lease| lease.names().filter_map(|name| latest.get(name)).max());
            at.is_some_and(|at| lease.is_some_and(|lease| lease.verified <= *at))
                && !subscriber.is_closing()
        };
        let meant = self.table.iter().filter(|(_, subscriber)| is_meant(subscriber));
        let meant: Vec<_> = meant.map(|(key, _)| key).collect();
        for key in &meant {
            self.close(*key, CloseReason::Revoked, now);
        }
        meant.len()
    }

    /// Ends every stream of a subject that was verified until `at`; how many those were.
    pub(super) fn reverify(&mut self, at: Instant, now: Now) -> usize {
        self.cuts.reverify(at);
        let is_meant = |subscriber: &Subscriber| {
            let lease = subscriber.lease.as_deref();
            lease.is_some_and(|lease| lease.names().next().is_some() && lease.verified <= at)
                && !subscriber.is_closing()
        };
        let meant = self.table.iter().filter(|(_, subscriber)| is_meant(subscriber));
        let meant: Vec<_> = meant.map(|(key, _)| key).collect();
        for key in &meant {
            self.close(*key, CloseReason::Reverify, now);
        }
        meant.len()
    }

    /// When a stream has to end, whoever wants what: with its lease, or of age.
    pub(super) fn end_of(&self, subscriber: &Subscriber) -> Option<Timestamp> {
        let lease = subscriber.lease.as_deref().and_then(|lease| lease.expires);
        let age = self.max_age.map(|age| last_moment(subscriber.joined, age));
        lease.into_iter().chain(age).min()
    }

    /// Ends the streams whose lease has run out, each with word of it, and those that have lasted long enough.
    pub(super) fn expire(&mut self, now: Now) {
        while let Some(key) = self.expiries.pop_due(now.wall) {
            let Some(subscriber) = self.table.get(key) else { continue };
            if subscriber.is_closing() {
                continue;
            }
            let lease = subscriber.lease.as_deref().and_then(|lease| lease.expires);
            if lease.is_none_or(|at| at > now.wall) {
                self.close(key, CloseReason::Aged, now);
                continue;
            }
            let final_event = FinalEvent::Expired(subscriber.position(self.position));
            self.close_with(key, final_event, CloseReason::Expired, now);
        }
    }

    /// Ends those whose turn it is in a drain. True once everyone is gone and the shard has no more
    /// to do.
    pub(super) fn drain(&mut self, now: Now) -> bool {
        let Some(drain) = &mut self.drain else { return false };
        let due = drain.due(now.monotonic);
        let (complete, over) = (drain.is_complete(now.monotonic), drain.is_over(now.monotonic));
        let staying = self.table.iter().filter(|(_, subscriber)| !subscriber.is_closing());
        let leaving = staying.take(if complete { usize::MAX } else { due });
        for key in leaving.map(|(key, _)| key).collect::<Vec<_>>() {
            self.close(key, CloseReason::Shutdown, now);
        }
        if over {
            for key in self.table.iter().map(|(key, _)| key).collect::<Vec<_>>() {
                self.remove(key, CloseReason::ShutdownForced);
            }
        }
        complete && self.table.is_empty()
    }
}

/// How long a stream lasts that joined then: up to a tenth less than it may, so that those who came together, after a
/// restart, do not leave together. What is drawn does not change, whenever and wherever it is asked for.
fn last_moment(joined: Timestamp, age: Duration) -> Timestamp {
    const SPREAD: u64 = 10;
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    // A multiplication that mixes neighbouring moments (Knuth, 6.4).
    let drawn = joined.as_millis().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Timestamp(joined.as_millis().saturating_add(age - drawn % (age / SPREAD).max(1)))
}
