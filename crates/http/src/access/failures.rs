//! Failures: credentials that were not accepted, by address, and how whoever guesses is slowed.
//!
//! What must hold: a credential that is good is accepted, whatever others at the same address do. What
//! is slowed is the answer to one that is not: it waits, among a bounded number, of which each address
//! has a share; and whoever finds no place there is answered at once on a connection that ends, with
//! everything else on it. So an address guesses as fast as it may have answers waiting and open
//! connections, whatever it speaks. Only a trusted proxy's HTTP/2 connection goes on, since it is other
//! people's too: behind it, guesses are as fast as requests may be.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_shares::{Amount, Shares};
use tokio::time::sleep;

use crate::address_limit::AddressLimit;
use crate::network64::Network64;
use crate::rates::Rates;
use crate::refusal::RefusalNote;

/// How many credentials a second may fail for one address from elsewhere, if nothing is set.
const FAILURE_RATE: u64 = 10;
/// How many answers wait at once.
const HELD: usize = 1_024;
/// How long an answer waits.
const DELAY: Duration = Duration::from_secs(1);

/// Who has presented what was not accepted.
#[derive(Debug)]
pub(crate) struct Failures {
    rate: AddressLimit<u64>,
    rates: Mutex<Rates<Network64>>,
    held: Mutex<Shares<Network64>>,
}

/// Marks an answer after which its connection is to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndsConnection;

/// A place among the answers that wait.
struct DelayedAnswer<'a>(&'a Failures, Network64);

impl Failures {
    pub(super) fn new(rate: Option<u64>) -> Self {
        let held = Shares::new(Amount { count: HELD, bytes: usize::MAX });
        let rate = AddressLimit::new(rate, FAILURE_RATE);
        Self { rate, rates: Mutex::new(Rates::new()), held: Mutex::new(held) }
    }

    /// Counts a failure of this address; if there have been too many, when there may be another.
    pub(super) fn count(&self, address: IpAddr) -> Result<(), Duration> {
        let network = Network64::of(address);
        let Some(rate) = self.rate.of(network) else { return Ok(()) };
        let (rate, now) = (rate as f64, Instant::now());
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.bucket(network, rate, now).draw(rate, now)
    }

    /// Writes down who has failed lately.
    pub(super) fn write(&self, writer: &mut Writer, now: Instant) {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.write(writer, now, |writer, network| network.write(writer));
    }

    /// Takes in what another process has written.
    pub(super) fn read(&self, reader: &mut Reader<'_>, now: Instant) -> Result<(), Malformed> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.read(reader, now, Network64::read)
    }

    fn hold(&self, address: IpAddr) -> Option<DelayedAnswer<'_>> {
        let network = Network64::of(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take(network, 0).ok().map(|()| DelayedAnswer(self, network))
    }
}

impl Drop for DelayedAnswer<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.give_back(self.1, 0);
    }
}

impl Failures {
    /// Holds back the answers to credentials that failed after too many others from the same address. By then
    /// their requests hold no place any more.
    pub(crate) async fn delay_failed(&self, mut response: Response) -> Response {
        let note = response.extensions().get::<RefusalNote>();
        if let Some(address) = note.and_then(|note| note.slowed) {
            match self.hold(address) {
                Some(_held) => sleep(DELAY).await,
                None => {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    response.extensions_mut().insert(EndsConnection);
                }
            }
        }
        response
    }
}
