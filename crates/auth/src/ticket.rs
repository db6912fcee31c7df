//! Tickets: what a page presents where it can send no header. Good once, for a moment.
//!
//! A ticket is a random name under which its holder's rights are kept; nothing can be read from
//! it, and the store holds only its digest. The store is a seam: one that several nodes share
//! makes a ticket good once on any of them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_event::Timestamp;

use crate::Pending;
use crate::access_keys::KeyDigest;
use crate::principal::Principal;

/// What is handed out: 256 random bits, written for a URL.
#[derive(Clone)]
pub struct Ticket(String);

/// Under what a ticket is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId(KeyDigest);

/// Where tickets are kept until they are used.
pub trait TicketStore: fmt::Debug + Send + Sync {
    /// Keeps what the holder of a ticket may do, until `expires`.
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>>;

    /// Takes it out. Of several who ask for the same, on whatever node, one gets it.
    fn take(
        &self,
        id: TicketId,
        now: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>>;
}

/// Why a ticket can be neither kept nor found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There are too many.
    #[error("too many tickets are waiting to be used")]
    Full,
    /// The store cannot be reached.
    #[error("tickets are not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Ticket {
    /// How long a ticket is good for, in seconds.
    pub const SECONDS: u64 = 30;

    /// A new one, which nobody can guess. Fails if the system has no randomness.
    pub fn draw() -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text to hand out.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TicketId {
    /// The name of the ticket with this text.
    pub fn of(text: &str) -> Self {
        Self(KeyDigest::of(text))
    }

    /// The name as text: letters, digits, `-` and `_`.
    pub fn to_text(self) -> String {
        self.0.to_text()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(hidden)")
    }
}

/// Tickets of this process alone.
#[derive(Debug)]
pub struct MemoryTickets {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<TicketId, (Principal, Timestamp)>,
    /// In the order in which they were put, which is that of their expiry. Those that have been
    /// taken are still among them.
    order: VecDeque<(Timestamp, TicketId)>,
}

impl MemoryTickets {
    /// Room for `capacity` tickets.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }

    fn put_now(
        &self,
        id: TicketId,
        holder: Principal,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, id)) = kept.order.front().copied()
            && at <= now
        {
            kept.order.pop_front();
            kept.by_id.remove(&id);
        }
        if kept.order.len() >= self.capacity {
            return Err(StoreError::Full);
        }
        kept.order.push_back((expires, id));
        kept.by_id.insert(id, (holder, expires));
        Ok(())
    }

    fn take_now(&self, id: TicketId, now: Timestamp) -> Option<Principal> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (holder, expires) = kept.by_id.remove(&id)?;
        (expires > now).then_some(holder)
    }
}

impl TicketStore for MemoryTickets {
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.put_now(id, holder, expires, Timestamp::now()) })
    }

    fn take(
        &self,
        id: TicketId,
        now: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>> {
        Box::pin(async move { Ok(self.take_now(id, now)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{PublishGrant, SubscribeGrant};

    fn anyone() -> Principal {
        Principal::anonymous(PublishGrant::default(), SubscribeGrant::EVERYTHING)
    }

    #[test]
    fn a_ticket_is_good_twice_or_too_late() {
        let tickets = MemoryTickets::new(8);
        let [first, second] = ["first", "second"].map(TicketId::of);
        let at = |seconds: u64| Timestamp(seconds * 1000);
        tickets.put_now(first, anyone(), at(30), at(0)).unwrap();
        tickets.put_now(second, anyone(), at(30), at(0)).unwrap();
        assert_eq!(tickets.take_now(first, at(29)), Some(anyone()));
        assert_eq!(tickets.take_now(first, at(29)), None);
        assert_eq!(tickets.take_now(second, at(30)), None);
        assert_eq!(tickets.take_now(TicketId::of("third"), at(0)), None);
    }

    #[test]
    fn tickets_that_nobody_uses_fill_the_memory() {
        let tickets = MemoryTickets::new(2);
        let put = |name: &str, now: u64| {
            tickets.put_now(TicketId::of(name), anyone(), Timestamp(now + 30), Timestamp(now))
        };
        put("a", 0).unwrap();
        put("b", 10).unwrap();
        assert!(matches!(put("c", 20), Err(StoreError::Full)));
        put("c", 30).unwrap();
        assert!(matches!(put("d", 30), Err(StoreError::Full)));
        let kept = tickets.kept.lock().unwrap();
        assert_eq!((kept.by_id.len(), kept.order.len()), (2, 2));
    }

    #[test]
    fn two_tickets_are_alike() {
        let [a, b] = [Ticket::draw().unwrap(), Ticket::draw().unwrap()];
        assert_ne!(a.expose(), b.expose());
        assert!(!format!("{a:?}").contains(a.expose()));
    }
}
