//! Pauses: which subscribers with a cadence are between two of their writes, and until when.
//!
//! What must hold: each of them pauses once it has been sent everything there is, and stays where it is in
//! the log meanwhile. Then it is sent all that has come, in one turn; one that nothing concerned
//! meanwhile is sent the next event at once.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Shard;
use crate::cursor::Cursor;
use crate::now::Now;
use crate::subscriber_key::SubscriberKey;

/// Who pauses, by the end of their pause; one that has left stays until then.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeSet<(Instant, SubscriberKey)>);

impl Pauses {
    /// When the next pause ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(end, _)| *end)
    }

    fn insert(&mut self, key: SubscriberKey, end: Instant) {
        self.0.insert((end, key));
    }

    fn pop_due(&mut self, now: Instant) -> Option<SubscriberKey> {
        let due = self.next()? <= now;
        due.then(|| self.0.pop_first()).flatten().map(|(_, key)| key)
    }
}

impl Shard {
    /// One that has just been sent everything pauses, if it has a cadence.
    pub(super) fn pause(&mut self, key: SubscriberKey, now: Now) {
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let Some(cadence) = subscriber.cadence else { return };
        let is_caught_up = subscriber.cursor == Cursor::Live && !subscriber.is_closing();
        if is_caught_up && !subscriber.awaits.pause {
            subscriber.awaits.pause = true;
            self.pauses.insert(key, now.monotonic + cadence.interval());
        }
    }

    /// Those whose pause is over are sent what has come meanwhile.
    pub(super) fn end_pauses(&mut self, now: Now) {
        while let Some(key) = self.pauses.pop_due(now.monotonic) {
            let Some(subscriber) = self.table.get_mut(key) else { continue };
            subscriber.awaits.pause = false;
            if subscriber.cursor != Cursor::Live {
                self.serve(key, now);
            }
        }
    }
}
