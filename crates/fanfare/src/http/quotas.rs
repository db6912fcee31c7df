//! Quotas: how much of the hub one client may take up.
//!
//! What must hold: every table is bounded, and what does not fit into one is limited all the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_auth::{Identity, KeyDigest};
use fanfare_delivery::{Lease, Seat, Seats};

use super::access::Caller;
use super::client::network_of;
use super::error::Error;
use crate::metrics::Refused;
use crate::settings::Settings;

/// What one key, subject or address from elsewhere may publish in a second, if nothing is set.
const PUBLISH_RATE: u64 = 10_000;
/// How many streams one address from elsewhere may have, if nothing is set.
const SUBSCRIBERS_PER_ADDRESS: usize = 1_000;
/// How many publishers are told apart.
const PUBLISHERS: usize = 65_536;
/// How often publishers that have been quiet are looked for when there are too many.
const SWEEP: Duration = Duration::from_secs(1);

/// The quotas, and how much of them everyone has used.
#[derive(Debug)]
pub(crate) struct Quotas {
    publish_rate: Option<u64>,
    rates: Mutex<Rates>,
    per_address: Option<usize>,
    addresses: Mutex<HashMap<IpAddr, Seats>>,
    per_subject: usize,
    subjects: Mutex<HashMap<Arc<str>, Seats>>,
    /// The most topics and patterns in a subscription.
    pub(super) max_topics: usize,
    requests: Seats,
}

/// Who counts as one publisher.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Publisher {
    Key(KeyDigest),
    Subject(Arc<str>),
    Address(IpAddr),
    /// Those for whom there is no place in the table.
    Others,
}

#[derive(Debug)]
struct Rates {
    buckets: HashMap<Publisher, Bucket>,
    swept: Instant,
}

/// A token bucket that may be overdrawn: how much is in a batch is known only when it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Quotas {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            publish_rate: settings.publish_rate,
            rates: Mutex::new(Rates { buckets: HashMap::new(), swept: Instant::now() }),
            per_address: settings.max_subscribers_per_address,
            addresses: Mutex::default(),
            per_subject: settings.max_subscribers_per_subject,
            subjects: Mutex::default(),
            max_topics: settings.max_topics,
            requests: Seats::new(settings.max_requests),
        }
    }

    /// A place among the requests being answered.
    pub(super) fn request(&self) -> Option<Seat> {
        self.requests.take()
    }

    /// Counts one event of this caller, or says when to try again.
    pub(super) fn publish(&self, caller: &Caller) -> Result<(), Error> {
        let drawn = self.bucket(caller, |bucket, rate, now| bucket.draw(rate, now));
        drawn.unwrap_or(Ok(())).map_err(|wait| Error::TooFast { wait })
    }

    /// Counts the other events of a batch, which has been let in.
    pub(super) fn publish_more(&self, caller: &Caller, events: usize) {
        // Whoever overdraws waits the longer before the next.
        self.bucket(caller, |bucket, rate, now| bucket.charge(events as f64, rate, now));
    }

    /// Does something with this caller's bucket; `None` if there is no limit for them.
    fn bucket<T>(
        &self,
        caller: &Caller,
        each: impl FnOnce(&mut Bucket, f64, Instant) -> T,
    ) -> Option<T> {
        let local = caller.address.is_loopback();
        let rate = self.publish_rate.or((!local).then_some(PUBLISH_RATE))?;
        let publisher = match caller.identity() {
            Identity::AccessKey(key) => Publisher::Key(*key),
            Identity::Subject(subject) => Publisher::Subject(Arc::clone(subject)),
            Identity::Anonymous => Publisher::Address(network_of(caller.address)),
        };
        let now = Instant::now();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        Some(each(rates.bucket(publisher, rate as f64, now), rate as f64, now))
    }

    /// A place for one more stream of this caller, and under what conditions it may stay. `None`
    /// if there are none to note.
    pub(super) fn lease(&self, caller: &Caller) -> Result<Option<Box<Lease>>, Refused> {
        let mut seats = Vec::new();
        let local = caller.address.is_loopback();
        if let Some(limit) = self.per_address.or((!local).then_some(SUBSCRIBERS_PER_ADDRESS)) {
            let seat = seat(&self.addresses, network_of(caller.address), limit);
            seats.push(seat.ok_or(Refused::AddressCapacity)?);
        }
        let subject = caller.subject();
        if let Some(subject) = subject {
            let seat = seat(&self.subjects, Arc::clone(subject), self.per_subject);
            seats.push(seat.ok_or(Refused::SubjectCapacity)?);
        }
        let expires = caller.expires();
        if seats.is_empty() && subject.is_none() && expires.is_none() {
            return Ok(None);
        }
        let lease = Lease { subject: subject.cloned(), expires, verified: caller.verified, seats };
        Ok(Some(Box::new(lease)))
    }
}

/// A seat among those of one key. When the table is full, the keys nobody sits under are forgotten
/// and it is made twice as large as what remains: a seat costs constant time on average, and there
/// are never many more keys than streams.
fn seat<K: Eq + Hash>(table: &Mutex<HashMap<K, Seats>>, key: K, limit: usize) -> Option<Seat> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    if table.len() == table.capacity() {
        table.retain(|_, seats| seats.taken() > 0);
        let used = table.len();
        table.shrink_to(used * 2);
        table.reserve(used);
    }
    table.entry(key).or_insert_with(|| Seats::new(limit)).take()
}

impl Rates {
    fn bucket(&mut self, publisher: Publisher, rate: f64, now: Instant) -> &mut Bucket {
        let full = self.buckets.len() >= PUBLISHERS;
        if full && now - self.swept >= SWEEP {
            self.swept = now;
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        let known = self.buckets.len() < PUBLISHERS || self.buckets.contains_key(&publisher);
        let publisher = if known { publisher } else { Publisher::Others };
        self.buckets.entry(publisher).or_insert(Bucket::full(rate, now))
    }
}

impl Bucket {
    /// How many seconds' worth may come at once.
    const BURST: f64 = 2.0;

    /// One from which nothing was taken yet.
    pub(super) fn full(rate: f64, now: Instant) -> Self {
        Self { left: rate * Self::BURST, at: now }
    }

    /// Whether all that was taken has come back.
    pub(super) fn is_full(self, rate: f64, now: Instant) -> bool {
        self.refilled(rate, now).left >= rate * Self::BURST
    }

    fn refilled(self, rate: f64, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        Self { left: (self.left + passed * rate).min(rate * Self::BURST), at: now }
    }

    /// Takes one, or says when there will be one.
    pub(super) fn draw(&mut self, rate: f64, now: Instant) -> Result<(), Duration> {
        *self = self.refilled(rate, now);
        let missing = 1.0 - self.left;
        if missing > 0.0 {
            return Err(Duration::from_secs_f64(missing / rate));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// Takes so many, whether they are there or not.
    fn charge(&mut self, events: f64, rate: f64, now: Instant) {
        *self = self.refilled(rate, now);
        self.left -= events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_on_for_ever_or_a_quiet_publisher_waits() {
        let begin = Instant::now();
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        let mut bucket = Bucket { left: 20.0, at: begin };
        for _ in 0..20 {
            bucket.draw(10.0, begin).unwrap();
        }
        let wait = bucket.draw(10.0, begin).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        bucket.draw(10.0, at(0.1)).unwrap();
        assert!(bucket.draw(10.0, at(0.1)).is_err());
        for _ in 0..20 {
            bucket.draw(10.0, at(100.0)).unwrap();
        }
        assert!(bucket.draw(10.0, at(100.0)).is_err());
    }

    #[test]
    fn a_batch_costs_no_more_than_one_event() {
        let begin = Instant::now();
        let mut bucket = Bucket { left: 20.0, at: begin };
        bucket.draw(10.0, begin).unwrap();
        bucket.charge(118.0, 10.0, begin);
        let wait = bucket.draw(10.0, begin).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        let mut bucket = Bucket { left: 2.0, at: begin };
        let mut accepted = 0;
        for second in 0..20 {
            let now = begin + Duration::from_secs(second);
            if bucket.draw(1.0, now).is_ok() {
                bucket.charge(1.0, 1.0, now);
                accepted += 2;
            }
        }
        assert!(accepted <= 22, "batches of two go at twice the rate: {accepted}");
    }

    #[test]
    fn a_million_addresses_fill_the_memory() {
        let mut rates = Rates { buckets: HashMap::new(), swept: Instant::now() };
        let now = rates.swept;
        for n in 0..PUBLISHERS as u32 + 1_000 {
            let publisher = Publisher::Address(IpAddr::from(n.to_be_bytes()));
            let _ = rates.bucket(publisher, 1.0, now).draw(1.0, now);
        }
        assert_eq!(rates.buckets.len(), PUBLISHERS + 1);
        assert!(rates.bucket(Publisher::Others, 1.0, now).left < 0.0 + 1.0, "they share one");
        rates.bucket(Publisher::Others, 1.0, now + Duration::from_secs(60));
        assert_eq!(rates.buckets.len(), 1, "the quiet ones are forgotten");
    }

    #[test]
    fn seats_of_those_who_left_pile_up() {
        let table = Mutex::default();
        for n in 0..100_000 {
            assert!(seat(&table, n, 1).is_some());
        }
        assert!(table.lock().unwrap().len() < 1_000);
        let held = seat(&table, 0, 1).unwrap();
        assert!(seat(&table, 0, 1).is_none());
        drop(held);
        assert!(seat(&table, 0, 1).is_some());
    }
}
