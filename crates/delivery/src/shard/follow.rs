//! Following: how what is new in the window reaches those whom it concerns.
//!
//! What must hold: a turn does a bounded amount of it, and costs what it delivers; what the window
//! has dropped before the shard came to it is read from the log by those whom it concerned, and by
//! nobody else.

use std::time::Instant;

use fanfare_log::ReadFrom;

use super::Shard;
use crate::subscriber::{Cursor, Turn};

/// How much one turn walks: slots, and for each slot those whom it concerns and what finding them
/// has taken. Little in tests, so that one turn is not enough.
const STRETCH: usize = if cfg!(test) { 24 } else { 262_144 };

impl Shard {
    /// Processes a stretch of what the window has that is new: gives each of those it concerns one
    /// turn, with everything there is for it in as few writes as possible.
    pub(super) fn follow(&mut self, now: Instant) {
        let before = self.offset;
        self.window.follow(&mut self.ring);
        if self.ring.base() > before {
            self.leap(before);
        }
        if self.ring.end() == self.offset {
            // The log may have begun just now.
            self.position = self.ring.position_before(self.offset);
            return;
        }
        let first = self.offset;
        let end = self.collect(first);
        // Whoever is caught up now has everything before this.
        self.offset = end;
        self.position = self.ring.position_before(end);
        self.deliver(first, now);
    }

    /// Whether the ring holds what has not been processed.
    pub(super) fn is_behind(&self) -> bool {
        self.ring.end() > self.offset
    }

    /// The window has dropped what this shard has not come to. Those whom none of it concerned have
    /// missed nothing. The others read the log, as do those who are behind already, who have
    /// something that will wake them.
    fn leap(&mut self, before: u64) {
        let from = Cursor::At(ReadFrom::After(self.position));
        let base = self.ring.base();
        let queue = &mut self.queue;
        let mut miss = |token, subscriber: &mut crate::subscriber::Subscriber| {
            if subscriber.cursor == Cursor::Live {
                subscriber.cursor = from;
                if !subscriber.queued {
                    subscriber.queued = true;
                    queue.push_back(token);
                }
            }
        };
        match self.window.dropped(before..base) {
            Some(topics) => topics.each(|topic| {
                self.roster.concerned_by(topic, &mut miss);
            }),
            None => self.roster.iter_mut().for_each(|(token, subscriber)| miss(token, subscriber)),
        }
        self.offset = base;
        self.position = self.ring.position_before(base);
    }

    /// Walks from `first` on and collects whom it concerns; where it stopped.
    fn collect(&mut self, first: u64) -> u64 {
        let (mut end, mut work) = (first, 0);
        let Self { ring, roster, concerned, totals, .. } = self;
        for (offset, slot) in (first..).zip(ring.from(first)) {
            if work >= STRETCH {
                break;
            }
            end = offset + 1;
            let distance = (offset - first) as u32;
            let gap = slot.frame.gap().map(|gap| gap.reason.index());
            work += 1;
            work += roster.concerned(&slot.frame, |subscribers, token| {
                concerned.add(token, distance, || {
                    let Some(subscriber) = subscribers.get_mut(token) else { return false };
                    if subscriber.cursor != Cursor::Live || subscriber.is_closing() {
                        return false;
                    }
                    if subscriber.blocked {
                        // From here on it is behind.
                        let here = ring.position_before(offset);
                        subscriber.cursor = Cursor::At(ReadFrom::After(here));
                        return false;
                    }
                    if let Some(reason) = gap {
                        totals.gaps[reason] += 1;
                    }
                    true
                });
            });
        }
        end
    }

    /// Gives a turn to those whom the stretch from `first` on concerns.
    fn deliver(&mut self, first: u64, now: Instant) {
        let mut unsettled = Vec::new();
        let end = self.offset;
        for place in 0..self.concerned.len() {
            let Some((token, slots)) = self.concerned.at(place, &self.ring, first) else {
                continue;
            };
            let Some(subscriber) = self.roster.get_mut(token) else { continue };
            let turned = subscriber.follow(slots, &self.ring, end, now, &mut self.totals);
            // By far the most turns end so, and there is nothing to act on.
            if !matches!(turned, Ok(Turn::CaughtUp)) || subscriber.armed {
                unsettled.push((token, turned));
            }
            self.window.shed();
        }
        self.concerned.clear();
        for (token, turned) in unsettled {
            self.settle(token, turned, now);
        }
    }
}
