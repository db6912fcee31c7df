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
    fn a_record_whose_epochs_do_not_ascend_is_refused() {
        assert_eq!(Lineage::recorded([Position::new(5, 1)], 5), None);
        assert_eq!(Lineage::recorded([Position::new(5, 1), Position::new(4, 1)], 9), None);
        assert!(Lineage::recorded([Position::new(4, 1), Position::new(5, 1)], 9).is_some());
    }
}
