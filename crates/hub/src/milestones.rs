//! Milestones: how old an event id is, measured by the log's retention.

use std::collections::VecDeque;

use fanfare_event::{Event, Timestamp};
use fanfare_log::Retention;

/// Marks along the log, a sixteenth of its retention apart, by which the age of an id is told.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    marks: VecDeque<Milestone>,
    /// Of everything that has passed.
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Milestone {
    offset: u64,
    bytes: u64,
    time: Timestamp,
}

impl Milestones {
    const PER_RETENTION: u64 = 16;

    /// An event passes the window's end at `offset`.
    pub(crate) fn pass(&mut self, offset: u64, event: &Event, retention: &Retention) {
        self.bytes += event.weight() as u64;
        let due = self.marks.back().is_none_or(|mark| {
            let share = |whole: u64| whole / Self::PER_RETENTION;
            offset - mark.offset >= share(retention.count)
                || self.bytes - mark.bytes >= share(retention.bytes)
                || elapsed(mark.time, event.published_at) >= share(millis(retention))
        });
        if due {
            self.marks.push_back(Milestone { offset, bytes: self.bytes, time: event.published_at });
            // Each mark is at least a sixteenth after the one before, so that half a retention
            // holds few; older ones than the newest stale one are of no use.
            while self.marks.len() > 2
                && self.is_stale(self.marks[1], retention, event.published_at)
            {
                self.marks.pop_front();
            }
        }
    }

    /// The offset before which ids have become stale.
    pub(crate) fn stale_before(&self, retention: &Retention, now: Timestamp) -> u64 {
        let stale = self.marks.iter().rev().find(|mark| self.is_stale(**mark, retention, now));
        stale.map_or(0, |mark| mark.offset)
    }

    fn is_stale(&self, mark: Milestone, retention: &Retention, now: Timestamp) -> bool {
        let newest = self.marks.back().map_or(mark.offset, |newest| newest.offset);
        newest - mark.offset >= retention.count / 2
            || self.bytes - mark.bytes >= retention.bytes / 2
            || elapsed(mark.time, now) >= millis(retention) / 2
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> u64 {
    to.as_millis().saturating_sub(from.as_millis())
}

fn millis(retention: &Retention) -> u64 {
    u64::try_from(retention.age.as_millis()).unwrap_or(u64::MAX)
}
