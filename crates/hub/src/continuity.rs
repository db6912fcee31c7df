//! Continuity: whether what a subscriber is given next follows on from what it has, and if not, of
//! what gap it is told first.
//!
//! What must hold: every gap is made here. What lies between two positions is judged by [`Lineage`]
//! alone, and what is no longer retained by [`EventLog::read`](fanfare_log::EventLog::read): this
//! module makes of their answers what subscribers are told, and says how far a page may reach. One
//! answer is of one moment: it is given by a copy of what was known then, under no lock.

use std::sync::Arc;

use fanfare_event::Position;
use fanfare_log::{Between, EpochStatus, Lineage, ReadError, ReadFrom};

use crate::{Gap, GapReason, Requested, Resolution, Start};

/// What a node knows of its log at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Continuity {
    /// `None` until the engine has begun.
    lineage: Option<Arc<Lineage>>,
    /// The last position the engine reported.
    last: Position,
    /// Nothing up to here is retained by the log.
    trimmed: Position,
}

/// What one page is to read, so that it crosses nothing that was lost.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) from: ReadFrom,
    pub(crate) until: Position,
    /// The cursor it begins with, for the gaps it may end in.
    requested: String,
    gap: Option<Gap>,
    /// Nothing up to here was known to be retained when it was made.
    floor: Position,
}

impl Continuity {
    /// Before the engine has begun.
    pub(crate) fn unknown() -> Self {
        Self { lineage: None, last: Position::ORIGIN, trimmed: Position::ORIGIN }
    }

    /// Whether the engine has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.lineage.is_some()
    }

    /// The last position the engine reported.
    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// The engine has accepted events up to here.
    pub(crate) fn advance(&mut self, position: Position) {
        self.last = position;
    }

    /// Nothing up to here is retained.
    pub(crate) fn trim(&mut self, through: Position) {
        self.trimmed = self.trimmed.max(through);
    }

    /// Nothing up to here is retained.
    pub(crate) fn trimmed(&self) -> Position {
        self.trimmed
    }

    /// Whether no other epoch has begun since `earlier`, and nothing was found out about the past.
    pub(crate) fn same_history_as(&self, earlier: &Self) -> bool {
        match (&self.lineage, &earlier.lineage) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            _ => false,
        }
    }

    /// The position from which at most so many events lead up to `at`, none of which is known to be lost
    /// or trimmed; `at` itself where there is none.
    pub(crate) fn back(&self, at: Position, events: u64) -> Position {
        let start = self.lineage.as_ref().map_or(at, |lineage| lineage.back(at, events));
        start.max(self.trimmed).min(at)
    }

    /// The engine goes on at `at`. Says of what everyone is told who has everything so far; of
    /// nothing where the one follows on from the other, or nobody has been told anything yet.
    pub(crate) fn begin(&mut self, lineage: &Lineage, at: Position) -> Option<Gap> {
        let last = std::mem::replace(&mut self.last, at);
        self.lineage.replace(Arc::new(lineage.clone()))?;
        let reason = match lineage.between(last, at) {
            Between::Nothing => return None,
            // There they are, or were; to this node they never came.
            Between::Events => GapReason::Trimmed,
            Between::Lost => GapReason::EngineLostWrites,
        };
        Some(Gap { reason, requested: last.to_string(), resumed_from: at })
    }

    /// Where a subscriber begins: the table of cursors and gaps. Whether anything was trimmed is not
    /// decided here but where the log is read, and only for those the window cannot serve.
    pub(crate) fn resume(&self, requested: &Requested) -> Resolution {
        let from = match requested {
            Requested::After(position) => return self.resume_after(*position),
            Requested::Earliest => ReadFrom::Earliest,
            Requested::Live => ReadFrom::After(self.last),
            Requested::AfterId(id) => {
                let requested = id.as_str().to_owned();
                return Resolution::Ready(behind(GapReason::UnknownId, requested, self.floor()));
            }
            Requested::Unknown(text) => {
                return Resolution::Ready(behind(GapReason::UnknownId, text.clone(), self.floor()));
            }
            Requested::Unreadable(text) => {
                return Resolution::Ready(behind(GapReason::BadId, text.clone(), self.last));
            }
        };
        Resolution::Ready(Start { gap: None, from })
    }

    fn resume_after(&self, position: Position) -> Resolution {
        let lost = |resumes| behind(GapReason::EngineLostWrites, position.to_string(), resumes);
        match self.epoch_status(position.epoch) {
            EpochStatus::Current if position > self.last => Resolution::Ahead(lost(self.last)),
            EpochStatus::EndedAt(end) if position > end => {
                Resolution::Ready(lost(self.behind(end)))
            }
            EpochStatus::Current | EpochStatus::EndedAt(_) => {
                Resolution::Ready(Start { gap: None, from: ReadFrom::After(position) })
            }
            EpochStatus::Unknown => {
                // From the very place that the gap names: what is trimmed until it is read is
                // another gap.
                let start = behind(GapReason::UnknownEpoch, position.to_string(), self.floor());
                // Epochs only grow: another node may have heard of a later one first.
                if position.epoch > self.last.epoch {
                    Resolution::Ahead(start)
                } else {
                    Resolution::Ready(start)
                }
            }
        }
    }

    /// What the next page of a subscriber reads that stands here. No page crosses a loss: it ends
    /// before that, and the next one begins with the gap.
    pub(crate) fn span(&self, from: ReadFrom) -> Span {
        let (start, requested) = match from {
            ReadFrom::Earliest => (Requested::Earliest, "earliest".to_owned()),
            ReadFrom::After(position) => (Requested::After(position), position.to_string()),
        };
        let Start { gap, from } = self.resume(&start).into_start();
        let mut span = Span { from, until: self.last, requested, gap, floor: self.floor() };
        let mut at = match from {
            ReadFrom::Earliest => self.floor(),
            ReadFrom::After(position) => position,
        };
        let next_loss = |at| self.lineage.as_ref()?.next_loss(at, self.last);
        while let Some(loss) = next_loss(at) {
            if at < loss.after {
                span.until = loss.after;
                break;
            }
            at = loss.resumes;
            span.from = ReadFrom::After(at);
            span.add_gap(GapReason::EngineLostWrites, at);
        }
        span
    }

    fn epoch_status(&self, epoch: u64) -> EpochStatus {
        self.lineage.as_ref().map_or(EpochStatus::Unknown, |lineage| lineage.epoch_status(epoch))
    }

    /// Everything retained lies after this position.
    fn floor(&self) -> Position {
        let oldest = self.lineage.as_ref().map_or(0, |lineage| lineage.oldest());
        self.trimmed.max(Position::new(oldest, 0))
    }

    /// Where the log goes on for whoever had more of an epoch than is left of it: it has been told,
    /// and must not cross the same loss once more.
    fn behind(&self, end: Position) -> Position {
        let loss = self.lineage.as_ref().and_then(|lineage| lineage.next_loss(end, self.last));
        loss.filter(|loss| loss.after == end).map_or(end, |loss| loss.resumes)
    }
}

impl Span {
    /// Whether something was lost on the way to `last`, the last position that was known when it was made.
    pub(crate) fn meets_loss(&self, last: Position) -> bool {
        self.gap.is_some() || self.until < last
    }

    /// What comes before the events of a page that leads up to `next`, if something that it should hold was
    /// trimmed up to there. Fails where the page does not lead on: to go on would be to ask the same again,
    /// for ever; later the answer may be another.
    pub(crate) fn gap_before(
        mut self,
        trimmed: Option<Position>,
        next: Position,
    ) -> Result<Option<Gap>, ReadError> {
        let leads_on = match self.from {
            ReadFrom::Earliest => next > Position::ORIGIN,
            ReadFrom::After(at) => next > at || at >= self.until,
        };
        if !leads_on {
            let source = "a page did not lead on from where it began".into();
            return Err(ReadError::Unavailable { source });
        }
        // Whoever asks for all that is retained does not miss what was known to be trimmed when it asked.
        let is_owed = |through| self.from != ReadFrom::Earliest || through > self.floor;
        if let Some(through) = trimmed.filter(|through| is_owed(*through)) {
            self.add_gap(GapReason::Trimmed, through);
        }
        Ok(self.gap)
    }

    /// Two gaps at once are one to the subscriber: the first cause, the later place.
    fn add_gap(&mut self, reason: GapReason, resumed_from: Position) {
        match &mut self.gap {
            Some(gap) => gap.resumed_from = resumed_from,
            none => {
                *none = Some(Gap { reason, requested: self.requested.clone(), resumed_from });
            }
        }
    }
}

/// A start behind a gap, which names that very place.
fn behind(reason: GapReason, requested: String, resumed_from: Position) -> Start {
    let gap = Gap { reason, requested, resumed_from };
    Start { gap: Some(gap), from: ReadFrom::After(resumed_from) }
}

#[cfg(test)]
mod tests {
    use fanfare_log::Ended;

    use super::*;

    fn whole(epoch: u64, seq: u64) -> Ended {
        Ended::whole(Position::new(epoch, seq))
    }

    fn known() -> Continuity {
        let lossy = Ended { lossy: true, ..whole(20, 3) };
        let lineage = Lineage::recorded([whole(10, 950), lossy], 30).unwrap();
        let mut known = Continuity::unknown();
        assert_eq!(known.begin(&lineage, Position::new(30, 7)), None, "nobody was told anything");
        known.trim(Position::new(10, 5));
        known
    }

    fn resolve(text: &str) -> (Option<(GapReason, Position)>, ReadFrom) {
        let Resolution::Ready(start) = known().resume(&Requested::parse(Some(text))) else {
            panic!("{text} should not have to wait");
        };
        (start.gap.map(|gap| (gap.reason, gap.resumed_from)), start.from)
    }

    #[test]
    fn whoever_asks_for_all_there_is_is_told_of_what_vanishes_meanwhile() {
        let gap = |through| {
            let span = known().span(ReadFrom::Earliest);
            let (epoch, seq) = through;
            let gap = span.gap_before(Some(Position::new(epoch, seq)), Position::new(20, 3));
            gap.unwrap().map(|gap| gap.reason)
        };
        assert_eq!(gap((10, 5)), None, "it was known to be trimmed");
        assert_eq!(gap((10, 6)), Some(GapReason::Trimmed));
    }

    #[test]
    fn every_row_of_the_table() {
        let after = |epoch, seq| ReadFrom::After(Position::new(epoch, seq));
        assert_eq!(resolve("30-7"), (None, after(30, 7)));
        assert_eq!(resolve("20-3"), (None, after(20, 3)));
        assert_eq!(resolve("10-950"), (None, after(10, 950)));
        assert_eq!(
            resolve("10-1000"),
            (Some((GapReason::EngineLostWrites, Position::new(10, 950))), after(10, 950))
        );
        assert_eq!(
            resolve("20-4"),
            (Some((GapReason::EngineLostWrites, Position::new(30, 0))), after(30, 0)),
            "told once, and from behind the loss"
        );
        assert_eq!(
            resolve("11-1"),
            (Some((GapReason::UnknownEpoch, Position::new(10, 5))), after(10, 5))
        );
        assert_eq!(
            resolve("nonsense"),
            (Some((GapReason::BadId, Position::new(30, 7))), after(30, 7))
        );
        assert_eq!(resolve("earliest"), (None, ReadFrom::Earliest));
        assert_eq!(resolve(""), (None, after(30, 7)));
    }

    #[test]
    fn a_client_ahead_of_this_node_waits_and_is_told_if_in_vain() {
        let ahead = known().resume(&Requested::parse(Some("30-8")));
        let Resolution::Ahead(start) = ahead else { panic!("{ahead:?}") };
        assert_eq!(start.gap.unwrap().reason, GapReason::EngineLostWrites);
        assert_eq!(start.from, ReadFrom::After(Position::new(30, 7)));

        let ahead = known().resume(&Requested::parse(Some("31-1")));
        let Resolution::Ahead(start) = ahead else { panic!("{ahead:?}") };
        assert_eq!(start.gap.unwrap().reason, GapReason::UnknownEpoch);
        assert_eq!(start.from, ReadFrom::After(Position::new(10, 5)));
    }

    /// What a node that had heard everything up to 1-5 is told when it hears again at `at`.
    fn told(ends: [Ended; 2], at: Position) -> Option<GapReason> {
        let mut known = Continuity::unknown();
        known.begin(&Lineage::root(1), Position::new(1, 5));
        known.begin(&Lineage::recorded(ends, 3).unwrap(), at).map(|gap| gap.reason)
    }

    #[test]
    fn a_node_that_slept_through_an_epoch_says_so() {
        let at = Position::new(3, 0);
        assert_eq!(told([whole(1, 5), whole(2, 0)], at), None, "an epoch without events");
        assert_eq!(told([whole(1, 5), whole(2, 7)], at), Some(GapReason::Trimmed));
        assert_eq!(told([whole(1, 5), whole(2, 0)], at.next()), Some(GapReason::Trimmed));
        assert_eq!(told([whole(1, 4), whole(2, 0)], at), Some(GapReason::EngineLostWrites));
        let lossy = Ended { lossy: true, ..whole(1, 5) };
        assert_eq!(told([lossy, whole(2, 0)], at), Some(GapReason::EngineLostWrites));
    }

    #[test]
    fn what_was_learnt_in_between_moves_the_end_of_a_page() {
        let mut known = known();
        let then = known.clone();
        let ends = [whole(10, 950), Ended { lossy: true, ..whole(20, 3) }];
        let later = Lineage::recorded(ends.into_iter().chain([whole(30, 5)]), 40).unwrap();
        known.begin(&later, Position::new(40, 0));
        let from = ReadFrom::After(Position::new(30, 6));
        assert_eq!(then.span(from).until, Position::new(30, 7));
        assert_eq!(known.span(from).until, Position::new(40, 0));
        assert_eq!(known.span(from).from, ReadFrom::After(Position::new(30, 5)));
    }
}
