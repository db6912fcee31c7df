//! Allowances: what everyone has used of the rates, as it is handed to the process that goes on with a hub.
//!
//! What must hold: nobody has more because the hub changed hands. How fast addresses open connections is not
//! among it: they keep those they have.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use fanfare_handover::{Malformed, Reader, Writer};

use crate::state::AppState;

impl AppState {
    /// Writes down what everyone has used.
    pub fn write_allowances(&self, writer: &mut Writer) {
        let now = Instant::now();
        self.quotas.write_rates(writer, now);
        self.access.write_failures(writer, now);
    }

    /// Takes in what another process has written.
    ///
    /// # Errors
    ///
    /// It is not what [`AppState::write_allowances`] has written.
    pub fn read_allowances(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let now = Instant::now();
        self.quotas.read_rates(reader, now)?;
        self.access.read_failures(reader, now)
    }
}

/// Writes an address.
pub(crate) fn write_address(writer: &mut Writer, address: &IpAddr) {
    writer.flag(address.is_ipv4());
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => *address,
    };
    writer.bytes(&address.octets());
}

/// See [`write_address`].
pub(crate) fn read_address(reader: &mut Reader<'_>) -> Result<IpAddr, Malformed> {
    const NONE: Malformed = Malformed("an address is none");
    let is_v4 = reader.flag()?;
    let octets: [u8; 16] = reader.bytes()?.try_into().map_err(|_| NONE)?;
    let address = Ipv6Addr::from(octets);
    match (is_v4, address.to_ipv4_mapped()) {
        (true, Some(address)) => Ok(IpAddr::V4(address)),
        (false, _) => Ok(IpAddr::V6(address)),
        (true, None) => Err(NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::AccessConfig;
    use crate::quotas::QuotaLimits;

    #[test]
    fn an_address_stays_the_same() {
        for text in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "::", "127.0.0.1"] {
            let address: IpAddr = text.parse().unwrap();
            let mut writer = Writer::new();
            write_address(&mut writer, &address);
            assert_eq!(read_address(&mut Reader::new(&writer.finish())), Ok(address));
        }
    }

    #[test]
    fn what_one_process_writes_another_reads() {
        let app = || AppState::idle(&QuotaLimits::few(), AccessConfig::private(), 1);
        let mut writer = Writer::new();
        app().write_allowances(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        app().read_allowances(&mut reader).unwrap();
        reader.end().unwrap();
    }
}
