//! Whom the slots of a stretch of the window concern, collected while it is walked.
//!
//! What must hold: what it costs is proportional to what is delivered, not to how long the stretch
//! is for each of those whom a part of it concerns.

use fanfare_hub::{Ring, Slot};
use mio::Token;

use super::token::entry;

/// The subscribers whom something concerns, each with what. Empty between two stretches; its room is
/// kept.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    /// By entry of the roster: one more than its place among the marked, 0 where it has none.
    marks: Vec<u32>,
    marked: Vec<Marked>,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Marked {
    token: Token,
    /// Its runs; none where it is passed over.
    runs: Option<Runs>,
}

#[derive(Debug, Clone, Copy)]
struct Runs {
    first: u32,
    last: u32,
}

/// Slots one after the other, by their distance from the beginning of the stretch.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    next: Option<u32>,
}

impl Concerned {
    /// The slot at this distance concerns `token`. `is_ready` says, once for each, whether it is
    /// given anything of this stretch. One that the same slot concerns twice gets it once.
    pub(super) fn add(&mut self, token: Token, slot: u32, is_ready: impl FnOnce() -> bool) {
        let entry = entry(token);
        if entry >= self.marks.len() {
            self.marks.resize(entry + 1, 0);
        }
        let run = Run { start: slot, end: slot + 1, next: None };
        let place = self.runs.len() as u32;
        let Some(mark) = self.marks[entry].checked_sub(1) else {
            let runs = is_ready().then_some(Runs { first: place, last: place });
            self.runs.extend(runs.map(|_| run));
            self.marked.push(Marked { token, runs });
            self.marks[entry] = self.marked.len() as u32;
            return;
        };
        let marked = &mut self.marked[mark as usize];
        // An index may still name someone whose entry has a successor.
        if marked.token != token {
            if marked.runs.is_none() && is_ready() {
                self.runs.push(run);
                *marked = Marked { token, runs: Some(Runs { first: place, last: place }) };
            }
            return;
        }
        let Some(runs) = &mut marked.runs else { return };
        let last = &mut self.runs[runs.last as usize];
        if last.end > slot {
            return;
        }
        if last.end == slot {
            last.end += 1;
        } else {
            last.next = Some(place);
            runs.last = place;
            self.runs.push(run);
        }
    }

    /// How many are to be given something, or were passed over.
    pub(super) fn len(&self) -> usize {
        self.marked.len()
    }

    /// The one at this place, unless it was passed over, and what concerns it of the stretch that
    /// begins at `first`, each with its offset.
    pub(super) fn at<'a>(
        &'a self,
        place: usize,
        ring: &'a Ring,
        first: u64,
    ) -> Option<(Token, impl Iterator<Item = (u64, &'a Slot)>)> {
        let Marked { token, runs } = *self.marked.get(place)?;
        let mut next = Some(runs?.first);
        let runs = std::iter::from_fn(move || {
            let run = self.runs.get(next? as usize)?;
            next = run.next;
            Some(run)
        });
        let slots = runs.flat_map(move |run| {
            let (start, end) = (first + u64::from(run.start), first + u64::from(run.end));
            (start..end).zip(ring.from(start))
        });
        Some((token, slots))
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) {
        for marked in self.marked.drain(..) {
            self.marks[entry(marked.token)] = 0;
        }
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::token;
    use super::*;

    fn runs(concerned: &Concerned, place: usize) -> Vec<(u32, u32)> {
        let mut next = concerned.marked[place].runs.map(|runs| runs.first);
        let mut all = Vec::new();
        while let Some(run) = next.map(|place| concerned.runs[place as usize]) {
            all.push((run.start, run.end));
            next = run.next;
        }
        all
    }

    #[test]
    fn a_slot_is_given_twice_or_not_at_all() {
        let mut concerned = Concerned::default();
        let (one, other) = (token(0, 1), token(5, 1));
        for (token, slot) in [(one, 0), (one, 0), (other, 1), (one, 1), (one, 4), (other, 9)] {
            concerned.add(token, slot, || true);
        }
        assert_eq!(runs(&concerned, 0), [(0, 2), (4, 5)]);
        assert_eq!(runs(&concerned, 1), [(1, 2), (9, 10)]);
        concerned.clear();
        concerned.add(other, 3, || false);
        concerned.add(other, 4, || panic!("it was asked already"));
        assert_eq!(runs(&concerned, 0), []);
    }

    #[test]
    fn one_who_has_left_keeps_its_successor_from_what_is_its_own() {
        let mut concerned = Concerned::default();
        let (gone, successor) = (token(3, 1), token(3, 2));
        concerned.add(gone, 0, || false);
        concerned.add(successor, 1, || true);
        concerned.add(gone, 2, || panic!("it is known to have left"));
        concerned.add(successor, 2, || panic!("it was asked already"));
        assert_eq!(runs(&concerned, 0), [(1, 3)]);
    }
}
