//! The check of sequence numbers: what arrived once, twice, late or never.

use std::collections::BTreeMap;

use crate::report::Violations;

/// The most holes it remembers. What fills one beyond that counts as lost and duplicated, where it
/// was reordered: either way the run is not clean.
const MAX_HOLES: usize = 100_000;

/// Sequence numbers over many slots; in each they must arrive as 0, 1, 2 and so on.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The number each slot expects next.
    next: Vec<u32>,
    /// What was skipped: slot and first number, and the number behind the last.
    holes: BTreeMap<(usize, u32), u32>,
    lost: u64,
    duplicated: u64,
    reordered: u64,
}

impl Tally {
    pub(crate) fn new(slots: usize) -> Self {
        Self { next: vec![0; slots], holes: BTreeMap::new(), lost: 0, duplicated: 0, reordered: 0 }
    }

    /// Notes that `sequence` arrived in `slot`. False where it had arrived before.
    pub(crate) fn note(&mut self, slot: usize, sequence: u32) -> bool {
        let next = &mut self.next[slot];
        if sequence == *next {
            *next += 1;
            return true;
        }
        if sequence < *next {
            return self.fill(slot, sequence);
        }
        self.lost += u64::from(sequence - *next);
        if self.holes.len() < MAX_HOLES {
            self.holes.insert((slot, *next), sequence);
        }
        *next = sequence + 1;
        true
    }

    /// A number below the expected one: it fills a hole, or it is a duplicate.
    fn fill(&mut self, slot: usize, sequence: u32) -> bool {
        let hole = self.holes.range(..=(slot, sequence)).next_back().map(|(&at, &end)| (at, end));
        match hole {
            Some(((in_slot, from), end)) if in_slot == slot && sequence < end => {
                self.holes.remove(&(slot, from));
                if from < sequence {
                    self.holes.insert((slot, from), sequence);
                }
                if sequence + 1 < end {
                    self.holes.insert((slot, sequence + 1), end);
                }
                self.lost -= 1;
                self.reordered += 1;
                true
            }
            _ => {
                self.duplicated += 1;
                false
            }
        }
    }

    /// What was skipped so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Ends the run for `slot`, to which `sent` messages were sent: the rest never came.
    pub(crate) fn close(&mut self, slot: usize, sent: u32) {
        self.lost += u64::from(sent.saturating_sub(self.next[slot]));
        self.next[slot] = self.next[slot].max(sent);
    }

    /// Adds what was found wrong.
    pub(crate) fn report(&self, violations: &mut Violations) {
        violations.lost += self.lost;
        violations.duplicated += self.duplicated;
        violations.reordered += self.reordered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(numbers: &[u32], sent: u32) -> (u64, u64, u64) {
        let mut tally = Tally::new(2);
        for &number in numbers {
            tally.note(1, number);
        }
        tally.close(0, 0);
        tally.close(1, sent);
        (tally.lost, tally.duplicated, tally.reordered)
    }

    #[test]
    fn each_violation_is_told_from_the_others() {
        assert_eq!(run(&[0, 1, 2, 3], 4), (0, 0, 0));
        assert_eq!(run(&[0, 2, 3], 4), (1, 0, 0), "one lost in between");
        assert_eq!(run(&[0, 1], 4), (2, 0, 0), "two lost at the end");
        assert_eq!(run(&[2, 3], 4), (2, 0, 0), "two lost at the start");
        assert_eq!(run(&[0, 1, 1, 2, 3], 4), (0, 1, 0), "one twice");
        assert_eq!(run(&[0, 3, 2, 1], 4), (0, 0, 2), "two late");
        assert_eq!(run(&[0, 3, 2, 2, 0], 4), (1, 2, 1), "all of it");
        assert_eq!(run(&[], 4), (4, 0, 0), "nothing came");
    }
}
