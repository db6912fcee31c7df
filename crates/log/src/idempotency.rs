//! The table of idempotency keys: what makes a publisher's retry safe.
//!
//! What must hold: a key belongs to whoever sent it, and says what it was sent with; it is answered
//! for its whole window, however full the table; a new key that finds no room is refused instead of
//! an old one being dropped; no owner's keys fill the table for the others.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::vec_deque::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use fanfare_event::{Position, Timestamp};
use fanfare_shares::{Amount, NoRoom, Shares};
use siphasher::sip128::SipHasher24;

use crate::{AppendError, Fingerprint, IdempotencyKey, IdempotencyState, Remembered};

/// There is no room for a key: its owner, or all owners together, have too many within their window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many idempotency keys are within their window")]
pub struct TableFull {
    /// How many keys are remembered at most.
    pub limit: usize,
    /// Whether it is the owner who has too many.
    pub own: bool,
}

/// A key that is known was sent with another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used before, for another content")]
pub struct OtherContent;

impl From<OtherContent> for AppendError {
    fn from(_: OtherContent) -> Self {
        Self::KeyReused
    }
}

impl From<TableFull> for AppendError {
    fn from(TableFull { limit, own }: TableFull) -> Self {
        Self::TooManyKeys { limit, own }
    }
}

/// What the keys of the recent past were answered. Does no I/O and reads no clock. While it is used, it should be
/// told the time by a [`MonotonicClock`](crate::MonotonicClock): by one that steps ahead, keys are forgotten early.
#[derive(Debug)]
pub struct IdempotencyTable {
    secret: [u8; 16],
    window: Duration,
    capacity: usize,
    answers: HashMap<Fingerprint, Answer>,
    shares: Shares<Fingerprint>,
    /// The keys of `answers`, in the order in which their windows end.
    order: VecDeque<(Timestamp, Fingerprint)>,
    latest: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    first: Position,
    count: usize,
    owner: Fingerprint,
    content: Option<Fingerprint>,
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
            // Every key weighs the same, so counting them bounds the bytes too.
            shares: Shares::new(Amount { count: capacity, bytes: usize::MAX }),
            order: VecDeque::new(),
            latest: Timestamp(0),
        }
    }

    /// A table that goes on where another was when it was written down.
    pub fn resumed(state: IdempotencyState, window: Duration, capacity: usize) -> Self {
        let mut table = Self::with_secret(state.secret, window, capacity);
        state.remembered.into_iter().for_each(|it| table.restore(it));
        table.expire(state.latest);
        table
    }

    /// All that it knows now: whoever goes on with it is to count from this time on.
    pub fn state(&self, now: Timestamp) -> IdempotencyState {
        let remembered = self.remembered().collect();
        IdempotencyState { secret: self.secret, latest: self.latest.max(now), remembered }
    }

    /// What must be kept along with [`IdempotencyTable::remembered`], and kept secret.
    pub fn secret(&self) -> [u8; 16] {
        self.secret
    }

    /// What the key was first answered, if that is still within its window: the position of the
    /// first event and how many there were.
    ///
    /// Fails where it was sent with another content then.
    pub fn get(
        &mut self,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<(Position, usize)>, OtherContent> {
        self.expire(now);
        let Some(answer) = self.answers.get(&self.fingerprint(key.identity())) else {
            return Ok(None);
        };
        match (answer.content, self.content(key)) {
            (Some(then), Some(now)) if then != now => Err(OtherContent),
            _ => Ok(Some((answer.first, answer.count))),
        }
    }

    /// Whether a key is remembered for the batch that begins here, by the latest time that the table was told.
    pub fn remembers(&self, key: &IdempotencyKey, first: Position) -> bool {
        let answer = self.answers.get(&self.fingerprint(key.identity()));
        answer.is_some_and(|answer| answer.first == first)
    }

    /// Remembers what a key was answered. A key that is remembered already keeps its first answer.
    ///
    /// Fails, and remembers nothing, where its owner's share of the table is used up.
    pub fn insert(
        &mut self,
        key: &IdempotencyKey,
        first: Position,
        count: usize,
        now: Timestamp,
    ) -> Result<(), TableFull> {
        self.expire(now);
        let fingerprint = self.fingerprint(key.identity());
        if self.answers.contains_key(&fingerprint) {
            return Ok(());
        }
        let (owner, content) = (self.fingerprint(key.owner()), self.content(key));
        self.shares
            .take(owner, 0)
            .map_err(|no_room| TableFull { limit: self.capacity, own: no_room == NoRoom::Share })?;
        self.answers.insert(fingerprint, Answer { first, count, owner, content });
        self.order.push_back((self.latest, fingerprint));
        Ok(())
    }

    /// Remembers a key that was remembered before a restart, even beyond share and capacity: it was
    /// promised. To be called oldest first.
    pub fn insert_again(
        &mut self,
        key: &IdempotencyKey,
        first: Position,
        count: usize,
        at: Timestamp,
    ) {
        let fingerprint = self.fingerprint(key.identity());
        let (owner, content) = (self.fingerprint(key.owner()), self.content(key));
        self.restore(Remembered { fingerprint, first, count, at, owner, content });
    }

    /// Takes a key back whose batch was not accepted after all. Cheap for a recent one.
    pub fn revoke(&mut self, key: &IdempotencyKey) {
        let fingerprint = self.fingerprint(key.identity());
        if self.forget(fingerprint)
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
            self.forget(fingerprint);
        }
    }

    fn forget(&mut self, fingerprint: Fingerprint) -> bool {
        let forgotten = self.answers.remove(&fingerprint);
        forgotten.inspect(|answer| self.shares.give_back(answer.owner, 0)).is_some()
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
            let &Answer { first, count, owner, content } = self.answers.get(&fingerprint)?;
            Some(Remembered { fingerprint, first, count, at, owner, content })
        })
    }

    /// Takes in what was written down, oldest first, even beyond the capacity: it was promised.
    pub fn restore(&mut self, remembered: Remembered) {
        let Remembered { fingerprint, first, count, at, owner, content } = remembered;
        if let Entry::Vacant(vacant) = self.answers.entry(fingerprint) {
            vacant.insert(Answer { first, count, owner, content });
            self.shares.take_beyond_capacity(owner, 0);
            self.latest = self.latest.max(at);
            self.order.push_back((self.latest, fingerprint));
        }
    }

    fn content(&self, key: &IdempotencyKey) -> Option<Fingerprint> {
        let content = key.content();
        (!content.is_empty()).then(|| self.fingerprint(content))
    }

    fn fingerprint(&self, text: &str) -> Fingerprint {
        let hash = SipHasher24::new_with_key(&self.secret).hash(text.as_bytes());
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

    fn owned(owner: u8, name: u8, content: u8) -> IdempotencyKey {
        let [owner, name, content] = [owner, name, content].map(|byte| [byte; 16]);
        IdempotencyKey::of(owner, name, content)
    }

    fn table(window_ms: u64, capacity: usize) -> IdempotencyTable {
        IdempotencyTable::new(Duration::from_millis(window_ms), capacity)
    }

    const FIRST: Position = Position::new(7, 1);

    #[test]
    fn a_full_table_refuses_the_new_and_keeps_the_old() {
        let mut table = table(100, 2);
        let [a, b, c] = [1, 2, 3].map(|owner| owned(owner, 0, 0));
        let full = TableFull { limit: 2, own: false };
        assert_eq!(table.insert(&a, FIRST, 3, Timestamp(0)), Ok(()));
        assert_eq!(table.insert(&b, FIRST, 1, Timestamp(50)), Ok(()));
        assert_eq!(table.insert(&c, FIRST, 1, Timestamp(99)), Err(full));
        assert_eq!(table.get(&c, Timestamp(99)), Ok(None));
        assert_eq!(table.get(&a, Timestamp(99)), Ok(Some((FIRST, 3))));
        assert_eq!(table.insert(&c, FIRST, 1, Timestamp(100)), Ok(()), "a's window ended");
        assert_eq!(table.get(&a, Timestamp(100)), Ok(None));
    }

    #[test]
    fn one_owners_keys_leave_room_for_others() {
        let mut table = table(100, 100);
        let mut fill = |owner: u8, now: u64| {
            let next =
                |name: &u8| table.insert(&owned(owner, *name, 0), FIRST, 1, Timestamp(now)).is_ok();
            (0..=255).take_while(next).count()
        };
        assert_eq!([fill(1, 0), fill(2, 1), fill(3, 2)], [50, 25, 13]);
        assert_eq!(fill(1, 3), 50, "those it has are known");
        let refused = table.insert(&owned(1, 99, 0), FIRST, 1, Timestamp(4));
        assert_eq!(refused, Err(TableFull { limit: 100, own: true }));
        table.revoke(&owned(3, 0, 0));
        assert_eq!(table.insert(&owned(4, 0, 0), FIRST, 1, Timestamp(100)), Ok(()));
        assert_eq!(table.shares.taken().count, table.len(), "what is forgotten is given back");
    }

    #[test]
    fn a_key_is_answered_to_its_owner_and_content() {
        let mut table = table(100, 9);
        table.insert(&owned(1, 7, 1), FIRST, 1, Timestamp(0)).unwrap();
        assert_eq!(table.get(&owned(1, 7, 1), Timestamp(1)), Ok(Some((FIRST, 1))));
        assert_eq!(table.get(&owned(2, 7, 1), Timestamp(1)), Ok(None));
        assert_eq!(table.get(&owned(1, 7, 2), Timestamp(1)), Err(OtherContent));
        let kept = IdempotencyKey::parse(owned(1, 7, 2).as_str()).unwrap();
        assert_eq!(table.get(&kept, Timestamp(1)), Err(OtherContent), "as a log has kept it");
    }

    #[test]
    fn a_second_insert_does_not_replace_the_first_answer() {
        let mut table = table(100, 1);
        table.insert(&key("a"), FIRST, 1, Timestamp(0)).unwrap();
        table.insert(&key("a"), Position::new(7, 9), 9, Timestamp(10)).unwrap();
        assert_eq!(table.get(&key("a"), Timestamp(20)), Ok(Some((FIRST, 1))));
        assert_eq!(table.remembered().count(), 1);
    }

    #[test]
    fn a_key_taken_back_can_be_used_again_for_its_whole_window() {
        let mut table = table(100, 9);
        for name in ["a", "b", "c"] {
            table.insert(&key(name), FIRST, 1, Timestamp(0)).unwrap();
        }
        table.revoke(&key("b"));
        assert_eq!(table.get(&key("b"), Timestamp(1)), Ok(None));
        table.insert(&key("b"), FIRST, 2, Timestamp(60)).unwrap();
        assert_eq!(table.get(&key("a"), Timestamp(120)), Ok(None));
        assert_eq!(table.get(&key("b"), Timestamp(120)), Ok(Some((FIRST, 2))));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_clock_that_goes_back_neither_shortens_a_window_nor_fills_the_table_for_good() {
        let hour = 3_600_000;
        let mut table = table(1_000, 3);
        table.insert(&key("early"), FIRST, 1, Timestamp(hour)).unwrap();
        table.insert(&key("future"), FIRST, 1, Timestamp(hour + 900)).unwrap();
        table.insert(&key("late"), FIRST, 1, Timestamp(500)).unwrap_err();
        assert!(table.get(&key("future"), Timestamp(1_499)).unwrap().is_some());
        assert_eq!(table.get(&key("future"), Timestamp(1_500)), Ok(None));
        assert!(table.is_empty());
    }

    #[test]
    fn a_clock_that_stutters_keeps_the_order_of_expiry() {
        let mut table = table(100, 9);
        table.insert(&key("a"), FIRST, 1, Timestamp(50)).unwrap();
        table.insert(&key("b"), FIRST, 1, Timestamp(10)).unwrap();
        assert!(table.get(&key("b"), Timestamp(149)).unwrap().is_some());
        assert_eq!(table.get(&key("b"), Timestamp(150)), Ok(None));
        assert_eq!(table.order.len(), 0);
    }

    #[test]
    fn restored_keys_are_answered_as_before_until_their_window_ends() {
        let mut before = table(100, 3);
        before.insert(&key("a"), FIRST, 1, Timestamp(0)).unwrap();
        before.insert(&key("b"), FIRST, 2, Timestamp(40)).unwrap();
        let mut after =
            IdempotencyTable::with_secret(before.secret(), Duration::from_millis(100), 1);
        before.remembered().for_each(|key| after.restore(key));
        assert_eq!(after.get(&key("a"), Timestamp(50)), Ok(Some((FIRST, 1))));
        assert_eq!(after.get(&key("b"), Timestamp(139)), Ok(Some((FIRST, 2))));
        let full = TableFull { limit: 1, own: false };
        assert_eq!(after.insert(&key("c"), FIRST, 1, Timestamp(139)), Err(full));
        assert_eq!(after.insert(&key("c"), FIRST, 1, Timestamp(140)), Ok(()));
    }
}
