//! Following: how what is new in the window reaches those whom it concerns.
//!
//! What must hold: a turn does a bounded amount of it, and costs what it delivers; what the window
//! has dropped before the shard came to it is read from the log by those whom it concerned, and by
//! nobody else.

use std::ops::ControlFlow;

use fanfare_log::ReadFrom;

use super::Shard;
use crate::cursor::Cursor;
use crate::now::Now;
use crate::subscriber::{SendOutcome, Subscriber};

impl Shard {
    /// Processes a batch of what the window has that is new: gives each of those it concerns one
    /// turn, with everything there is for it in as few writes as possible.
    pub(super) fn follow(&mut self, now: Now) {
        let before = self.offset;
        self.window.follow(&mut self.ring);
        if self.ring.base() > before {
            self.skip_dropped(before);
        }
        self.deliver_news(now);
    }

    /// Processes a batch of what the ring holds that is new.
    pub(super) fn deliver_news(&mut self, now: Now) {
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
    fn skip_dropped(&mut self, before: u64) {
        let from = Cursor::At(ReadFrom::After(self.position));
        let base = self.ring.base();
        self.table.forget_search();
        let queue = &mut self.queue;
        let mut miss = |key, subscriber: &mut Subscriber| {
            if subscriber.cursor == Cursor::Live {
                subscriber.cursor = from;
                if !subscriber.awaits.turn {
                    subscriber.awaits.turn = true;
                    queue.push_back(key);
                }
            }
        };
        let mut left = Some(self.limits.dropped);
        match self.window.dropped(before..base) {
            Some(topics) => topics.each(|topic| {
                let Some(limit) = left else { return };
                left = match self.table.for_each_concerned_by(topic, limit, &mut miss) {
                    ControlFlow::Continue(work) => limit.checked_sub(work),
                    ControlFlow::Break(()) => None,
                };
            }),
            None => left = None,
        }
        if left.is_none() {
            // Who has missed something is not known: they see for themselves.
            self.table.iter_mut().for_each(|(key, subscriber)| miss(key, subscriber));
        }
        self.offset = base;
        self.position = self.ring.position_before(base);
    }

    /// Walks from `first` on and collects whom it concerns; where it stopped.
    fn collect(&mut self, first: u64) -> u64 {
        let (mut end, mut work) = (first, 0);
        let Self { ring, table, fan_out, totals, limits, .. } = self;
        for (offset, slot) in (first..).zip(ring.from(first)) {
            if work >= limits.batch_work {
                break;
            }
            let distance = (offset - first) as u32;
            let gap = slot.frame.gap().map(|gap| gap.reason.index());
            work += 1;
            let limit = limits.batch_work - work;
            let found = table.for_each_concerned(&slot.frame, limit, |subscribers, key| {
                fan_out.add(key, distance, || {
                    let Some(subscriber) = subscribers.get_mut(key) else { return false };
                    if subscriber.cursor != Cursor::Live || subscriber.is_closing() {
                        return false;
                    }
                    if subscriber.awaits.room || subscriber.awaits.pause {
                        // From here on it is behind.
                        let here = ring.position_before(offset);
                        subscriber.cursor = Cursor::At(ReadFrom::After(here));
                        return false;
                    }
                    if let Some(reason) = gap.filter(|_| !subscriber.ends_at_gap(false)) {
                        totals.gaps[reason] += 1;
                    }
                    true
                });
            });
            match found {
                ControlFlow::Continue(taken) => work += taken,
                ControlFlow::Break(_) => break,
            }
            end = offset + 1;
        }
        end
    }

    /// Gives a turn to those whom the batch from `first` on concerns.
    fn deliver(&mut self, first: u64, now: Now) {
        let mut unsettled = Vec::new();
        let end = self.offset;
        let mut context = context!(self, now);
        for place in 0..self.fan_out.len() {
            let Some((key, slots)) = self.fan_out.at(place, &self.ring, first) else {
                continue;
            };
            let Some(subscriber) = self.table.get_mut(key) else { continue };
            let before = context.totals.deliveries;
            let outcome = subscriber.send_live(slots, &self.ring, end, &mut context);
            let pauses = subscriber.cadence.is_some() && context.totals.deliveries > before;
            // By far the most turns end so, and there is nothing to act on.
            let is_settled = matches!(outcome, Ok(SendOutcome::CaughtUp));
            if !is_settled || subscriber.awaits.poller || pauses {
                unsettled.push((key, outcome, pauses));
            }
            self.window.evict_to_weight();
        }
        self.fan_out.clear();
        for (key, outcome, pauses) in unsettled {
            self.act_on(key, outcome, now);
            if pauses {
                self.pause(key, now);
            }
        }
    }
}
