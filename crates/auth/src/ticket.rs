//! Tickets: what a page presents where it can send no header. Good once, for a moment.
//!
//! A ticket is a random name under which its holder's rights are kept; nothing can be read from
//! it, and the store holds only its digest. The store is a seam: one that several nodes share
//! makes a ticket good once on any of them. It is bounded in count and bytes, and each who draws
//! tickets has a share of it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_event::Timestamp;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_shares::{Amount, NoRoom, Shares};

use crate::Pending;
use crate::holder_id::HolderId;
use crate::principal::Principal;
use crate::secret_digest::SecretDigest;

/// What is handed out: 256 random bits, written for a URL.
#[derive(Clone)]
pub struct Ticket(String);

/// Under what a ticket is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId(SecretDigest);

/// Where tickets are kept until they are used.
pub trait TicketStore: fmt::Debug + Send + Sync {
    /// Keeps what the holder of a ticket may do, until `expires`, within the share of whoever drew
    /// it.
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        drawn_by: HolderId,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>>;

    /// Takes it out. Of several who ask for the same, on whatever node, one gets it.
    fn take(
        &self,
        id: TicketId,
        now: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>>;

    /// Writes down what this process alone knows, for the one that goes on with the hub.
    fn write(&self, writer: &mut Writer);

    /// Takes in what another process has written.
    ///
    /// # Errors
    ///
    /// It is not what [`TicketStore::write`] has written.
    fn read(&self, reader: &mut Reader<'_>) -> Result<(), Malformed>;
}

/// Why a ticket can be neither kept nor found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There are too many.
    #[error("too many tickets are waiting to be used or to run out")]
    Full,
    /// Whoever asks has drawn too many.
    #[error("you have drawn too many tickets that are waiting to be used or to run out")]
    Share,
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
    /// The name of the ticket with this text, if a ticket can have it: 256 bits in base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bits).ok()?;
        (length == 32).then(|| Self::of(text))
    }

    /// The name of the ticket with this text.
    pub fn of(text: &str) -> Self {
        Self(SecretDigest::of(text))
    }

    /// The name as text: letters, digits, `-` and `_`.
    pub fn to_text(self) -> String {
        self.0.to_text()
    }

    pub(crate) fn digest(self) -> SecretDigest {
        self.0
    }

    pub(crate) fn of_digest(digest: SecretDigest) -> Self {
        Self(digest)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(hidden)")
    }
}

impl From<NoRoom> for StoreError {
    fn from(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::Share => Self::Share,
            NoRoom::All => Self::Full,
        }
    }
}

/// The tickets that have not run out, used or not, and who has drawn how many: what bounds a store.
///
/// A ticket counts until it runs out, so that whoever draws and uses them by turns is bounded too.
#[derive(Debug)]
pub struct TicketShares {
    pub(crate) shares: Shares<HolderId>,
    /// In the order in which they were drawn, which is that of their expiry.
    pub(crate) order: VecDeque<(Timestamp, HolderId, usize)>,
}

impl TicketShares {
    /// What a ticket weighs beside its holder's rights, in bytes.
    const ENTRY: usize = 256;

    /// Room for so many tickets.
    pub fn new(capacity: Amount) -> Self {
        Self { shares: Shares::new(capacity), order: VecDeque::new() }
    }

    /// Counts a ticket whose holder's rights take up so many bytes.
    pub fn take(
        &mut self,
        drawn_by: HolderId,
        bytes: usize,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), NoRoom> {
        while let Some(&(at, holder, bytes)) = self.order.front()
            && at <= now
        {
            self.order.pop_front();
            self.shares.give_back(holder, bytes);
        }
        let bytes = bytes.saturating_add(Self::ENTRY);
        self.shares.take(drawn_by, bytes)?;
        self.order.push_back((expires, drawn_by, bytes));
        Ok(())
    }
}

/// Tickets of this process alone.
#[derive(Debug)]
pub struct MemoryTickets {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) by_id: HashMap<TicketId, (Principal, Timestamp)>,
    /// In the order in which they were put, which is that of their expiry. Those that have been
    /// taken are still among them.
    pub(crate) order: VecDeque<(Timestamp, TicketId)>,
    pub(crate) shares: TicketShares,
}

impl MemoryTickets {
    /// Room for so many tickets.
    pub fn new(capacity: Amount) -> Self {
        let shares = TicketShares::new(capacity);
        let kept = Kept { by_id: HashMap::new(), order: VecDeque::new(), shares };
        Self { kept: Mutex::new(kept) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put_now(
        &self,
        id: TicketId,
        holder: Principal,
        drawn_by: HolderId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut kept = self.lock();
        while let Some((at, id)) = kept.order.front().copied()
            && at <= now
        {
            kept.order.pop_front();
            kept.by_id.remove(&id);
        }
        kept.shares.take(drawn_by, holder.listener_weight(), expires, now)?;
        kept.order.push_back((expires, id));
        kept.by_id.insert(id, (holder, expires));
        Ok(())
    }

    pub(crate) fn take_now(&self, id: TicketId, now: Timestamp) -> Option<Principal> {
        let mut kept = self.lock();
        let (holder, expires) = kept.by_id.remove(&id)?;
        (expires > now).then_some(holder)
    }
}

impl TicketStore for MemoryTickets {
    fn put(
        &self,
        id: TicketId,
        holder: Principal,
        drawn_by: HolderId,
        expires: Timestamp,
    ) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move { self.put_now(id, holder, drawn_by, expires, Timestamp::now()) })
    }

    fn take(
        &self,
        id: TicketId,
        now: Timestamp,
    ) -> Pending<'_, Result<Option<Principal>, StoreError>> {
        Box::pin(async move { Ok(self.take_now(id, now)) })
    }

    fn write(&self, writer: &mut Writer) {
        self.write_now(writer);
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.read_now(reader)
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::Pattern;

    use super::*;
    use crate::grant::{PublishGrant, SubscribeGrant};
    use crate::principal::Identity;

    const ROOM: Amount = Amount { count: 8, bytes: 1 << 20 };

    fn anyone() -> Principal {
        Principal::anonymous(PublishGrant::default(), SubscribeGrant::EVERYTHING)
    }

    fn from(address: &str) -> HolderId {
        HolderId::of(&Identity::Anonymous, address.parse().unwrap())
    }

    #[test]
    fn a_ticket_is_good_once_and_in_time() {
        let tickets = MemoryTickets::new(ROOM);
        let [first, second] = ["first", "second"].map(TicketId::of);
        let at = |seconds: u64| Timestamp(seconds * 1000);
        tickets.put_now(first, anyone(), from("192.0.2.1"), at(30), at(0)).unwrap();
        tickets.put_now(second, anyone(), from("192.0.2.1"), at(30), at(0)).unwrap();
        assert_eq!(tickets.take_now(first, at(29)), Some(anyone()));
        assert_eq!(tickets.take_now(first, at(29)), None);
        assert_eq!(tickets.take_now(second, at(30)), None);
        assert_eq!(tickets.take_now(TicketId::of("third"), at(0)), None);
    }

    #[test]
    fn tickets_that_nobody_uses_neither_fill_the_memory_nor_keep_others_out() {
        let tickets = MemoryTickets::new(ROOM);
        let put = |name: &str, by: &str, now: u64| {
            let (id, expires) = (TicketId::of(name), Timestamp(now + 30));
            tickets.put_now(id, anyone(), from(by), expires, Timestamp(now))
        };
        let [one, another] = ["192.0.2.1", "192.0.2.2"];
        for name in ["a", "b", "c", "d"] {
            put(name, one, 10).unwrap();
            // Using them makes no room for more.
            tickets.take_now(TicketId::of(name), Timestamp(10));
        }
        assert!(matches!(put("e", one, 20), Err(StoreError::Share)));
        put("f", another, 20).unwrap();
        put("g", another, 20).unwrap();
        put("h", one, 40).unwrap();
        let kept = tickets.kept.lock().unwrap();
        assert_eq!((kept.by_id.len(), kept.order.len()), (3, 3));
    }

    #[test]
    fn long_rights_weigh_more_than_short_ones() {
        let tickets = MemoryTickets::new(Amount { count: 1000, bytes: 100_000 });
        let pattern = |n: usize| Pattern::parse(&format!("{n}/{}", "x".repeat(200))).unwrap();
        let long = SubscribeGrant::new((0..64).map(pattern));
        let long = Principal::anonymous(PublishGrant::default(), long);
        let mut put = 0;
        let refused = loop {
            let (id, by) = (TicketId::of(&put.to_string()), from("192.0.2.1"));
            match tickets.put_now(id, long.clone(), by, Timestamp(30), Timestamp(0)) {
                Ok(()) => put += 1,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, StoreError::Share) && (1..=4).contains(&put), "{put} {refused}");
    }

    #[test]
    fn what_no_hub_has_handed_out_is_not_looked_for() {
        let ticket = Ticket::draw().unwrap();
        assert_eq!(TicketId::parse(ticket.expose()), Some(TicketId::of(ticket.expose())));
        let text = |length: usize| "a".repeat(length);
        for wrong in [String::new(), text(42), text(44), text(4000), text(42) + "=", text(42) + "+"]
        {
            assert_eq!(TicketId::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_two_tickets_are_alike() {
        let [a, b] = [Ticket::draw().unwrap(), Ticket::draw().unwrap()];
        assert_ne!(a.expose(), b.expose());
        assert!(!format!("{a:?}").contains(a.expose()));
    }
}
