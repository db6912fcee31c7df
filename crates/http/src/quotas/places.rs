//! Places: how many requests are answered at once, whose, and how fast they may come.
//!
//! What must hold: everything that a handler answers has a place while it is being answered, or it is
//! refused. Of the places no address from elsewhere holds more than are still free, and none sends
//! requests without end. Whoever looks after the hub (health checks, metrics) is answered when it is full.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_delivery::{Seat, Seats};
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_shares::{Amount, NoRoom, Shares};

use crate::address_limit::AddressLimit;
use crate::network64::Network64;
use crate::rates::Rates;
use crate::refusal::Refusal;

/// How many requests one address from elsewhere may send in a second, if nothing is set: twice what it
/// may publish, one event in each.
const RATE: u64 = 20_000;
/// How many places are kept for whoever looks after the hub. Nothing that they ask for has to wait, so
/// there are never more of them than threads.
const OPERATIONS: usize = 64;
/// For how many requests one for the metrics counts, which are written anew for each.
const METRICS: f64 = 100.0;
/// How much processor time at a stretch is included in a request: most take less.
const INCLUDED: Duration = Duration::from_micros(100);
/// How much of a processor an address may use by requests that take more: as many requests are charged as it may
/// send in the time that this share of a processor takes for it.
const PROCESSOR_SHARE: f64 = 0.5;

/// The places, and how many requests each address has sent lately.
#[derive(Debug)]
pub(crate) struct RequestPlaces {
    capacity: usize,
    taken: Mutex<Shares<Network64>>,
    operations: Seats,
    rate: AddressLimit<u64>,
    rates: Mutex<Rates<Network64>>,
}

/// A request's place: given back when dropped.
#[derive(Debug)]
pub(crate) struct RequestPlace(
    #[expect(dead_code, reason = "it is held, and given back")] HeldPlace,
);

#[derive(Debug)]
enum HeldPlace {
    /// One of this network's.
    Ordinary(Arc<RequestPlaces>, Network64),
    Operations(#[expect(dead_code, reason = "it is held, and given back")] Seat),
}

/// What is asked for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Anything else.
    Ordinary,
    /// Answered in words that are ready: a refusal would cost as much.
    Health,
    Metrics,
}

impl RequestKind {
    /// Of what is asked for at this path.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" => Self::Health,
            "/metrics" => Self::Metrics,
            _ => Self::Ordinary,
        }
    }
}

impl RequestPlaces {
    /// With room for so many requests, of which each address may send so many in a second.
    pub(super) fn new(capacity: usize, rate: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            taken: Mutex::new(Shares::new(Amount { count: capacity, bytes: usize::MAX })),
            operations: Seats::new(OPERATIONS),
            rate: AddressLimit::new(rate, RATE),
            rates: Mutex::new(Rates::new()),
        })
    }

    /// A place for a request of this address while it is being answered.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: IpAddr,
        kind: RequestKind,
    ) -> Result<RequestPlace, Refusal> {
        let taken = self.take_ordinary(address);
        if taken.is_err() && kind != RequestKind::Ordinary {
            let free = self.operations.take().ok_or(Refusal::Busy)?;
            return Ok(RequestPlace(HeldPlace::Operations(free)));
        }
        taken
    }

    /// Counts one request of this address, or says when to try again.
    pub(crate) fn count(
        &self,
        address: IpAddr,
        kind: RequestKind,
        now: Instant,
    ) -> Result<(), Refusal> {
        let network = Network64::of(address);
        let rate = self.rate.of(network);
        let (Some(rate), RequestKind::Ordinary | RequestKind::Metrics) = (rate, kind) else {
            return Ok(());
        };
        let rate = rate as f64;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = rates.bucket(network, rate, now);
        bucket.draw(rate, now).map_err(|wait| Refusal::TooManyRequests { wait })?;
        if kind == RequestKind::Metrics {
            bucket.charge(METRICS - 1.0, rate, now);
        }
        Ok(())
    }

    /// Charges this address for a request that took so much processor time at a stretch. It was answered; the next
    /// ones wait.
    pub(crate) fn charge(&self, address: IpAddr, took: Duration, now: impl FnOnce() -> Instant) {
        let network = Network64::of(address);
        let Some(rate) = self.rate.of(network).filter(|_| took > INCLUDED) else { return };
        let rate = rate as f64;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        let bucket = rates.bucket(network, rate, now);
        bucket.charge(rate * took.as_secs_f64() / PROCESSOR_SHARE, rate, now);
    }

    /// How long this address has to wait, if it was charged for more than it may use: for those who are not told to
    /// come again, but kept waiting.
    pub(crate) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let network = Network64::of(address);
        let Some(rate) = self.rate.of(network) else { return Ok(()) };
        let rate = rate as f64;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.bucket(network, rate, now).check(rate, now)
    }

    pub(super) fn write_rates(&self, writer: &mut Writer, now: Instant) {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.write(writer, now, |writer, network| network.write(writer));
    }

    pub(super) fn read_rates(
        &self,
        reader: &mut Reader<'_>,
        now: Instant,
    ) -> Result<(), Malformed> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.read(reader, now, Network64::read)
    }

    fn take_ordinary(self: &Arc<Self>, address: IpAddr) -> Result<RequestPlace, Refusal> {
        let network = Network64::of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !network.is_this_machine() {
            taken.take(network, 0).map_err(|none| match none {
                NoRoom::Share => Refusal::BusyAddress,
                NoRoom::All => Refusal::Busy,
            })?;
        } else if taken.taken().count < self.capacity {
            // This machine is not limited.
            taken.take_beyond_capacity(network, 0);
        } else {
            return Err(Refusal::Busy);
        }
        Ok(RequestPlace(HeldPlace::Ordinary(Arc::clone(self), network)))
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        if let Self::Ordinary(places, network) = self {
            let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.give_back(*network, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fill(places: &Arc<RequestPlaces>, address: &str, kind: RequestKind) -> Vec<RequestPlace> {
        let address = address.parse().unwrap();
        std::iter::from_fn(|| places.take(address, kind).ok()).take(1_000).collect()
    }

    #[test]
    fn one_address_does_not_take_all_the_places() {
        let places = RequestPlaces::new(8, None);
        let greedy = fill(&places, "2001:db8::1", RequestKind::Ordinary);
        assert_eq!(greedy.len(), 4);
        assert!(
            fill(&places, "2001:db8::2", RequestKind::Ordinary).is_empty(),
            "it is of the same network"
        );
        let other = fill(&places, "192.0.2.1", RequestKind::Ordinary);
        assert_eq!(other.len(), 2);
        assert_eq!(
            fill(&places, "127.0.0.1", RequestKind::Ordinary).len(),
            2,
            "this machine is not limited"
        );
        drop((greedy, other));
        assert_eq!(fill(&places, "192.0.2.2", RequestKind::Ordinary).len(), 4);
    }

    #[test]
    fn a_full_hub_says_how_it_is() {
        let places = RequestPlaces::new(1, None);
        let _full = fill(&places, "127.0.0.1", RequestKind::Ordinary);
        for kind in [RequestKind::Health, RequestKind::Metrics] {
            let asked = fill(&places, "192.0.2.1", kind);
            assert!(asked.len() >= OPERATIONS, "{}", asked.len());
        }
        assert!(fill(&places, "192.0.2.1", RequestKind::Ordinary).is_empty());
    }

    #[test]
    fn one_address_does_not_send_requests_without_end() {
        let places = RequestPlaces::new(8, Some(100));
        let (here, now): (IpAddr, _) = ("192.0.2.1".parse().unwrap(), Instant::now());
        let sent = |kind, now| {
            let counted = |_: &_| places.count(here, kind, now).is_ok();
            (0..1_000).take_while(counted).count()
        };
        assert_eq!(sent(RequestKind::Ordinary, now), 200);
        assert_eq!(sent(RequestKind::Health, now), 1_000, "health checks are not counted");
        assert_eq!(
            sent(RequestKind::Metrics, now + Duration::from_secs(2)),
            2,
            "metrics count more"
        );
        let elsewhere = "192.0.2.2".parse().unwrap();
        assert!(places.count(elsewhere, RequestKind::Ordinary, now).is_ok());
    }

    #[test]
    fn one_address_does_not_use_a_processor_up_however_few_requests_it_sends() {
        for rate in [100, 20_000] {
            let places = RequestPlaces::new(8, Some(rate));
            let (here, began): (IpAddr, _) = ("192.0.2.1".parse().unwrap(), Instant::now());
            let took = Duration::from_millis(10);
            let (mut now, mut used) = (began, Duration::ZERO);
            while now < began + Duration::from_secs(10) {
                match places.count(here, RequestKind::Ordinary, now) {
                    Ok(()) => {
                        places.charge(here, took, || now);
                        (now, used) = (now + took, used + took);
                    }
                    Err(_) => now += Duration::from_millis(1),
                }
            }
            // One second's worth is in the bucket at the beginning.
            let allowed = Duration::from_secs(6);
            assert!(used <= allowed && used > allowed / 2, "{used:?} at {rate} a second");
            places.charge("192.0.2.2".parse().unwrap(), INCLUDED, || now);
            let quick = (0..rate).all(|_| {
                places.count("192.0.2.2".parse().unwrap(), RequestKind::Ordinary, now).is_ok()
            });
            assert!(quick, "what takes no longer than most is not charged");
        }
    }
}
