//! An address group: with whom a subscriber shares its turns at the log.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

/// An address, by its hash. Two that are taken for one wait for each other and notice nothing else;
/// those of one that are taken for two, by processes that hash differently, have a turn each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressGroup(pub u32);

impl AddressGroup {
    /// The group of an address.
    pub fn of(address: IpAddr) -> Self {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(HASHER.hash_one(address) as u32)
    }
}
