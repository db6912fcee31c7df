//! Where the events stand to which their publishers gave an id.
//!
//! What must hold: an id means the earliest event of those that are retained and have it. Events are entered in their
//! order, and leave it in the same.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use fanfare_event::{EventId, Position};

/// The ids of what is retained.
#[derive(Debug, Default)]
pub struct IdTable(HashMap<EventId, Bearers>);

/// Who bears an id: hardly ever more than one.
#[derive(Debug)]
struct Bearers {
    earliest: Position,
    #[expect(clippy::box_collection, reason = "most have none: eight bytes instead of thirty-two")]
    later: Option<Box<VecDeque<Position>>>,
}

impl IdTable {
    /// The event at `position`, which comes after all that were entered, has this id.
    pub fn enter(&mut self, id: &EventId, position: Position) {
        match self.0.entry(id.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Bearers { earliest: position, later: None });
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().later.get_or_insert_default().push_back(position);
            }
        }
    }

    /// The event at `position`, which had this id, is no longer retained.
    pub fn leave(&mut self, id: &EventId, position: Position) {
        let Some(bearers) = self.0.get_mut(id) else { return };
        if bearers.earliest != position {
            return;
        }
        match bearers.later.as_mut().and_then(|later| later.pop_front()) {
            Some(next) => {
                bearers.earliest = next;
                bearers.later.take_if(|later| later.is_empty());
            }
            None => {
                self.0.remove(id);
                if self.0.capacity() > 64 + 8 * self.0.len() {
                    self.0.shrink_to(2 * self.0.len());
                }
            }
        }
    }

    /// Where the earliest event of this id stands.
    pub fn earliest(&self, id: &EventId) -> Option<Position> {
        self.0.get(id).map(|bearers| bearers.earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_means_the_earliest_of_its_bearers_that_is_left() {
        let at = |seq| Position::new(1, seq);
        let [a, b] = ["a", "b"].map(|id| EventId::parse(id).unwrap());
        let mut ids = IdTable::default();
        for (id, seq) in [(&a, 1), (&b, 2), (&a, 3), (&a, 7)] {
            ids.enter(id, at(seq));
        }
        for (left, expected) in [(1, Some(at(3))), (3, Some(at(7))), (7, None)] {
            ids.leave(&a, at(left));
            assert_eq!(ids.earliest(&a), expected, "after {left}");
        }
        assert_eq!(ids.earliest(&b), Some(at(2)));
    }
}
