//! A limit for each address.
//!
//! What must hold: a limit that is set holds for everyone. Where none is set, this machine has none: proxies and
//! programs of the site are there.

use crate::network64::Network64;

/// How much one address may have: what is set, or else a default for others than this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressLimit<T> {
    set: Option<T>,
    default: T,
}

impl<T: Copy> AddressLimit<T> {
    /// What is set, if anything is, and what counts elsewhere if nothing is.
    pub(crate) fn new(set: Option<T>, default: T) -> Self {
        Self { set, default }
    }

    /// How much a network may have; `None` if there is no limit for it.
    pub(crate) fn of(self, network: Network64) -> Option<T> {
        self.set.or((!network.is_this_machine()).then_some(self.default))
    }

    /// How much those may have who are limited.
    pub(crate) fn amount(self) -> T {
        self.set.unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn this_machine_is_limited_where_a_limit_is_set() {
        let of = |limit: AddressLimit<u64>| {
            [[127, 0, 0, 1], [192, 0, 2, 1]].map(|it| limit.of(Network64::of(IpAddr::from(it))))
        };
        assert_eq!(of(AddressLimit::new(None, 7)), [None, Some(7)]);
        assert_eq!(of(AddressLimit::new(Some(3), 7)), [Some(3), Some(3)]);
    }
}
