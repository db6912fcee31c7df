//! Addresses: how many connections each address from elsewhere has, and how fast it opens new ones.
//!
//! What must hold: the table is bounded, and an address for which there is no place in it shares one
//! allowance with all others of its kind. An IPv6 network of 64 bits counts as one address; a
//! trusted proxy speaks for many, and is not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fanfare_delivery::{Seat, Seats};
use fanfare_net::Network;

use crate::address_limit::AddressLimit;
use crate::metrics::RefusalReason;
use crate::network64::Network64;
use crate::rates::TokenBucket;

/// How many new connections one address from elsewhere may open in a second, if nothing is set.
const RATE: u64 = 500;
/// How many connections one address from elsewhere may have at most, if nothing is set.
const CONNECTIONS: usize = 2_000;
/// Which part of all connections one address may have, if nothing is set.
const SHARE: usize = 4;
/// How many addresses are told apart.
const ADDRESSES: usize = 65_536;
/// How often those who have gone are looked for when there are too many.
const SWEEP: Duration = Duration::from_secs(1);

/// What each address has, and may have.
#[derive(Debug)]
pub struct Addresses {
    connections: AddressLimit<usize>,
    rate: AddressLimit<u64>,
    pub(crate) proxies: Vec<Network>,
    table: Mutex<AddressAccounts>,
}

#[derive(Debug, Default)]
struct AddressAccounts {
    accounts: HashMap<Network64, Account>,
    /// When those who have gone were last looked for in a full table.
    swept: Option<Instant>,
}

/// What one address has.
#[derive(Debug)]
struct Account {
    connections: Seats,
    openings: TokenBucket,
}

/// How many connections one address may have, and open. `None` is a default for others, and no limit for
/// this machine.
#[derive(Debug, Clone, Default)]
pub struct AddressLimits {
    /// Connections of all addresses together.
    pub all: usize,
    /// Connections of one; `None` is a quarter of all, and at most 2,000.
    pub each: Option<usize>,
    /// New connections a second from one; `None` is 500.
    pub rate: Option<u64>,
    /// Who speaks for many, and is not counted.
    pub proxies: Vec<Network>,
}

impl Addresses {
    /// Which have nothing yet.
    pub fn new(limits: AddressLimits) -> Self {
        let AddressLimits { all, each, rate, proxies } = limits;
        let share = (all / SHARE).clamp(1, CONNECTIONS);
        Self {
            connections: AddressLimit::new(each, share),
            rate: AddressLimit::new(rate, RATE),
            proxies,
            table: Mutex::default(),
        }
    }

    /// Whether an address is one that speaks for many.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|range| range.contains(address))
    }

    /// A place for a new connection from here; `None` if there is nothing to count.
    pub(crate) fn enter(
        &self,
        address: IpAddr,
        now: Instant,
    ) -> Result<Option<Seat>, RefusalReason> {
        let network = Network64::of(address);
        let (most, rate) = (self.connections.of(network), self.rate.of(network));
        if self.is_proxy(address) || (most.is_none() && rate.is_none()) {
            return Ok(None);
        }
        let mut table = self.lock();
        let account = self.account(&mut table, network, now);
        if let Some(rate) = rate
            && account.openings.draw(rate as f64, now).is_err()
        {
            return Err(RefusalReason::ConnectionRate);
        }
        if most.is_none() {
            return Ok(None);
        }
        account.connections.take().map(Some).ok_or(RefusalReason::AddressConnections)
    }

    /// The place of a connection that another process had let in, free or not; `None` if there is nothing to
    /// count.
    pub(crate) fn keep(&self, address: IpAddr, now: Instant) -> Option<Seat> {
        let network = Network64::of(address);
        if self.is_proxy(address) || self.connections.of(network).is_none() {
            return None;
        }
        let mut table = self.lock();
        let account = self.account(&mut table, network, now);
        Some(account.connections.take_beyond_capacity(1))
    }

    fn account<'a>(
        &self,
        table: &'a mut AddressAccounts,
        network: Network64,
        now: Instant,
    ) -> &'a mut Account {
        let AddressAccounts { accounts, swept } = table;
        let rate = self.rate.amount() as f64;
        let lately = swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP);
        let full = accounts.len() >= ADDRESSES && !lately;
        if full || (accounts.len() == accounts.capacity() && accounts.len() < ADDRESSES) {
            *swept = Some(now);
            accounts.retain(|_, account| account.is_in_use(rate, now));
            let used = accounts.len();
            accounts.shrink_to(used * 2);
            accounts.reserve(used);
        }
        let known = accounts.len() < ADDRESSES || accounts.contains_key(&network);
        let network = if known { network } else { Network64::UNKNOWN };
        accounts.entry(network).or_insert_with(|| Account {
            connections: Seats::new(self.connections.amount()),
            openings: TokenBucket::full(rate, now),
        })
    }

    fn lock(&self) -> MutexGuard<'_, AddressAccounts> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn is_in_use(&self, rate: f64, now: Instant) -> bool {
        self.connections.taken() > 0 || !self.openings.is_full(rate, now)
    }
}

#[cfg(test)]
impl Addresses {
    /// How many bytes the table takes up, with what its accounts share with connections.
    pub(super) fn table_bytes(&self) -> usize {
        let table = self.lock();
        crate::rates::table_bytes(&table.accounts) + table.accounts.len() * 4 * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(all: usize) -> Addresses {
        Addresses::new(AddressLimits { all, ..AddressLimits::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_does_not_take_all_connections() {
        let (addresses, now) = (addresses(8), Instant::now());
        let enter = |text: &str| addresses.enter(address(text), now);
        let held: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|a| enter(a).unwrap()).into();
        assert_eq!(enter("2001:db8::3").unwrap_err(), RefusalReason::AddressConnections);
        assert!(enter("2001:db8:0:1::1").unwrap().is_some());
        drop(held);
        assert!(enter("2001:db8::3").unwrap().is_some());
        for _ in 0..10 {
            assert!(enter("127.0.0.1").unwrap().is_none(), "this machine is not limited");
        }
    }

    #[test]
    fn one_address_does_not_open_connections_without_end() {
        let proxies = vec![fanfare_net::Network::parse("10.0.0.0/8").unwrap()];
        let limits =
            AddressLimits { all: 1000, rate: Some(5), proxies, ..AddressLimits::default() };
        let (addresses, now) = (Addresses::new(limits), Instant::now());
        for of in ["192.0.2.1", "127.0.0.1"] {
            let opened = (0..100).take_while(|_| addresses.enter(address(of), now).is_ok()).count();
            assert_eq!(opened, 10, "{of}");
            let later = now + Duration::from_secs(1);
            assert!(addresses.enter(address(of), later).is_ok());
        }
        assert!((0..100).all(|_| addresses.enter(address("10.0.0.1"), now).is_ok()), "a proxy");
    }

    #[test]
    fn a_million_addresses_do_not_fill_the_memory() {
        let (addresses, now) = (addresses(1 << 20), Instant::now());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 1_000 {
            let _ = addresses.enter(IpAddr::from((n + (11 << 24)).to_be_bytes()), now);
        }
        assert!(addresses.lock().accounts.len() <= ADDRESSES + 1);
        let later = now + Duration::from_secs(60);
        addresses.enter(address("192.0.2.1"), later).unwrap();
        assert!(addresses.lock().accounts.len() < 10, "those who have gone are forgotten");
    }
}
