//! A stretch: what one selector wants of a run of the log, read once for all who wait for it.
//!
//! What must hold: whoever takes a page of a stretch is judged for itself, when it takes it: where it stands,
//! what is known of the log by then, and what it may hear. Its page has everything it wants after where it stands,
//! up to where the page ends, as if the log had been read for it when the stretch was; where that cannot be
//! shown, there is no page, and the log is read for it alone.

use std::sync::Arc;

use fanfare_event::Position;
use fanfare_log::{Page, ReadFrom};

use crate::continuity::Continuity;
use crate::{Frame, Interest, Slot};

/// A run of the log as one selector sees it, with frames that all who take a page of it share.
#[derive(Debug)]
pub struct Stretch {
    /// What was known of the log just before it was read.
    known: Continuity,
    /// Whose selector it was read for. Their rights are not looked at: each who takes a page has its own.
    interest: Arc<Interest>,
    /// Where whoever asked for it stood.
    asked: ReadFrom,
    /// From where on it was read: the same, or behind a loss.
    from: ReadFrom,
    /// Up to where something that the selector wants, after `from`, may have been trimmed.
    trimmed: Option<Position>,
    slots: Vec<Slot>,
    next: Position,
}

/// The part of a stretch behind one position.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) trimmed: Option<Position>,
    pub(crate) slots: &'a [Slot],
    pub(crate) next: Position,
}

impl Stretch {
    /// What the log answered with when it was asked for what follows `from`, for someone who stood at `asked`.
    pub(crate) fn new(
        known: Continuity,
        interest: Arc<Interest>,
        asked: ReadFrom,
        from: ReadFrom,
        page: Page,
    ) -> Self {
        let slots = page.events.into_iter().map(Frame::new).map(Slot::new).collect();
        Self { known, interest, asked, from, trimmed: page.trimmed, slots, next: page.next }
    }

    /// Whether a page may be made of it for someone with this interest who stands here, unless more is known by then.
    pub fn serves(&self, from: ReadFrom, interest: &Interest) -> bool {
        let same = from == self.asked && self.interest.wants_the_same(interest);
        same || self.part(from, interest).is_some()
    }

    /// Whether it tells the truth by what is known of the log now: no epoch has begun since, and nothing
    /// was found out about the past.
    pub(crate) fn is_true(&self, known: &Continuity) -> bool {
        known.same_history_as(&self.known)
    }

    /// What of it follows `from`, for the same selector; `None` where it does not reach there, or does not say
    /// whether something that stood there was trimmed.
    pub(crate) fn part(&self, from: ReadFrom, interest: &Interest) -> Option<Part<'_>> {
        if !self.interest.wants_the_same(interest) {
            return None;
        }
        let Self { trimmed, next, .. } = *self;
        if from == self.from {
            return Some(Part { trimmed, slots: &self.slots, next });
        }
        let (ReadFrom::After(begin), ReadFrom::After(at)) = (self.from, from) else { return None };
        // Behind what was trimmed, nothing is missing.
        let begin = trimmed.map_or(begin, |through| through.max(begin));
        if at < begin || at >= next {
            return None;
        }
        let passed = self.slots.partition_point(|slot| slot.frame.position() <= at);
        Some(Part { trimmed: None, slots: &self.slots[passed..], next })
    }
}
