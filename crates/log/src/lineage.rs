//! Lineage: which epochs the current one descends from, and where each of them ended.

use std::collections::VecDeque;

use fanfare_event::Position;

/// The current epoch and its ancestors, oldest forgotten first: the one judge of whether a reader
/// that stands at one position lacks something of what lies up to another.
///
/// A new epoch begins at every start of an embedded log, and whenever an engine may have lost
/// writes. What a cursor of an earlier epoch is worth is decided by where that epoch ended, and by
/// whether anything acknowledged is known to have been lost there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// How each ancestor ended, oldest first; epochs ascend.
    ends: VecDeque<Ended>,
    current: u64,
}

/// How an epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its last position that is still known.
    pub end: Position,
    /// Whether something that had been acknowledged is known, or must be feared, to be lost behind
    /// `end`. Whoever crosses from this epoch into a later one is told, also who was far behind.
    ///
    /// Evidence that comes late, when others have already crossed, ends the epoch of that moment
    /// with this mark: so nobody is left out.
    pub lossy: bool,
}

/// What a lineage knows of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochStatus {
    /// It is the current one.
    Current,
    /// It is an ancestor, and this was its last valid position.
    EndedAt(Position),
    /// It is another log's, or forgotten.
    Unknown,
}

/// What lies between the position up to which a reader has everything, and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// Nothing: the reader has everything up to the second, too.
    Nothing,
    /// Events that the log has or had.
    Events,
    /// Events that the log acknowledged and lost; or it cannot be known, because the first position
    /// is not one of this log's.
    Lost,
}

/// A place in the log at which something acknowledged was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The last position before it.
    pub after: Position,
    /// The position from which the log goes on.
    pub resumes: Position,
}

impl Ended {
    /// An epoch of which nothing is known to be lost.
    pub fn whole(end: Position) -> Self {
        Self { end, lossy: false }
    }
}

impl From<Position> for Ended {
    fn from(end: Position) -> Self {
        Self::whole(end)
    }
}

impl Lineage {
    /// How many ancestors are remembered. A cursor from before that many restarts meets an
    /// unknown epoch: a gap, never a silent loss.
    pub const MAX_ANCESTORS: usize = 1024;

    /// How many ancestors are remembered though nothing was published in them: a client may hold
    /// the id before an epoch's first event. Engines that keep a lineage elsewhere forget by the same
    /// rule.
    pub const RECENT: usize = 512;

    /// A log without a past.
    pub fn root(epoch: u64) -> Self {
        Self { ends: VecDeque::new(), current: epoch }
    }

    /// A lineage as it was recorded: how each ancestor ended, oldest first, and the current epoch.
    /// `None` where epochs do not ascend.
    pub fn recorded(
        ends: impl IntoIterator<Item = impl Into<Ended>>,
        current: u64,
    ) -> Option<Self> {
        let mut ends: VecDeque<Ended> = ends.into_iter().map(Into::into).collect();
        Self::forget_excess(&mut ends);
        let epochs = || ends.iter().map(|ended| ended.end.epoch).chain([current]);
        epochs().zip(epochs().skip(1)).all(|(a, b)| a < b).then_some(Self { ends, current })
    }

    /// Ends the current epoch at `seq` and begins `epoch`, or the next number where that is not
    /// greater than the current one (a clock that went back). `lossy` says whether something
    /// acknowledged may be lost behind `seq`. Returns the new epoch.
    pub fn begin(&mut self, epoch: u64, seq: u64, lossy: bool) -> u64 {
        self.ends.push_back(Ended { end: Position::new(self.current, seq), lossy });
        Self::forget_excess(&mut self.ends);
        self.current = epoch.max(self.current + 1);
        self.current
    }

    /// The current epoch.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// The oldest epoch that is remembered.
    pub fn oldest(&self) -> u64 {
        self.ends.front().map_or(self.current, |ended| ended.end.epoch)
    }

    /// Whether `epoch` is the current one or a remembered ancestor.
    pub fn names(&self, epoch: u64) -> bool {
        epoch == self.current || self.find(epoch).is_some()
    }

    /// The last position up to `position` that lies in an epoch which is named: the position itself, or
    /// the end of the ancestor before it; [`Position::ORIGIN`] where there is none. Whatever clients are
    /// told to go on from must be named.
    pub fn named_up_to(&self, position: Position) -> Position {
        if self.names(position.epoch) {
            return position;
        }
        let before = self.ends.partition_point(|ended| ended.end.epoch < position.epoch);
        before.checked_sub(1).map_or(Position::ORIGIN, |at| self.ends[at].end)
    }

    /// How each ancestor ended, oldest first.
    pub fn ends(&self) -> impl ExactSizeIterator<Item = Ended> + '_ {
        self.ends.iter().copied()
    }

    /// What is known of `epoch`.
    pub fn epoch_status(&self, epoch: u64) -> EpochStatus {
        if epoch == self.current {
            return EpochStatus::Current;
        }
        match self.find(epoch) {
            Some(at) => EpochStatus::EndedAt(self.ends[at].end),
            None => EpochStatus::Unknown,
        }
    }

    /// What lies between `after`, up to which a reader has everything, and `at`. An `after` beyond
    /// the end of its epoch or beyond `at`, or of an epoch that is not known, names what this log
    /// does not have: [`Between::Lost`].
    pub fn between(&self, after: Position, at: Position) -> Between {
        if after > at {
            return Between::Lost;
        }
        if after.epoch == at.epoch {
            return if after == at { Between::Nothing } else { Between::Events };
        }
        let Some(found) = self.find(after.epoch).filter(|&found| after <= self.ends[found].end)
        else {
            return Between::Lost;
        };
        let crossed = || self.ends.range(found..).take_while(|ended| ended.end.epoch < at.epoch);
        if crossed().any(|ended| ended.lossy) {
            Between::Lost
        } else if self.missing(after, at).is_some() {
            Between::Events
        } else {
            Between::Nothing
        }
    }

    /// The last event that a reader lacks which has everything up to `after` and goes on behind
    /// `through`: what an engine asks where it no longer holds what lies between the two.
    ///
    /// Counts what this log accepted, by where its epochs ended; what it is known to have lost beyond
    /// that is told by [`Lineage::next_loss`].
    pub fn missing(&self, after: Position, through: Position) -> Option<Position> {
        let last = if through.seq > 0 {
            Some(through)
        } else {
            let earlier = self.ends.partition_point(|ended| ended.end.epoch < through.epoch);
            let ends = self.ends.range(..earlier).rev().map(|ended| ended.end);
            ends.take_while(|end| end.epoch >= after.epoch).find(|end| end.seq > 0)
        };
        last.filter(|last| *last > after)
    }

    /// The position from which at most so many events lead up to `at`, on a way on which nothing is known to
    /// be lost. It lies as far back as both allow.
    pub fn back(&self, at: Position, events: u64) -> Position {
        let (mut at, mut left) = (at, events);
        while at.seq < left {
            left -= at.seq;
            let earlier = self.ends.partition_point(|ended| ended.end.epoch < at.epoch);
            match earlier.checked_sub(1).map(|before| self.ends[before]) {
                Some(Ended { end, lossy: false }) => at = end,
                _ => return Position::new(at.epoch, 0),
            }
        }
        Position::new(at.epoch, at.seq - left)
    }

    /// Whether a reader that has exactly the log up to `after` has it up to `through` as well.
    pub fn continuous(&self, after: Position, through: Position) -> bool {
        self.between(after, through) == Between::Nothing
    }

    /// The first known loss that a reader crosses on its way from `after` to `until`.
    pub fn next_loss(&self, after: Position, until: Position) -> Option<Loss> {
        let from = self.ends.partition_point(|ended| ended.end.epoch < after.epoch);
        let lossy = (from..self.ends.len()).find(|&at| self.ends[at].lossy)?;
        let resumes = self.ends.get(lossy + 1).map_or(self.current, |next| next.end.epoch);
        (resumes <= until.epoch)
            .then(|| Loss { after: self.ends[lossy].end, resumes: Position::new(resumes, 0) })
    }

    /// Forgets first, of those that are not recent, the epochs in which nothing happened: a hub that
    /// starts a thousand times in vain must not make the log forget its history. A loss in such an
    /// epoch is told by the next one too, if nothing happened there either and it is lossy as well.
    fn forget_excess(ends: &mut VecDeque<Ended>) {
        while ends.len() > Self::MAX_ANCESTORS {
            let long_past = ends.len() - Self::RECENT;
            let is_empty = |at: usize| ends[at].end.seq == 0;
            let is_void = |&at: &usize| {
                is_empty(at) && (!ends[at].lossy || (is_empty(at + 1) && ends[at + 1].lossy))
            };
            let forgotten = (0..long_past).find(is_void);
            ends.remove(forgotten.unwrap_or(0));
        }
    }

    fn find(&self, epoch: u64) -> Option<usize> {
        self.ends.binary_search_by_key(&epoch, |ended| ended.end.epoch).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_known_by_where_they_ended() {
        let mut lineage = Lineage::root(10);
        assert_eq!(lineage.begin(20, 7, false), 20);
        assert_eq!(
            lineage.begin(15, 3, false),
            21,
            "a clock that went back does not reuse an epoch"
        );
        assert_eq!(lineage.epoch_status(10), EpochStatus::EndedAt(Position::new(10, 7)));
        assert_eq!(lineage.epoch_status(20), EpochStatus::EndedAt(Position::new(20, 3)));
        assert_eq!(lineage.epoch_status(21), EpochStatus::Current);
        assert_eq!(lineage.epoch_status(11), EpochStatus::Unknown);
    }

    #[test]
    fn the_way_back_crosses_what_was_lost() {
        let lost = Ended { end: Position::new(1, 9), lossy: true };
        let ends = [lost, Ended::whole(Position::new(2, 3)), Ended::whole(Position::new(3, 0))];
        let lineage = Lineage::recorded(ends, 4).unwrap();
        let back = |events| lineage.back(Position::new(4, 2), events);
        assert_eq!(back(0), Position::new(4, 2));
        assert_eq!(back(2), Position::new(4, 0));
        assert_eq!(back(3), Position::new(2, 2));
        assert_eq!(back(5), Position::new(2, 0));
        assert_eq!(back(6), Position::new(2, 0), "what lies before was lost");
        assert_eq!(Lineage::root(7).back(Position::new(7, 5), u64::MAX), Position::new(7, 0));
    }

    #[test]
    fn forgotten_ancestors_are_unknown_not_wrong() {
        let mut lineage = Lineage::root(1);
        for epoch in 2..=2000 {
            lineage.begin(epoch, 5, false);
        }
        assert_eq!(lineage.epoch_status(1), EpochStatus::Unknown);
        assert_eq!(lineage.epoch_status(1999), EpochStatus::EndedAt(Position::new(1999, 5)));
        assert_eq!(lineage.ends().len(), Lineage::MAX_ANCESTORS);
    }

    #[test]
    fn starts_in_vain_are_forgotten_before_any_history() {
        let mut lineage = Lineage::root(1);
        lineage.begin(2, 5, false);
        lineage.begin(3, 0, true);
        for epoch in 4..=3000 {
            lineage.begin(epoch, 0, false);
        }
        assert_eq!(lineage.epoch_status(1), EpochStatus::EndedAt(Position::new(1, 5)));
        assert_eq!(lineage.between(Position::new(1, 5), Position::new(3000, 0)), Between::Lost);
        assert_eq!(lineage.ends().len(), Lineage::MAX_ANCESTORS);
        for recent in 2999 - Lineage::RECENT as u64 + 1..3000 {
            assert_eq!(
                lineage.epoch_status(recent),
                EpochStatus::EndedAt(Position::new(recent, 0))
            );
        }
        assert_eq!(lineage.epoch_status(900), EpochStatus::Unknown);
    }

    #[test]
    fn feared_losses_in_vain_are_forgotten_before_any_history() {
        let mut lineage = Lineage::root(1);
        lineage.begin(2, 5, false);
        for epoch in 3..=3000 {
            lineage.begin(epoch, 0, true);
        }
        lineage.begin(3001, 3, false);
        assert_eq!(lineage.epoch_status(1), EpochStatus::EndedAt(Position::new(1, 5)));
        for after in [Position::new(1, 5), Position::new(2990, 0)] {
            assert_eq!(lineage.between(after, Position::new(3000, 1)), Between::Lost);
        }
        assert_eq!(lineage.ends().len(), Lineage::MAX_ANCESTORS);
    }

    #[test]
    fn a_position_that_is_handed_out_is_named() {
        let lineage = Lineage::recorded([Position::new(2, 9), Position::new(5, 0)], 8).unwrap();
        let at = Position::new;
        for (position, named) in [
            (at(1, 3), Position::ORIGIN),
            (at(2, 4), at(2, 4)),
            (at(3, 0), at(2, 9)),
            (at(6, 1), at(5, 0)),
            (at(8, 7), at(8, 7)),
        ] {
            assert_eq!(lineage.named_up_to(position), named, "{position}");
        }
    }

    #[test]
    fn only_a_reader_at_the_end_of_an_epoch_lacks_nothing_of_the_next() {
        let lineage =
            Lineage::recorded([Position::new(1, 9), Position::new(2, 0), Position::new(3, 4)], 4)
                .unwrap();
        let continuous = |after: (u64, u64), through: (u64, u64)| {
            lineage.continuous(Position::new(after.0, after.1), Position::new(through.0, through.1))
        };
        assert!(continuous((1, 9), (2, 0)));
        assert!(continuous((1, 9), (3, 0)), "an epoch without events lies between");
        assert!(!continuous((1, 9), (3, 1)));
        assert!(!continuous((1, 9), (4, 0)), "3-1 to 3-4 lie between");
        assert!(!continuous((1, 8), (2, 0)));
        assert!(!continuous((1, 10), (2, 0)), "it has what the log lost");
        assert!(!continuous((0, 7), (4, 0)), "an unknown epoch");
        assert!(continuous((4, 2), (4, 2)));
        assert!(!continuous((4, 2), (4, 3)));
    }

    #[test]
    fn what_is_missing_ends_with_the_last_event_there_was() {
        let lineage =
            Lineage::recorded([Position::new(1, 9), Position::new(2, 0), Position::new(3, 4)], 4)
                .unwrap();
        let missing = |after: (u64, u64), through: (u64, u64)| {
            let through = Position::new(through.0, through.1);
            let last = lineage.missing(Position::new(after.0, after.1), through);
            last.map(|last| (last.epoch, last.seq))
        };
        assert_eq!(missing((1, 5), (1, 5)), None);
        assert_eq!(missing((1, 5), (1, 7)), Some((1, 7)));
        assert_eq!(missing((1, 5), (3, 0)), Some((1, 9)), "an epoch without events lies between");
        assert_eq!(missing((1, 9), (3, 0)), None);
        assert_eq!(missing((1, 9), (3, 1)), Some((3, 1)));
        assert_eq!(missing((2, 0), (4, 0)), Some((3, 4)));
        assert_eq!(missing((0, 0), (1, 0)), None, "nothing came before the first");
        assert_eq!(missing((0, 0), (4, 0)), Some((3, 4)));
    }

    #[test]
    fn whoever_crosses_a_loss_is_told_also_who_was_far_behind() {
        let ended = |epoch, seq, lossy| Ended { end: Position::new(epoch, seq), lossy };
        let lineage =
            Lineage::recorded([ended(1, 9, false), ended(2, 50, true), ended(3, 0, false)], 4)
                .unwrap();
        let at = Position::new;
        for after in [at(1, 3), at(1, 9), at(2, 40), at(2, 50)] {
            assert_eq!(lineage.between(after, at(3, 0)), Between::Lost, "{after}");
            let loss = Loss { after: at(2, 50), resumes: at(3, 0) };
            assert_eq!(lineage.next_loss(after, at(4, 1)), Some(loss), "{after}");
        }
        assert_eq!(lineage.between(at(2, 40), at(2, 50)), Between::Events);
        assert_eq!(lineage.next_loss(at(2, 40), at(2, 50)), None, "it is not crossed");
        assert_eq!(lineage.between(at(3, 0), at(4, 0)), Between::Nothing);
        assert_eq!(lineage.next_loss(at(3, 0), at(4, 9)), None);
    }

    #[test]
    fn a_record_whose_epochs_do_not_ascend_is_refused() {
        assert_eq!(Lineage::recorded([Position::new(5, 1)], 5), None);
        assert_eq!(Lineage::recorded([Position::new(5, 1), Position::new(4, 1)], 9), None);
        assert!(Lineage::recorded([Position::new(4, 1), Position::new(5, 1)], 9).is_some());
    }
}
