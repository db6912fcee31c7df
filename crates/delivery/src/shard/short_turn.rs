//! A short turn: what a publisher delivers on its own thread, where waking the shard would cost more than to deliver.
//!
//! What must hold: it sends to a few at most, and a few bytes. It does all that there is to be done, or leaves the
//! rest to a turn, for which the shard is woken. Where much is published, events gather for the next turn and are
//! written together.

use fanfare_hub::News;

use super::Shard;
use crate::now::Now;

/// What came of a short turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShortTurn {
    /// Nothing was delivered: the shard has to be woken.
    NotTaken,
    /// All that is new was delivered, and something else has come of it: the shard has to be woken.
    Begun,
    /// All that is new was delivered, and nothing is due before [`Shard::poll_timeout`] is over, as it was before.
    Done,
}

impl Shard {
    /// Delivers what is new, if that is little and the shard has rested.
    pub(crate) fn short_turn(&mut self, now: Now) -> ShortTurn {
        let rested = now.monotonic.saturating_duration_since(self.turned);
        if rested < self.limits.short_turn.rest || self.has_work() || self.drain.is_some() {
            return ShortTurn::NotTaken;
        }
        // Before: what comes into the window meanwhile is not followed.
        self.handle.note_short_turn();
        self.window.follow(&mut self.ring);
        if self.ring.base() > self.offset || !self.is_little() {
            return ShortTurn::NotTaken;
        }
        let pause = self.pauses.next();
        self.turned = now.monotonic;
        self.scanned = 0;
        self.deliver_news(now);
        self.handle.publish(&self.totals);
        if self.has_work() || self.pauses.next() != pause {
            ShortTurn::Begun
        } else {
            ShortTurn::Done
        }
    }

    /// Whether what is new concerns few subscribers, with few bytes.
    fn is_little(&self) -> bool {
        let limits = self.limits.short_turn;
        let (mut subscribers, mut bytes) = (0, 0);
        for (passed, slot) in self.ring.from(self.offset).enumerate() {
            let Some(concerned) = self.handle.wanted().at_most(&News::of(slot)) else {
                return false;
            };
            subscribers += concerned;
            bytes += concerned * slot.frame.weight();
            if subscribers > limits.subscribers || bytes > limits.bytes || passed >= limits.frames {
                return false;
            }
        }
        true
    }
}
