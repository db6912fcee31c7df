//! Lineage: which epochs the current one descends from, and where each of them ended.

use std::collections::VecDeque;

use fanfare_event::Position;

/// The current epoch and its ancestors, oldest forgotten first.
///
/// A new epoch begins at every start of an embedded log, and whenever an engine may have lost
/// writes. What a cursor of an earlier epoch is worth is decided by where that epoch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Where each ancestor ended, oldest first; epochs ascend.
    ends: VecDeque<Position>,
    current: u64,
}

/// What a lineage knows of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the current one.
    Current,
    /// It is an ancestor, and this was its last valid position.
    EndedAt(Position),
    /// It is another log's, or forgotten.
    Unknown,
}

impl Lineage {
    /// How many ancestors are remembered. A cursor from before that many restarts meets an
    /// unknown epoch: a gap, never a silent loss.
    pub const MAX_ANCESTORS: usize = 1024;

    /// A log without a past.
    pub fn root(epoch: u64) -> Self {
        Self { ends: VecDeque::new(), current: epoch }
    }

    /// A lineage as it was recorded: where each ancestor ended, oldest first, and the current
    /// epoch. `None` where epochs do not ascend.
    pub fn recorded(ends: impl IntoIterator<Item = Position>, current: u64) -> Option<Self> {
        let mut ends: VecDeque<_> = ends.into_iter().collect();
        while ends.len() > Self::MAX_ANCESTORS {
            ends.pop_front();
        }
        let ascending = ends.iter().zip(ends.iter().skip(1)).all(|(a, b)| a.epoch < b.epoch)
            && ends.back().is_none_or(|last| last.epoch < current);
        ascending.then_some(Self { ends, current })
    }

    /// Ends the current epoch at `seq` and begins `epoch`, or the next number where that is not
    /// greater than the current one (a clock that went back). Returns the new epoch.
    pub fn begin(&mut self, epoch: u64, seq: u64) -> u64 {
        self.ends.push_back(Position::new(self.current, seq));
        if self.ends.len() > Self::MAX_ANCESTORS {
            self.ends.pop_front();
        }
        self.current = epoch.max(self.current + 1);
        self.current
    }

    /// The current epoch.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// The oldest epoch that is remembered.
    pub fn oldest(&self) -> u64 {
        self.ends.front().map_or(self.current, |end| end.epoch)
    }

    /// Where each ancestor ended, oldest first.
    pub fn ends(&self) -> impl ExactSizeIterator<Item = Position> + '_ {
        self.ends.iter().copied()
    }

    /// What is known of `epoch`.
    pub fn standing(&self, epoch: u64) -> Standing {
        if epoch == self.current {
            return Standing::Current;
        }
        match self.ends.binary_search_by_key(&epoch, |end| end.epoch) {
            Ok(at) => Standing::EndedAt(self.ends[at]),
            Err(_) => Standing::Unknown,
        }
    }

    /// Whether a reader that has exactly the log up to `after` has it up to `through` as well,
    /// because no event lies between the two. An `after` beyond the end of its epoch, or of an
    /// epoch that is not known, is never continuous with what came later.
    pub fn continuous(&self, after: Position, through: Position) -> bool {
        if after >= through || after.epoch == through.epoch {
            return after >= through;
        }
        let Ok(at) = self.ends.binary_search_by_key(&after.epoch, |end| end.epoch) else {
            return false;
        };
        let between = self.ends.iter().skip(at + 1).take_while(|end| end.epoch < through.epoch);
        through.seq == 0 && self.ends[at] == after && between.into_iter().all(|end| end.seq == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_known_by_where_they_ended() {
        let mut lineage = Lineage::root(10);
        assert_eq!(lineage.begin(20, 7), 20);
        assert_eq!(lineage.begin(15, 3), 21, "a clock that went back does not reuse an epoch");
        assert_eq!(lineage.standing(10), Standing::EndedAt(Position::new(10, 7)));
        assert_eq!(lineage.standing(20), Standing::EndedAt(Position::new(20, 3)));
        assert_eq!(lineage.standing(21), Standing::Current);
        assert_eq!(lineage.standing(11), Standing::Unknown);
    }

    #[test]
    fn forgotten_ancestors_are_unknown_not_wrong() {
        let mut lineage = Lineage::root(1);
        for epoch in 2..=2000 {
            lineage.begin(epoch, 5);
        }
        assert_eq!(lineage.standing(1), Standing::Unknown);
        assert_eq!(lineage.standing(1999), Standing::EndedAt(Position::new(1999, 5)));
        assert_eq!(lineage.ends().len(), Lineage::MAX_ANCESTORS);
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
    fn a_record_whose_epochs_do_not_ascend_is_refused() {
        assert_eq!(Lineage::recorded([Position::new(5, 1)], 5), None);
        assert_eq!(Lineage::recorded([Position::new(5, 1), Position::new(4, 1)], 9), None);
        assert!(Lineage::recorded([Position::new(4, 1), Position::new(5, 1)], 9).is_some());
    }
}
