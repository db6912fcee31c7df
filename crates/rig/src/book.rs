//! Which id belongs to which event, as everyone saw it: an event has one id, and an id one event.
//!
//! Every acknowledgement and every delivery is entered, so entering takes no lock but for the first
//! of some thousand neighbours.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::id::ReceivedId;
use crate::message::EventName;

const CHUNK: u64 = 4096;

/// Everything that was entered.
#[derive(Debug, Default)]
pub struct Book {
    events_by_id: HashTable,
    ids_by_event: HashTable,
}

/// What one reader of the book has open.
#[derive(Debug, Default)]
pub struct BookPage {
    event: OpenPage,
    id: OpenPage,
}

/// What contradicts the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The id was another event's.
    TwoEventsOneId,
    /// The event had another id.
    OneEventTwoIds,
}

impl Book {
    /// Enters what somebody saw.
    pub fn enter(
        &self,
        page: &mut BookPage,
        id: ReceivedId,
        name: EventName,
    ) -> Result<(), Contradiction> {
        let event = (u64::from(name.publisher), u64::from(name.n));
        if !self.events_by_id.enter(&mut page.event, (id.epoch, id.seq), event) {
            return Err(Contradiction::TwoEventsOneId);
        }
        if !self.ids_by_event.enter(&mut page.id, event, (id.epoch, id.seq)) {
            return Err(Contradiction::OneEventTwoIds);
        }
        Ok(())
    }
}

type HashChunk = Arc<[AtomicU64]>;
type OpenPage = Option<((u64, u64), HashChunk)>;

/// From a pair of numbers, of which the second is dense, to the hash of another pair.
#[derive(Debug, Default)]
struct HashTable(RwLock<HashMap<(u64, u64), HashChunk>>);

impl HashTable {
    fn enter(&self, open: &mut OpenPage, key: (u64, u64), value: (u64, u64)) -> bool {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let hash = hasher.finish() | 1;
        let place = (key.0, key.1 / CHUNK);
        if open.as_ref().is_none_or(|(at, _)| *at != place) {
            *open = Some((place, self.chunk(place)));
        }
        let Some((_, chunk)) = open else { unreachable!("it was opened") };
        let cell = &chunk[(key.1 % CHUNK) as usize];
        match cell.compare_exchange(0, hash, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(there) => there == hash,
        }
    }

    fn chunk(&self, place: (u64, u64)) -> HashChunk {
        let found =
            self.0.read().unwrap_or_else(PoisonError::into_inner).get(&place).map(Arc::clone);
        found.unwrap_or_else(|| {
            let mut chunks = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let empty = || (0..CHUNK).map(|_| AtomicU64::new(0)).collect();
            Arc::clone(chunks.entry(place).or_insert_with(empty))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_given_twice_and_an_event_with_two_ids_are_seen() {
        let (book, mut page) = (Book::default(), BookPage::default());
        let [a, b] = [1, 2].map(|n| EventName { publisher: 0, n });
        let [one, two] = [1, 2].map(|seq| ReceivedId { epoch: 9, seq });
        assert_eq!(book.enter(&mut page, one, a), Ok(()));
        assert_eq!(book.enter(&mut page, one, a), Ok(()));
        assert_eq!(book.enter(&mut page, one, b), Err(Contradiction::TwoEventsOneId));
        assert_eq!(book.enter(&mut page, two, a), Err(Contradiction::OneEventTwoIds));
    }
}
