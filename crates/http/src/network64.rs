//! A network: what limits count as one address.
//!
//! What must hold: nobody elsewhere is taken for this machine, neither by an address nor by what is written down of
//! one. Whoever is written down is found under the same network again.

use std::net::{IpAddr, Ipv6Addr};

use fanfare_handover::{Malformed, Reader, Writer};

use crate::access::UNKNOWN;

/// An address of IPv4, or the first 64 bits of one of IPv6: a subscriber of IPv6 commands all addresses behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network64(IpAddr);

impl Network64 {
    /// Where those are counted who cannot be told from others: not this machine.
    pub(crate) const UNKNOWN: Self = Self(UNKNOWN);

    /// That of this machine's own address of IPv6, `::1`.
    const LOOPBACK: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

    /// The network of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        let IpAddr::V6(v6) = address.to_canonical() else { return Self(address.to_canonical()) };
        let network = Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX));
        // No other address that begins like this machine's own belongs to anybody.
        let is_nobodys = network == Self::LOOPBACK && !v6.is_loopback();
        if is_nobodys { Self::UNKNOWN } else { Self(network.into()) }
    }

    /// One whose address was written down.
    pub(crate) fn written(address: IpAddr) -> Self {
        Self(address)
    }

    /// The first of its addresses, by which it is written down.
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }

    /// Whether those who are here are on this machine.
    pub(crate) fn is_this_machine(self) -> bool {
        match self.0 {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(network) => network == Self::LOOPBACK,
        }
    }

    /// Writes it down.
    pub(crate) fn write(self, writer: &mut Writer) {
        writer.address(&self.0);
    }

    /// Takes in what another process has written.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.address().map(Self::written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network64 {
        Network64::of(text.parse().unwrap())
    }

    #[test]
    fn a_client_does_not_count_anew_for_each_address_of_its_network() {
        assert_eq!(of("2001:db8:1:2:3:4:5:6").address().to_string(), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.1").address().to_string(), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn only_this_machine_is_this_machine_also_when_it_was_written_down() {
        for (text, is_here) in [
            ("127.0.0.1", true),
            ("127.8.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("::2", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            let network = of(text);
            assert_eq!(network.is_this_machine(), is_here, "{text}");
            assert_eq!(Network64::written(network.address()), network, "{text}");
        }
    }
}
