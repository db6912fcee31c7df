//! Idempotency: what makes a publisher's retry safe.
//!
//! What must hold: a key is answered for its whole window, however full the table; a new key that
//! finds no room is refused instead of an old one being dropped.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::vec_deque::VecDeque;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use fanfare_event::{Position, Timestamp};
use siphasher::sip128::SipHasher24;

use crate::AppendError;

/// A publisher's key: 1 to 255 visible ASCII characters, spaces inside allowed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// A text that is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to {} visible ASCII characters", IdempotencyKey::MAX_BYTES)]
pub struct InvalidKey;

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a text and makes it a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a table keeps of a key: 128 bits of SipHash-2-4 under a secret, not the text.
///
/// That makes every key cost the same, about 100 bytes, instead of up to 255 more. Two of a
/// million keys share a fingerprint with a probability near 2⁻⁸⁹, and whoever does not know the
/// secret cannot search for such a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u64; 2]);

/// A key's first answer, as a log may write it down and restore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Which key; means something only together with the table's secret.
    pub fingerprint: Fingerprint,
    /// The position of the batch's first event.
    pub first: Position,
    /// How many events the batch had.
    pub count: usize,
    /// When the batch was accepted: the window begins here.
    pub at: Timestamp,
}

/// The table is full of keys that are still within their window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {limit} idempotency keys that can be remembered are within their window")]
pub struct TableFull {
    /// How many keys are remembered at most.
    pub limit: usize,
}

impl From<TableFull> for AppendError {
    fn from(TableFull { limit }: TableFull) -> Self {
        Self::TooManyKeys { limit }
    }
}

/// What the keys of the recent past were answered. Does no I/O and reads no clock.
#[derive(Debug)]
pub struct IdempotencyTable {
    secret: [u8; 16],
    window: Duration,
    capacity: usize,
    answers: HashMap<Fingerprint, (Position, usize)>,
    /// The keys of `answers`, in the order in which their windows end.
    order: VecDeque<(Timestamp, Fingerprint)>,
    latest: Timestamp,
}

impl IdempotencyTable {
    /// A clock that goes back by less is taken to stand still; one that goes back further is
    /// believed, and every window that began in its future begins anew.
    const CLOCK_STEP: Duration = Duration::from_secs(60);

    /// An empty table under a random secret.
    pub fn new(window: Duration, capacity: usize) -> Self {
        let random = [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&random[0].to_ne_bytes());
        secret[8..].copy_from_slice(&random[1].to_ne_bytes());
        Self::with_secret(secret, window, capacity)
    }

    /// An empty table under the secret with which fingerprints to be restored were made.
    pub fn with_secret(secret: [u8; 16], window: Duration, capacity: usize) -> Self {
        Self {
            secret,
            window,
            capacity,
            answers: HashMap::new(),
            order: VecDeque::new(),
            latest: Timestamp(0),
        }
    }

    /// What must be kept along with [`IdempotencyTable::remembered`], and kept secret.
    pub fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// What the key was first answered, if that is still within its window: the position of the
    /// first event and how many there were.
    pub fn get(&mut self, key: &IdempotencyKey, now: Timestamp) -> Option<(Position, usize)> {
        self.expire(now);
        self.answers.get(&self.fingerprint(key)).copied()
    }

    /// Remembers what a key was answered. A key that is remembered already keeps its first answer.
    ///
    /// Fails, and remembers nothing, when the table is full of keys within their window.
    pub fn insert(
        &mut self,
        key: &IdempotencyKey,
        first: Position,
        count: usize,
        now: Timestamp,
    ) -> Result<(), TableFull> {
        self.expire(now);
        let fingerprint = self.fingerprint(key);
        let full = self.answers.len() >= self.capacity;
        match self.answers.entry(fingerprint) {
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(_) if full => Err(TableFull { limit: self.capacity }),
            Entry::Vacant(vacant) => {
                vacant.insert((first, count));
                self.order.push_back((self.latest, fingerprint));
                Ok(())
            }
        }
    }

    /// Takes a key back whose batch was not accepted after all. Cheap for a recent one.
    pub fn take_back(&mut self, key: &IdempotencyKey) {
        let fingerprint = self.fingerprint(key);
        if self.answers.remove(&fingerprint).is_some()
            && let Some(at) = self.order.iter().rposition(|(_, known)| *known == fingerprint)
        {
            self.order.remove(at);
        }
    }

    /// Lets go of the keys whose window has ended. Amortised, one step per key inserted.
    pub fn expire(&mut self, now: Timestamp) {
        self.observe(now);
        while let Some(&(at, fingerprint)) = self.order.front()
            && self.since(at) >= self.window
        {
            self.order.pop_front();
            self.answers.remove(&fingerprint);
        }
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Everything that is remembered, oldest first.
    pub fn remembered(&self) -> impl Iterator<Item = Remembered> + '_ {
        self.order.iter().filter_map(|&(at, fingerprint)| {
            let &(first, count) = self.answers.get(&fingerprint)?;
            Some(Remembered { fingerprint, first, count, at })
        })
    }

    /// Takes in what was written down, oldest first, even beyond the capacity: it was promised.
    pub fn restore(&mut self, remembered: Remembered) {
        let Remembered { fingerprint, first, count, at } = remembered;
        if let Entry::Vacant(vacant) = self.answers.entry(fingerprint) {
            vacant.insert((first, count));
            self.latest = self.latest.max(at);
            self.order.push_back((self.latest, fingerprint));
        }
    }

    fn fingerprint(&self, key: &IdempotencyKey) -> Fingerprint {
        let hash = SipHasher24::new_with_key(&self.secret).hash(key.as_str().as_bytes());
        Fingerprint([hash.h1, hash.h2])
    }

    /// Keeps `order` sorted whatever the clock does, so that expiry only looks at its front.
    fn observe(&mut self, now: Timestamp) {
        if now < self.latest && self.since(now) >= Self::CLOCK_STEP {
            for (at, _) in &mut self.order {
                *at = (*at).min(now);
            }
            self.latest = now;
        }
        self.latest = self.latest.max(now);
    }

    /// How long ago `at` was at the latest time observed.
    fn since(&self, at: Timestamp) -> Duration {
        Duration::from_millis(self.latest.as_millis().saturating_sub(at.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    fn table(window_ms: u64, capacity: usize) -> IdempotencyTable {
        IdempotencyTable::new(Duration::from_millis(window_ms), capacity)
    }

    const FIRST: Position = Position::new(7, 1);

    #[test]
    fn a_full_table_refuses_the_new_and_keeps_the_old() {
        let mut table = table(100, 2);
        assert_eq!(table.insert(&key("a"), FIRST, 3, Timestamp(0)), Ok(()));
        assert_eq!(table.insert(&key("b"), FIRST, 1, Timestamp(50)), Ok(()));
        assert_eq!(table.insert(&key("c"), FIRST, 1, Timestamp(99)), Err(TableFull { limit: 2 }));
        assert_eq!(table.get(&key("c"), Timestamp(99)), None);
        assert_eq!(table.get(&key("a"), Timestamp(99)), Some((FIRST, 3)));
        assert_eq!(table.insert(&key("c"), FIRST, 1, Timestamp(100)), Ok(()), "a's window ended");
        assert_eq!(table.get(&key("a"), Timestamp(100)), None);
    }

    #[test]
    fn a_second_insert_does_not_replace_the_first_answer() {
        let mut table = table(100, 1);
        table.insert(&key("a"), FIRST, 1, Timestamp(0)).unwrap();
        table.insert(&key("a"), Position::new(7, 9), 9, Timestamp(10)).unwrap();
        assert_eq!(table.get(&key("a"), Timestamp(20)), Some((FIRST, 1)));
        assert_eq!(table.remembered().count(), 1);
    }

    #[test]
    fn a_key_taken_back_can_be_used_again_for_its_whole_window() {
        let mut table = table(100, 3);
        for name in ["a", "b", "c"] {
            table.insert(&key(name), FIRST, 1, Timestamp(0)).unwrap();
        }
        table.take_back(&key("b"));
        assert_eq!(table.get(&key("b"), Timestamp(1)), None);
        table.insert(&key("b"), FIRST, 2, Timestamp(60)).unwrap();
        assert_eq!(table.get(&key("a"), Timestamp(120)), None);
        assert_eq!(table.get(&key("b"), Timestamp(120)), Some((FIRST, 2)));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_clock_that_goes_back_neither_shortens_a_window_nor_fills_the_table_for_good() {
        let hour = 3_600_000;
        let mut table = table(1_000, 2);
        table.insert(&key("early"), FIRST, 1, Timestamp(hour)).unwrap();
        table.insert(&key("future"), FIRST, 1, Timestamp(hour + 900)).unwrap();
        table.insert(&key("late"), FIRST, 1, Timestamp(500)).unwrap_err();
        assert!(table.get(&key("future"), Timestamp(1_499)).is_some());
        assert_eq!(table.get(&key("future"), Timestamp(1_500)), None);
        assert!(table.is_empty());
    }

    #[test]
    fn a_clock_that_stutters_keeps_the_order_of_expiry() {
        let mut table = table(100, 9);
        table.insert(&key("a"), FIRST, 1, Timestamp(50)).unwrap();
        table.insert(&key("b"), FIRST, 1, Timestamp(10)).unwrap();
        assert!(table.get(&key("b"), Timestamp(149)).is_some());
        assert_eq!(table.get(&key("b"), Timestamp(150)), None);
        assert_eq!(table.order.len(), 0);
    }

    #[test]
    fn restored_keys_are_answered_as_before_until_their_window_ends() {
        let mut before = table(100, 2);
        before.insert(&key("a"), FIRST, 1, Timestamp(0)).unwrap();
        before.insert(&key("b"), FIRST, 2, Timestamp(40)).unwrap();
        let mut after =
            IdempotencyTable::with_secret(before.secret(), Duration::from_millis(100), 1);
        before.remembered().for_each(|key| after.restore(key));
        assert_eq!(after.get(&key("a"), Timestamp(50)), Some((FIRST, 1)));
        assert_eq!(after.get(&key("b"), Timestamp(139)), Some((FIRST, 2)));
        assert_eq!(after.insert(&key("c"), FIRST, 1, Timestamp(139)), Err(TableFull { limit: 1 }));
        assert_eq!(after.insert(&key("c"), FIRST, 1, Timestamp(140)), Ok(()));
    }
}
