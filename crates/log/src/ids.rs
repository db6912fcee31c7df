//! Where the events stand to which their publishers gave an id.
//!
//! What must hold: an id means the first event that had it. Whoever comes back with it may have received any that had
//! it, and behind the first, nothing of theirs is missing. Once the first is no longer retained, the id means none,
//! whoever else has it: behind a later one, what lies between the two would be passed over. Events are entered in
//! their order, and leave in the same.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use fanfare_event::{EventId, Position};

/// The ids of what is retained.
#[derive(Debug, Default)]
pub struct IdTable {
    borne: HashMap<EventId, Bearers>,
    gone: GoneIds,
}

/// The retained events that have an id.
#[derive(Debug)]
struct Bearers {
    /// The first that ever had it, while that is retained.
    first: Option<Position>,
    /// How many there are: hardly ever more than one.
    count: u32,
}

/// The ids that no retained event has any more, as far as they are remembered: by a digest that is this process's own.
#[derive(Debug, Default)]
struct GoneIds {
    digest: RandomState,
    recent: HashSet<u64>,
    earlier: HashSet<u64>,
}

impl IdTable {
    /// How many ids are remembered, at least, that no event has any more: an event that is given one of them again
    /// is not taken for the first. Twice as many take some two megabytes.
    pub const REMEMBERED: usize = 1 << 16;

    /// The event at `position`, which comes after all that were entered, has this id.
    pub fn enter(&mut self, id: &EventId, position: Position) {
        if let Some(bearers) = self.borne.get_mut(id) {
            bearers.count = bearers.count.saturating_add(1);
            return;
        }
        let first = (!self.gone.remembers(id)).then_some(position);
        self.borne.insert(id.clone(), Bearers { first, count: 1 });
    }

    /// The event at `position`, which had this id, is no longer retained.
    pub fn leave(&mut self, id: &EventId, position: Position) {
        let Some(bearers) = self.borne.get_mut(id) else { return };
        bearers.first.take_if(|first| *first == position);
        bearers.count -= 1;
        if bearers.count > 0 {
            return;
        }
        self.borne.remove(id);
        if self.borne.capacity() > 64 + 8 * self.borne.len() {
            self.borne.shrink_to(2 * self.borne.len());
        }
        self.gone.note(id);
    }

    /// What was entered is not all that there ever was: of an id that several events have, an earlier one may have
    /// been the first.
    pub fn doubt_repeated(&mut self) {
        let repeated = self.borne.values_mut().filter(|bearers| bearers.count > 1);
        repeated.for_each(|bearers| bearers.first = None);
    }

    /// Where the first event of this id stands, if it is retained.
    pub fn first(&self, id: &EventId) -> Option<Position> {
        self.borne.get(id)?.first
    }
}

impl GoneIds {
    fn note(&mut self, id: &EventId) {
        if self.recent.len() == IdTable::REMEMBERED {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(self.digest.hash_one(id));
    }

    /// Whether it was one of them. Of two ids the digest may be the same, once in a very long time: a false alarm.
    fn remembers(&self, id: &EventId) -> bool {
        let digest = self.digest.hash_one(id);
        self.recent.contains(&digest) || self.earlier.contains(&digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn id(text: &str) -> EventId {
        EventId::parse(text).unwrap()
    }

    #[test]
    fn an_id_means_the_first_of_its_bearers_and_then_none() {
        let [a, b] = ["a", "b"].map(id);
        let mut ids = IdTable::default();
        for (id, seq) in [(&a, 1), (&b, 2), (&a, 3), (&a, 7)] {
            ids.enter(id, at(seq));
        }
        assert_eq!(ids.first(&a), Some(at(1)));
        for seq in [1, 3, 7] {
            ids.leave(&a, at(seq));
            assert_eq!(ids.first(&a), None, "after {seq}");
        }
        assert_eq!(ids.first(&b), Some(at(2)));
    }

    #[test]
    fn an_id_that_had_gone_means_nothing_new() {
        let a = id("a");
        let mut ids = IdTable::default();
        for seq in [1, 5, 9] {
            ids.enter(&a, at(seq));
            assert_eq!(ids.first(&a), (seq == 1).then_some(at(1)), "{seq}");
            ids.leave(&a, at(seq));
        }
    }

    #[test]
    fn what_has_gone_is_remembered_within_bounds() {
        let numbered = |n: usize| id(&format!("urn:{n}"));
        let mut ids = IdTable::default();
        for n in 0..3 * IdTable::REMEMBERED {
            ids.enter(&numbered(n), at(n as u64));
            ids.leave(&numbered(n), at(n as u64));
        }
        let GoneIds { recent, earlier, .. } = &ids.gone;
        assert!(recent.len() + earlier.len() <= 2 * IdTable::REMEMBERED);
        let latest = numbered(2 * IdTable::REMEMBERED);
        ids.enter(&latest, at(u64::MAX));
        assert_eq!(ids.first(&latest), None);
        assert!(ids.borne.capacity() < 64 + 16, "what was borne takes no room");
    }

    #[test]
    fn of_what_was_found_a_repeated_id_may_not_mean_the_first() {
        let [a, b] = ["a", "b"].map(id);
        let mut ids = IdTable::default();
        for (id, seq) in [(&a, 5), (&b, 6), (&a, 7)] {
            ids.enter(id, at(seq));
        }
        ids.doubt_repeated();
        assert_eq!((ids.first(&a), ids.first(&b)), (None, Some(at(6))));
    }
}
