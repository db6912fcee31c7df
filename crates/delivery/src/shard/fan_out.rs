//! A fan-out: whom the slots of a batch concern, collected while the batch is walked.
//!
//! What must hold: what it costs is proportional to what is delivered, not to how long the batch
//! is for each of those whom a part of it concerns.

use crate::subscriber_key::SubscriberKey;
use fanfare_hub::{Ring, Slot};

/// The subscribers whom something concerns, each with what. Empty between two batches; its room is
/// kept.
#[derive(Debug, Default)]
pub(super) struct FanOut {
    /// By entry of the table: one more than its place among the marked, 0 where it has none.
    marks: Vec<u32>,
    marked: Vec<Marked>,
    runs: Vec<SlotRun>,
}

#[derive(Debug, Clone, Copy)]
struct Marked {
    key: SubscriberKey,
    /// Its runs; none where it is passed over.
    runs: Option<SlotRuns>,
}

#[derive(Debug, Clone, Copy)]
struct SlotRuns {
    first: u32,
    last: u32,
}

/// Slots one after the other, by their distance from the beginning of the batch.
#[derive(Debug, Clone, Copy)]
struct SlotRun {
    start: u32,
    end: u32,
    next: Option<u32>,
}

impl FanOut {
    /// The slot at this distance concerns `key`. `is_ready` says, once for each, whether it is
    /// given anything of this batch. One that the same slot concerns twice gets it once.
    pub(super) fn add(&mut self, key: SubscriberKey, slot: u32, is_ready: impl FnOnce() -> bool) {
        let entry = key.entry();
        if entry >= self.marks.len() {
            self.marks.resize(entry + 1, 0);
        }
        let run = SlotRun { start: slot, end: slot + 1, next: None };
        let place = self.runs.len() as u32;
        let Some(mark) = self.marks[entry].checked_sub(1) else {
            let runs = is_ready().then_some(SlotRuns { first: place, last: place });
            self.runs.extend(runs.map(|_| run));
            self.marked.push(Marked { key, runs });
            self.marks[entry] = self.marked.len() as u32;
            return;
        };
        let marked = &mut self.marked[mark as usize];
        // An index may still name someone whose entry has a successor.
        if marked.key != key {
            if marked.runs.is_none() && is_ready() {
                self.runs.push(run);
                *marked = Marked { key, runs: Some(SlotRuns { first: place, last: place }) };
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

    /// The one at this place, unless it was passed over, and what concerns it of the batch that
    /// begins at `first`, each with its offset.
    pub(super) fn at<'a>(
        &'a self,
        place: usize,
        ring: &'a Ring,
        first: u64,
    ) -> Option<(SubscriberKey, impl Iterator<Item = (u64, &'a Slot)>)> {
        let Marked { key, runs } = *self.marked.get(place)?;
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
        Some((key, slots))
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) {
        for marked in self.marked.drain(..) {
            self.marks[marked.key.entry()] = 0;
        }
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(fan_out: &FanOut, place: usize) -> Vec<(u32, u32)> {
        let mut next = fan_out.marked[place].runs.map(|runs| runs.first);
        let mut all = Vec::new();
        while let Some(run) = next.map(|place| fan_out.runs[place as usize]) {
            all.push((run.start, run.end));
            next = run.next;
        }
        all
    }

    #[test]
    fn a_slot_is_given_once_to_each_whom_it_concerns() {
        let mut fan_out = FanOut::default();
        let (one, other) = (SubscriberKey::new(0, 1), SubscriberKey::new(5, 1));
        for (key, slot) in [(one, 0), (one, 0), (other, 1), (one, 1), (one, 4), (other, 9)] {
            fan_out.add(key, slot, || true);
        }
        assert_eq!(runs(&fan_out, 0), [(0, 2), (4, 5)]);
        assert_eq!(runs(&fan_out, 1), [(1, 2), (9, 10)]);
        fan_out.clear();
        fan_out.add(other, 3, || false);
        fan_out.add(other, 4, || panic!("it was asked already"));
        assert_eq!(runs(&fan_out, 0), []);
    }

    #[test]
    fn a_successor_gets_its_own_though_the_index_names_one_who_has_left() {
        let mut fan_out = FanOut::default();
        let (gone, successor) = (SubscriberKey::new(3, 1), SubscriberKey::new(3, 2));
        fan_out.add(gone, 0, || false);
        fan_out.add(successor, 1, || true);
        fan_out.add(gone, 2, || panic!("it is known to have left"));
        fan_out.add(successor, 2, || panic!("it was asked already"));
        assert_eq!(runs(&fan_out, 0), [(1, 3)]);
    }
}
