//! The heartbeat: a sign of life for every subscriber, and a fresh id for those that need one.

use fanfare_event::Position;

use super::Shard;
use crate::cursor::{Cursor, HeldId};
use crate::now::Now;
use crate::subscriber_key::SubscriberKey;

impl Shard {
    /// Sees to the entries that are due.
    pub(super) fn heartbeat(&mut self, now: Now) {
        for entry in self.walk.due_for_refresh(self.table.entries()) {
            if let Some((key, _)) = self.table.at(entry) {
                self.replace_stale_id(key, now);
            }
        }
        for entry in self.walk.due(self.table.entries(), now.monotonic) {
            if let Some((key, _)) = self.table.at(entry) {
                self.keep_alive(key, now);
            }
        }
    }

    /// One subscriber's heartbeat: a comment; and for one that holds no id, or an old one, a
    /// fresh id too, so that it can resume. That does not wait for an interval that has grown.
    fn keep_alive(&mut self, key: SubscriberKey, now: Now) {
        let (here, offset, longest) = (self.position, self.offset, self.walk.longest());
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let newcomer = self.walk.is_newcomer(subscriber, now);
        let is_over = subscriber.heartbeat_interval.pass(longest);
        if newcomer || subscriber.is_closing() || !subscriber.is_clear() {
            subscriber.heartbeat_interval.disturb();
            return;
        }
        let stale = subscriber.held_id.offset().is_none_or(|held| self.walk.is_stale(held));
        let due = stale && subscriber.cursor == Cursor::Live && here > Position::ORIGIN;
        // Whoever is behind has something to be woken for, and is every time.
        if !is_over && !due && subscriber.cursor == Cursor::Live {
            return;
        }
        let cursor = due.then_some(here);
        let held_id = subscriber.held_id;
        if due {
            subscriber.held_id = HeldId::at(offset);
            self.totals.fresh_cursors += 1;
        }
        subscriber.heartbeat_interval.on_heartbeat_sent(held_id, subscriber.held_id, longest);
        self.totals.keepalives += 1;
        let bytes = subscriber.wire().keepalive(cursor);
        self.send_out_of_band(key, bytes, now);
    }

    /// A fresh id for a subscriber whose last has become stale.
    fn replace_stale_id(&mut self, key: SubscriberKey, now: Now) {
        let (here, offset) = (self.position, self.offset);
        let Some(subscriber) = self.table.get_mut(key) else { return };
        let stale = subscriber.held_id.offset().is_some_and(|held| self.walk.is_stale(held));
        let ready =
            subscriber.cursor == Cursor::Live && subscriber.is_clear() && !subscriber.is_closing();
        if stale && ready {
            subscriber.held_id = HeldId::at(offset);
            self.totals.fresh_cursors += 1;
            let bytes = subscriber.wire().cursor(here);
            self.send_out_of_band(key, bytes, now);
        }
    }
}
