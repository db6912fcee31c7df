//! Pausing: what a subscriber with a cadence does between two of its writes.
//!
//! What must hold: each of them pauses once it has been sent everything there is, and stays where it is in
//! the log meanwhile. Then it is sent all that has come, in one turn; one that nothing concerned
//! meanwhile is sent the next event at once.

use super::Shard;
use crate::cursor::Cursor;
use crate::now::Now;
use crate::subscriber_key::SubscriberKey;

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
