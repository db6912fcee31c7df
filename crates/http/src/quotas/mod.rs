//! Quotas: how much of the hub one client may take up.
//!
//! What must hold: every table is bounded, and what does not fit into one is limited all the same.

mod addresses;
mod places;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_auth::{Identity, SecretDigest};
use fanfare_delivery::{Grant, Lease, Seat, Seats};
use fanfare_handover::{Malformed, Reader, Writer};

pub use self::addresses::{AddressLimits, Addresses};
use self::places::RequestPlaces;
pub(crate) use self::places::{RequestKind, RequestPlace};
use crate::access::Caller;
use crate::address_limit::AddressLimit;
use crate::metrics::RefusalReason;
use crate::network64::Network64;
use crate::rates::{Rates, TokenBucket};
use crate::refusal::Refusal;

/// What one key, subject or address from elsewhere may publish in a second, if nothing is set.
const PUBLISH_RATE: u64 = 10_000;
/// How many tickets one address from elsewhere may draw in a second, if nothing is set.
const TICKET_RATE: u64 = 1_000;
/// Of how many subscriptions of one address from elsewhere it is told in a second that they begin. As many as a
/// crowd behind one address has may begin at once.
const TOLD_RATE: u64 = 100;
const TOLD_BURST: u8 = 20;
/// How many streams one address from elsewhere may have, if nothing is set.
const SUBSCRIBERS_PER_ADDRESS: usize = 1_000;
/// How many patterns all streams of one address from elsewhere may name, if nothing is set.
const PATTERNS_PER_ADDRESS: usize = 4_096;

/// The quotas, and how much of them everyone has used.
#[derive(Debug)]
pub struct Quotas {
    publish_rate: AddressLimit<u64>,
    rates: Mutex<Rates<QuotaHolder>>,
    ticket_rate: AddressLimit<u64>,
    tickets: Mutex<Rates<Network64>>,
    told_rate: AddressLimit<u64>,
    told: Mutex<Rates<Network64, TOLD_BURST>>,
    per_address: AddressLimit<usize>,
    addresses: Mutex<HashMap<Network64, Seats>>,
    per_subject: usize,
    subjects: Mutex<HashMap<Arc<str>, Seats>>,
    /// An event may have to be compared with each pattern, whoever named it.
    patterns: Seats,
    patterns_per_address: AddressLimit<usize>,
    pattern_addresses: Mutex<HashMap<Network64, Seats>>,
    /// The most topics and patterns in a subscription.
    pub(crate) max_topics: usize,
    pub(crate) places: Arc<RequestPlaces>,
    /// For those of them that are held by streams of lines which have nothing to say.
    pub(crate) idle_lines: Arc<RequestPlaces>,
}

/// Who counts as one publisher.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum QuotaHolder {
    Key(SecretDigest),
    Subject(Arc<str>),
    Address(Network64),
}

/// How much one client may take up. `None` is a default for others, and no limit for this machine.
#[derive(Debug, Clone, Copy)]
pub struct QuotaLimits {
    /// Events a second from one key, subject or address; `None` is 10,000.
    pub publish_rate: Option<u64>,
    /// Tickets a second drawn from one address; `None` is 1,000.
    pub ticket_rate: Option<u64>,
    /// Streams from one address; `None` is 1,000.
    pub streams_per_address: Option<usize>,
    /// Streams of one subject.
    pub streams_per_subject: usize,
    /// Topics and patterns in one subscription.
    pub topics: usize,
    /// Patterns that all streams of one address name; `None` is 4,096.
    pub patterns_per_address: Option<usize>,
    /// Patterns that all streams name.
    pub patterns: usize,
    /// Requests a second from one address; `None` is 20,000.
    pub request_rate: Option<u64>,
    /// Requests that are being answered, of which each address has a share.
    pub requests: usize,
}

impl Quotas {
    /// Of which nothing is used yet.
    pub fn new(limits: &QuotaLimits) -> Self {
        Self {
            publish_rate: AddressLimit::new(limits.publish_rate, PUBLISH_RATE),
            rates: Mutex::new(Rates::new()),
            ticket_rate: AddressLimit::new(limits.ticket_rate, TICKET_RATE),
            tickets: Mutex::new(Rates::new()),
            told_rate: AddressLimit::new(
                limits.publish_rate.map(|rate| rate.min(TOLD_RATE)),
                TOLD_RATE,
            ),
            told: Mutex::new(Rates::with_burst()),
            per_address: AddressLimit::new(limits.streams_per_address, SUBSCRIBERS_PER_ADDRESS),
            addresses: Mutex::default(),
            per_subject: limits.streams_per_subject,
            subjects: Mutex::default(),
            patterns: Seats::new(limits.patterns),
            patterns_per_address: AddressLimit::new(
                limits.patterns_per_address,
                PATTERNS_PER_ADDRESS,
            ),
            pattern_addresses: Mutex::default(),
            max_topics: limits.topics,
            places: RequestPlaces::new(limits.requests, limits.request_rate),
            idle_lines: RequestPlaces::new((limits.requests / 2).max(1), None),
        }
    }

    /// Counts one event of this caller, or says when to try again.
    pub(crate) fn publish(&self, caller: &Caller) -> Result<(), Refusal> {
        let drawn = self.bucket(caller, |bucket, rate, now| bucket.draw(rate, now));
        drawn.unwrap_or(Ok(())).map_err(|wait| Refusal::TooFast { wait })
    }

    /// Counts the other events of a batch, which has been let in.
    pub(crate) fn publish_more(&self, caller: &Caller, events: usize) {
        // Whoever overdraws waits the longer before the next.
        self.bucket(caller, |bucket, rate, now| bucket.charge(events as f64, rate, now));
    }

    /// Counts events of this caller, or says how long they have to wait: for those who are not told to come
    /// again, but kept waiting.
    pub(crate) fn publish_or_wait(&self, caller: &Caller, events: usize) -> Result<(), Duration> {
        let counted = self.bucket(caller, |bucket, rate, now| {
            bucket.draw(rate, now)?;
            bucket.charge(events.saturating_sub(1) as f64, rate, now);
            Ok(())
        });
        counted.unwrap_or(Ok(()))
    }

    /// Counts one ticket of this caller's address, or says when to try again.
    pub(crate) fn ticket(&self, caller: &Caller) -> Result<(), Refusal> {
        let network = caller.network();
        let Some(rate) = self.ticket_rate.of(network) else { return Ok(()) };
        let (rate, now) = (rate as f64, Instant::now());
        let mut rates = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        rates
            .bucket(network, rate, now)
            .draw(rate, now)
            .map_err(|wait| Refusal::TooManyTickets { wait })
    }

    /// Counts subscriptions of this caller's address that begin; `false` if the log is not to be filled with them.
    pub(crate) fn may_be_told(&self, caller: &Caller, subscriptions: usize) -> bool {
        let network = caller.network();
        let Some(rate) = self.told_rate.of(network) else { return true };
        let (rate, now) = (rate as f64, Instant::now());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = told.bucket(network, rate, now);
        let drawn = bucket.draw(rate, now).is_ok();
        if drawn {
            bucket.charge(subscriptions.saturating_sub(1) as f64, rate, now);
        }
        drawn
    }

    /// Does something with this caller's bucket; `None` if there is no limit for them.
    fn bucket<T>(
        &self,
        caller: &Caller,
        each: impl FnOnce(&mut TokenBucket, f64, Instant) -> T,
    ) -> Option<T> {
        let network = caller.network();
        let rate = self.publish_rate.of(network)?;
        let publisher = match caller.identity() {
            Identity::AccessKey(key) => QuotaHolder::Key(*key),
            Identity::Subject { name, .. } => QuotaHolder::Subject(Arc::clone(name)),
            Identity::Anonymous | Identity::Bearer(_) => QuotaHolder::Address(network),
        };
        let now = Instant::now();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        Some(each(rates.bucket(publisher, rate as f64, now), rate as f64, now))
    }

    /// A place for one more stream of this caller, whose patterns take up so many places, and under what
    /// conditions it may stay. `None` if there are none to note.
    pub(crate) fn lease(
        &self,
        caller: &Caller,
        pattern_places: usize,
    ) -> Result<Option<Box<Lease>>, RefusalReason> {
        let mut seats = Vec::new();
        let network = caller.network();
        if let Some(limit) = self.per_address.of(network) {
            let seat = seat(&self.addresses, network, limit, 1);
            seats.push(seat.ok_or(RefusalReason::AddressCapacity)?);
        }
        let subject = caller.subject();
        if let Some(subject) = subject {
            let seat = seat(&self.subjects, Arc::clone(subject), self.per_subject, 1);
            seats.push(seat.ok_or(RefusalReason::SubjectCapacity)?);
        }
        if pattern_places > 0 {
            let places = u32::try_from(pattern_places).unwrap_or(u32::MAX);
            if let Some(limit) = self.patterns_per_address.of(network) {
                let seat = seat(&self.pattern_addresses, network, limit, places);
                seats.push(seat.ok_or(RefusalReason::PatternCapacity)?);
            }
            let seat = self.patterns.take_together(places);
            seats.push(seat.ok_or(RefusalReason::PatternCapacity)?);
        }
        let expires = caller.expires();
        let credential = caller.credential().map(|credential| Arc::clone(credential.name()));
        if seats.is_empty() && subject.is_none() && expires.is_none() && credential.is_none() {
            return Ok(None);
        }
        let (subject, verified) = (subject.cloned(), caller.verified);
        let address = network.address();
        let lease = Lease { subject, credential, address, expires, verified, seats };
        Ok(Some(Box::new(lease)))
    }
}

impl Quotas {
    /// Writes down what everyone has used of the rates.
    pub(crate) fn write_rates(&self, writer: &mut Writer, now: Instant) {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.write(writer, now, |writer, publisher| match publisher {
            QuotaHolder::Key(key) => {
                writer.u8(0);
                writer.bytes(key.as_bytes());
            }
            QuotaHolder::Subject(name) => {
                writer.u8(1);
                writer.text(name);
            }
            QuotaHolder::Address(address) => {
                writer.u8(2);
                address.write(writer);
            }
        });
        drop(rates);
        let tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.write(writer, now, |writer, network| network.write(writer));
        drop(tickets);
        self.places.write_rates(writer, now);
    }

    /// Takes in what another process has written.
    pub(crate) fn read_rates(
        &self,
        reader: &mut Reader<'_>,
        now: Instant,
    ) -> Result<(), Malformed> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.read(reader, now, |reader| match reader.u8()? {
            0 => {
                let key = SecretDigest::from_bytes(reader.bytes()?);
                key.map(QuotaHolder::Key).ok_or(Malformed("a key digest has the wrong length"))
            }
            1 => Ok(QuotaHolder::Subject(reader.text()?.into())),
            2 => Network64::read(reader).map(QuotaHolder::Address),
            _ => Err(Malformed("a publisher of an unknown kind")),
        })?;
        drop(rates);
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.read(reader, now, Network64::read)?;
        drop(tickets);
        self.places.read_rates(reader, now)
    }

    /// The places of a stream that another process had granted, whether or not they are free here: whoever
    /// moves is not turned away. Its patterns take up so many places.
    pub(crate) fn keep(&self, grant: &Grant, pattern_places: usize) -> Vec<Seat> {
        let mut seats = Vec::new();
        let network = Network64::written(grant.address);
        if let Some(limit) = self.per_address.of(network) {
            seats.push(kept(&self.addresses, network, limit, 1));
        }
        if let Some(subject) = &grant.subject {
            seats.push(kept(&self.subjects, Arc::clone(subject), self.per_subject, 1));
        }
        if pattern_places > 0 {
            let places = u32::try_from(pattern_places).unwrap_or(u32::MAX);
            if let Some(limit) = self.patterns_per_address.of(network) {
                seats.push(kept(&self.pattern_addresses, network, limit, places));
            }
            seats.push(self.patterns.take_beyond_capacity(places));
        }
        seats
    }
}

/// So many seats among those of one key, free or not.
fn kept<K: Eq + Hash>(table: &Mutex<HashMap<K, Seats>>, key: K, limit: usize, places: u32) -> Seat {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    table.entry(key).or_insert_with(|| Seats::new(limit)).take_beyond_capacity(places)
}

/// So many seats among those of one key. When the table is full, the keys nobody sits under are forgotten
/// and it is made twice as large as what remains: a seat costs constant time on average, and there
/// are never many more keys than streams.
fn seat<K: Eq + Hash>(
    table: &Mutex<HashMap<K, Seats>>,
    key: K,
    limit: usize,
    places: u32,
) -> Option<Seat> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    if table.len() == table.capacity() {
        table.retain(|_, seats| seats.taken() > 0);
        let used = table.len();
        table.shrink_to(used * 2);
        table.reserve(used);
    }
    table.entry(key).or_insert_with(|| Seats::new(limit)).take_together(places)
}

#[cfg(any(test, fuzzing))]
impl QuotaLimits {
    /// Room for one of everything.
    pub(crate) fn few() -> Self {
        Self {
            publish_rate: None,
            ticket_rate: None,
            streams_per_address: Some(1),
            streams_per_subject: 1,
            topics: 1,
            patterns_per_address: None,
            patterns: 1,
            request_rate: None,
            requests: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use fanfare_event::Timestamp;

    use super::*;
    use crate::access::UNKNOWN;

    /// The term of the formula in `docs/sizing.md`.
    #[test]
    fn six_tables_of_addresses_take_at_most_48_mib() {
        let now = Instant::now();
        let address = |n: u32| IpAddr::from((n + (11 << 24)).to_be_bytes());
        let network = |n| Network64::of(address(n));
        let (mut publishers, mut requests) = (Rates::new(), Rates::new());
        let addresses = Addresses::new(AddressLimits { all: 1 << 20, ..AddressLimits::default() });
        for n in 0..200_000 {
            publishers.bucket(QuotaHolder::Address(network(n)), 1.0, now).charge(1.0, 1.0, now);
            requests.bucket(network(n), 1.0, now).charge(1.0, 1.0, now);
            let _ = addresses.enter(address(n), now);
        }
        // Those of tickets, of bad credentials and of what is told are like that of requests.
        let bytes = publishers.table_bytes() + 4 * requests.table_bytes() + addresses.table_bytes();
        assert!((16 << 20..48 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_stream_counts_for_its_address_after_an_upgrade_as_before() {
        let quotas = Quotas::new(&QuotaLimits { streams_per_address: None, ..QuotaLimits::few() });
        let kept = |address: IpAddr| {
            // As a lease notes it.
            let address = Network64::of(address).address();
            let verified = Timestamp::now();
            let (subject, credential) = (None, None);
            let grant = Grant { subject, credential, address, expires: None, verified };
            quotas.keep(&grant, 1).len()
        };
        let elsewhere: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(kept(elsewhere), 3, "among streams, and twice among patterns");
        assert_eq!(kept(UNKNOWN), 3, "those who cannot be told apart are not this machine");
        for here in ["127.0.0.1", "::1"] {
            assert_eq!(kept(here.parse().unwrap()), 1, "{here}");
        }
    }

    #[test]
    fn seats_of_those_who_left_do_not_pile_up() {
        let table = Mutex::default();
        for n in 0..100_000 {
            assert!(seat(&table, n, 1, 1).is_some());
        }
        assert!(table.lock().unwrap().len() < 1_000);
        let held = seat(&table, 0, 1, 1).unwrap();
        assert!(seat(&table, 0, 1, 1).is_none());
        drop(held);
        assert!(seat(&table, 0, 1, 1).is_some());
    }
}
