//! Places: how many requests are answered at once, whose, and how fast they may come.
//!
//! What must hold: everything that a handler answers has a place while it is being answered, or it is
//! refused. Of the places no address from elsewhere holds more than are still free, and none sends
//! requests without end. Whoever looks after the hub (health checks, metrics) is answered when it is full.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use fanfare_delivery::{Seat, Seats};
use fanfare_shares::{Amount, NoRoom, Shares};

use super::client::network_of;
use super::error::Error;
use super::rates::Rates;
use super::router::Shared;
use super::subscribe::come_back;
use crate::settings::Settings;

/// How many requests one address from elsewhere may send in a second, if nothing is set: twice what it
/// may publish, one event in each.
const RATE: u64 = 20_000;
/// How many places are kept for whoever looks after the hub. Nothing that they ask for has to wait, so
/// there are never more of them than threads.
const OPERATIONS: usize = 64;
/// For how many requests one for the metrics counts, which are written anew for each.
const METRICS: f64 = 100.0;

/// The places, and how many requests each address has sent lately.
#[derive(Debug)]
pub(super) struct Places {
    capacity: usize,
    taken: Mutex<Shares<IpAddr>>,
    operations: Seats,
    rate: Option<u64>,
    rates: Mutex<Rates<IpAddr>>,
}

/// A request's place: given back when dropped.
#[derive(Debug)]
enum Place {
    /// One of this network's.
    Ordinary(Arc<Places>, IpAddr),
    Operations(#[expect(dead_code, reason = "it is held, and given back")] Seat),
}

/// The place of a request that carries it. Whoever has to wait for something that costs nothing leaves
/// it, and keeps no other request out.
#[derive(Debug, Clone)]
pub(super) struct Placed(Arc<Mutex<Option<Place>>>);

/// What is asked for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    /// Answered in words that are ready: a refusal would cost as much.
    Health,
    Metrics,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Arc<Self> {
        let capacity = Amount { count: settings.max_requests, bytes: usize::MAX };
        Arc::new(Self {
            capacity: settings.max_requests,
            taken: Mutex::new(Shares::new(capacity)),
            operations: Seats::new(OPERATIONS),
            rate: settings.request_rate,
            rates: Mutex::new(Rates::new()),
        })
    }

    fn admit(self: &Arc<Self>, address: IpAddr, kind: Kind, now: Instant) -> Result<Place, Error> {
        self.count(address, kind, now)?;
        let taken = self.take(address);
        if taken.is_err() && kind != Kind::Ordinary {
            return self.operations.take().map(Place::Operations).ok_or(Error::Busy);
        }
        taken
    }

    /// Counts one request of this address, or says when to try again.
    fn count(&self, address: IpAddr, kind: Kind, now: Instant) -> Result<(), Error> {
        let rate = self.rate.or((!address.is_loopback()).then_some(RATE));
        let (Some(rate), Kind::Ordinary | Kind::Metrics) = (rate, kind) else { return Ok(()) };
        let rate = rate as f64;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = rates.bucket(network_of(address), rate, now);
        bucket.draw(rate, now).map_err(|wait| Error::TooManyRequests { wait })?;
        if kind == Kind::Metrics {
            bucket.charge(METRICS - 1.0, rate, now);
        }
        Ok(())
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Error> {
        let network = network_of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !address.is_loopback() {
            taken.take(network, 0).map_err(|none| match none {
                NoRoom::Share => Error::BusyAddress,
                NoRoom::All => Error::Busy,
            })?;
        } else if taken.taken().count < self.capacity {
            // This machine is not limited.
            taken.take_in_any_case(network, 0);
        } else {
            return Err(Error::Busy);
        }
        Ok(Place::Ordinary(Arc::clone(self), network))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Ordinary(places, network) = self {
            let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.give_back(*network, 0);
        }
    }
}

impl Placed {
    /// Gives the place of this request back, if it has one still.
    pub(super) fn leave(request: &Parts) {
        if let Some(placed) = request.extensions.get::<Self>() {
            placed.clear();
        }
    }

    fn clear(&self) {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(place);
    }
}

/// Where a request may go: what the layer that gives it a place has to know.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    shared: Arc<Shared>,
    /// The paths of streams: whoever asks for one is told to come back, since any other answer would end
    /// an EventSource for good.
    streams: [Arc<str>; 2],
}

impl Doors {
    pub(super) fn new(shared: Arc<Shared>, streams: [String; 2]) -> Self {
        Self { shared, streams: streams.map(Into::into) }
    }
}

/// Gives each request a place while it is being answered, or refuses it.
pub(super) async fn place(
    State(doors): State<Doors>,
    mut request: Request,
    next: Next,
) -> Response {
    let Doors { shared, streams } = &doors;
    let path = request.uri().path();
    let kind = match path {
        "/healthz" | "/readyz" => Kind::Health,
        "/metrics" => Kind::Metrics,
        _ => Kind::Ordinary,
    };
    let is_stream = streams.iter().any(|stream| **stream == *path);
    let admitted = match shared.access.address(request.extensions(), request.headers()) {
        Some(address) => shared.quotas.places.admit(address, kind, Instant::now()),
        None => Err(Error::NoPeer),
    };
    match admitted {
        Ok(place) => {
            let placed = Placed(Arc::new(Mutex::new(Some(place))));
            request.extensions_mut().insert(placed.clone());
            let response = next.run(request).await;
            placed.clear();
            response
        }
        Err(error) if is_stream => {
            shared.metrics.refused(error.reason());
            come_back(shared)
        }
        Err(error) => error.answer(&shared.metrics),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Flags;

    fn places(variables: &[(&str, &str)]) -> Arc<Places> {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        };
        Places::new(&Settings::resolve(&Flags::default(), value, None).unwrap())
    }

    fn fill(places: &Arc<Places>, address: &str, kind: Kind) -> Vec<Place> {
        let address = address.parse().unwrap();
        let now = Instant::now();
        std::iter::from_fn(|| places.admit(address, kind, now).ok()).take(1_000).collect()
    }

    #[test]
    fn one_address_takes_all_the_places() {
        let places = places(&[("FANFARE_MAX_REQUESTS", "8")]);
        let greedy = fill(&places, "2001:db8::1", Kind::Ordinary);
        assert_eq!(greedy.len(), 4);
        assert!(
            fill(&places, "2001:db8::2", Kind::Ordinary).is_empty(),
            "it is of the same network"
        );
        let other = fill(&places, "192.0.2.1", Kind::Ordinary);
        assert_eq!(other.len(), 2);
        assert_eq!(
            fill(&places, "127.0.0.1", Kind::Ordinary).len(),
            2,
            "this machine is not limited"
        );
        drop((greedy, other));
        assert_eq!(fill(&places, "192.0.2.2", Kind::Ordinary).len(), 4);
    }

    #[test]
    fn a_full_hub_does_not_say_how_it_is() {
        let places = places(&[("FANFARE_MAX_REQUESTS", "1")]);
        let _full = fill(&places, "127.0.0.1", Kind::Ordinary);
        for kind in [Kind::Health, Kind::Metrics] {
            let asked = fill(&places, "192.0.2.1", kind);
            assert!(asked.len() >= OPERATIONS, "{}", asked.len());
        }
        assert!(fill(&places, "192.0.2.1", Kind::Ordinary).is_empty());
    }

    #[test]
    fn one_address_sends_requests_without_end() {
        let places = places(&[("FANFARE_REQUEST_RATE", "100")]);
        let (here, now): (IpAddr, _) = ("192.0.2.1".parse().unwrap(), Instant::now());
        let sent = |kind, now| {
            let admitted = |_: &_| places.admit(here, kind, now).is_ok();
            (0..1_000).take_while(admitted).count()
        };
        assert_eq!(sent(Kind::Ordinary, now), 200);
        assert_eq!(sent(Kind::Health, now), 1_000, "health checks are not counted");
        assert_eq!(sent(Kind::Metrics, now + Duration::from_secs(2)), 2, "metrics count more");
        let elsewhere = "192.0.2.2".parse().unwrap();
        assert!(places.admit(elsewhere, Kind::Ordinary, now).is_ok());
    }
}
