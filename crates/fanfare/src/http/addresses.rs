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

use super::client::{UNKNOWN, network_of};
use super::rates::Bucket;
use crate::metrics::Refused;
use crate::settings::{Network, Settings};

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
pub(crate) struct Addresses {
    /// Where nothing is set, this machine is not limited.
    limits_this_machine: [bool; 2],
    connections: usize,
    rate: f64,
    pub(super) proxies: Vec<Network>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    accounts: HashMap<IpAddr, Account>,
    /// When those who have gone were last looked for in a full table.
    swept: Option<Instant>,
}

/// What one address has.
#[derive(Debug)]
struct Account {
    connections: Seats,
    openings: Bucket,
}

impl Addresses {
    /// As `settings` say, where there may be so many connections in all.
    pub(crate) fn new(settings: &Settings, all: usize) -> Self {
        let limits_this_machine =
            [settings.max_connections_per_address.is_some(), settings.connection_rate.is_some()];
        let share = || (all / SHARE).clamp(1, CONNECTIONS);
        Self {
            limits_this_machine,
            connections: settings.max_connections_per_address.unwrap_or_else(share),
            rate: settings.connection_rate.unwrap_or(RATE) as f64,
            proxies: settings.trusted_proxy.clone(),
            table: Mutex::default(),
        }
    }

    /// Whether an address is one that speaks for many.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.proxies.iter().any(|range| range.contains(address))
    }

    /// A place for a new connection from here; `None` if there is nothing to count.
    pub(super) fn enter(&self, address: IpAddr, now: Instant) -> Result<Option<Seat>, Refused> {
        let address = address.to_canonical();
        if self.is_proxy(address) {
            return Ok(None);
        }
        let [few, slowly] = self.limits_this_machine.map(|set| set || !address.is_loopback());
        if !few && !slowly {
            return Ok(None);
        }
        let mut table = self.lock();
        let account = self.account(&mut table, network_of(address), now);
        if slowly && account.openings.draw(self.rate, now).is_err() {
            return Err(Refused::ConnectionRate);
        }
        if !few {
            return Ok(None);
        }
        account.connections.take().map(Some).ok_or(Refused::AddressConnections)
    }

    fn account<'a>(&self, table: &'a mut Table, network: IpAddr, now: Instant) -> &'a mut Account {
        let Table { accounts, swept } = table;
        let lately = swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP);
        let full = accounts.len() >= ADDRESSES && !lately;
        if full || (accounts.len() == accounts.capacity() && accounts.len() < ADDRESSES) {
            *swept = Some(now);
            accounts.retain(|_, account| account.is_in_use(self.rate, now));
            let used = accounts.len();
            accounts.shrink_to(used * 2);
            accounts.reserve(used);
        }
        let known = accounts.len() < ADDRESSES || accounts.contains_key(&network);
        let network = if known { network } else { UNKNOWN };
        accounts.entry(network).or_insert_with(|| Account {
            connections: Seats::new(self.connections),
            openings: Bucket::full(self.rate, now),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn is_in_use(&self, rate: f64, now: Instant) -> bool {
        self.connections.taken() > 0 || !self.openings.is_full(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flags;

    fn addresses(variables: &[(&str, &str)], all: usize) -> Addresses {
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        };
        Addresses::new(&Settings::resolve(&Flags::default(), value, None).unwrap(), all)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_all_connections() {
        let (addresses, now) = (addresses(&[], 8), Instant::now());
        let enter = |text: &str| addresses.enter(address(text), now);
        let held: Vec<_> = ["2001:db8::1", "2001:db8::2"].map(|a| enter(a).unwrap()).into();
        assert_eq!(enter("2001:db8::3").unwrap_err(), Refused::AddressConnections);
        assert!(enter("2001:db8:0:1::1").unwrap().is_some());
        drop(held);
        assert!(enter("2001:db8::3").unwrap().is_some());
        for _ in 0..10 {
            assert!(enter("127.0.0.1").unwrap().is_none(), "this machine is not limited");
        }
    }

    #[test]
    fn one_address_opens_connections_without_end() {
        let set = [("FANFARE_CONNECTION_RATE", "5"), ("FANFARE_TRUSTED_PROXY", "10.0.0.0/8")];
        let (addresses, now) = (addresses(&set, 1000), Instant::now());
        for of in ["192.0.2.1", "127.0.0.1"] {
            let opened = (0..100).take_while(|_| addresses.enter(address(of), now).is_ok()).count();
            assert_eq!(opened, 10, "{of}");
            let later = now + Duration::from_secs(1);
            assert!(addresses.enter(address(of), later).is_ok());
        }
        assert!((0..100).all(|_| addresses.enter(address("10.0.0.1"), now).is_ok()), "a proxy");
    }

    #[test]
    fn a_million_addresses_fill_the_memory() {
        let (addresses, now) = (addresses(&[], 1 << 20), Instant::now());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 1_000 {
            let _ = addresses.enter(IpAddr::from((n + (11 << 24)).to_be_bytes()), now);
        }
        assert!(addresses.lock().accounts.len() <= ADDRESSES + 1);
        let later = now + Duration::from_secs(60);
        addresses.enter(address("192.0.2.1"), later).unwrap();
        assert!(addresses.lock().accounts.len() < 10, "those who have gone are forgotten");
    }
}
