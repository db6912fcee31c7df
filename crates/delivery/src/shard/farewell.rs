//! A farewell: how a stream ends when it is the hub that ends it.
//!
//! What must hold, the *clean close*: it ends between events, with its last chunk, and with word of
//! when to come back; and whoever leaves holds an id to come back with.

use std::collections::HashMap;
use std::time::Instant;

use fanfare_event::Position;
use fanfare_hub::fresh_cursor;
use fanfare_log::ReadFrom;
use fanfare_sse::{Encoded, Fields, LAST_CHUNK, encode, retry};
use mio::Token;

use super::Shard;
use crate::counters::CloseReason;
use crate::cut::Cut;
use crate::sink::Framing;
use crate::subscriber::{Cursor, Subscriber};

impl Shard {
    /// Ends a stream in good order: what was begun is finished, `notice` and when to come back
    /// follow, and nothing of the log any more. One that has never had an id gets where it stands
    /// for a notice: without it, it would come back to what is live and miss what came meanwhile.
    pub(super) fn dismiss(
        &mut self,
        token: Token,
        notice: Option<&Encoded>,
        reason: CloseReason,
        now: Instant,
    ) {
        let here = self.position;
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        let framing = subscriber.framing();
        let position = standing(subscriber, here);
        let cursor =
            (notice.is_none() && subscriber.refreshed.is_none() && position > Position::ORIGIN)
                .then(|| fresh_cursor(position));
        self.totals.fresh_cursors += u64::from(cursor.is_some());
        let notice = notice.or(cursor.as_ref());
        let mut last = notice.map_or_else(Vec::new, |notice| framing.slice(notice).to_vec());
        last.extend_from_slice(framing.slice(&retry(self.retry.pick())));
        if framing == Framing::Chunked {
            last.extend_from_slice(LAST_CHUNK);
        }
        let turned = subscriber.bid_farewell(last.into(), reason, now, &mut self.totals);
        self.settle(token, turned, now);
    }

    /// Ends the stream of this name; whether there was one.
    pub(super) fn cut_one(&mut self, token: Token, now: Instant) -> bool {
        let known = self.roster.get(token).is_some_and(|subscriber| !subscriber.is_closing());
        if known {
            self.dismiss(token, None, CloseReason::Cut, now);
        }
        known
    }

    /// Ends the streams that are meant; how many those were. Looks at every subscriber, once for
    /// all cuts: this is rare, and an index would cost each of them memory.
    pub(super) fn cut(&mut self, cuts: &[Cut], now: Instant) -> usize {
        let mut latest = HashMap::new();
        for cut in cuts {
            self.cuts.insert(cut, now);
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
        let meant = self.roster.iter().filter(|(_, subscriber)| is_meant(subscriber));
        let meant: Vec<_> = meant.map(|(token, _)| token).collect();
        for token in &meant {
            self.dismiss(*token, None, CloseReason::Revoked, now);
        }
        meant.len()
    }

    /// Ends every stream of a subject that was verified until `at`; how many those were.
    pub(super) fn reverify(&mut self, at: Instant, now: Instant) -> usize {
        self.cuts.reverify(at);
        let is_meant = |subscriber: &Subscriber| {
            let lease = subscriber.lease.as_deref();
            lease.is_some_and(|lease| lease.names().next().is_some() && lease.verified <= at)
                && !subscriber.is_closing()
        };
        let meant = self.roster.iter().filter(|(_, subscriber)| is_meant(subscriber));
        let meant: Vec<_> = meant.map(|(token, _)| token).collect();
        for token in &meant {
            self.dismiss(*token, None, CloseReason::Reverify, now);
        }
        meant.len()
    }

    /// Ends the streams whose lease has run out, each with word of it.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(token) = self.expiries.pop_due(now) {
            let Some(subscriber) = self.roster.get(token) else { continue };
            if subscriber.is_closing() {
                continue;
            }
            let id = standing(subscriber, self.position).to_string();
            let notice = encode(Fields { id: &id, event: Some("fanfare.expired"), data: "{}" });
            self.dismiss(token, Some(&notice), CloseReason::Expired, now);
        }
    }

    /// Ends those whose turn it is in a drain. True once everyone is gone and the shard has no more
    /// to do.
    pub(super) fn drain(&mut self, now: Instant) -> bool {
        let Some(drain) = &mut self.drain else { return false };
        let due = drain.due(now);
        let (complete, over) = (drain.is_complete(now), drain.is_over(now));
        let staying = self.roster.iter().filter(|(_, subscriber)| !subscriber.is_closing());
        let leaving = staying.take(if complete { usize::MAX } else { due });
        for token in leaving.map(|(token, _)| token).collect::<Vec<_>>() {
            self.dismiss(token, None, CloseReason::Shutdown, now);
        }
        if over {
            for token in self.roster.iter().map(|(token, _)| token).collect::<Vec<_>>() {
                self.remove(token, CloseReason::ShutdownForced);
            }
        }
        complete && self.roster.is_empty()
    }
}

/// Up to where a subscriber has everything, in a shard that has processed the log up to `here`.
fn standing(subscriber: &Subscriber, here: Position) -> Position {
    match subscriber.cursor {
        Cursor::Live => here,
        Cursor::At(ReadFrom::After(position)) => position,
        Cursor::At(ReadFrom::Earliest) => Position::ORIGIN,
    }
}
