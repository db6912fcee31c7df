//! A host name that requests may be meant for.

use std::net::{IpAddr, Ipv6Addr};

use super::field::Value;
use super::origin::{InvalidOrigin, normal_host, split_port};

/// A name or address, and perhaps a port, as a `Host` header gives it (RFC 9110, 7.2). Without a
/// port it stands for every port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

/// A text that is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a name in punycode or an address, such as app.example.com, [::1] or 10.0.0.7:8000")]
pub struct InvalidHost;

impl Host {
    /// Whether a request for `other` is one for this host.
    pub(crate) fn admits(&self, other: &Self) -> bool {
        self.name == other.name && (self.port.is_none() || self.port == other.port)
    }

    /// Whether it names this machine itself, whatever a name server says.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.name)
    }

    /// Whether it is an address, and no name.
    pub(crate) fn is_address(&self) -> bool {
        address(&self.name).is_some()
    }

    /// Whether no stranger can have it lead to a machine of ours: it is an address, or a name that no
    /// public name server answers for.
    pub(crate) fn is_beyond_strangers(&self) -> bool {
        /// Kept for local use (RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution on `internal`).
        const LOCAL: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".test"];
        let dotless = !self.name.contains('.');
        dotless || self.is_address() || LOCAL.iter().any(|suffix| self.name.ends_with(suffix))
    }
}

/// Whether a host names this machine itself: its addresses, and the names that are kept for it
/// (RFC 6761, 6.3).
pub(super) fn is_loopback(name: &str) -> bool {
    match address(name) {
        Some(address) => address.to_canonical().is_loopback(),
        None => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
        None => name.parse().ok(),
    }
}

impl Value for Host {
    const PLACEHOLDER: &'static str = "HOST";
    const NOUN: &'static str = "a host";
    type Error = InvalidHost;

    fn parse(text: &str) -> Result<Self, InvalidHost> {
        let text = text.to_ascii_lowercase();
        let (name, port) = split_port(&text).map_err(|_: InvalidOrigin| InvalidHost)?;
        let name = normal_host(name.strip_suffix('.').unwrap_or(name)).map_err(|_| InvalidHost)?;
        Ok(Self { name, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_merely_looks_local_is_taken_for_this_machine() {
        let local = |text: &str| Host::parse(text).is_ok_and(|host| host.is_loopback());
        for text in [
            "localhost",
            "LOCALHOST:8000",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:80",
            "localhost.",
            "localhost.:8000",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(local(text), "{text}");
        }
        for text in [
            "localhost.example.com",
            "127.0.0.1.example.com",
            "notlocalhost",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "",
            "127.0.0.1@evil.example",
        ] {
            assert!(!local(text), "{text}");
        }
    }

    #[test]
    fn a_stranger_has_a_name_of_its_own_lead_here() {
        let ours = |text: &str| Host::parse(text).unwrap().is_beyond_strangers();
        for text in ["10.0.0.7:8000", "[fd00::1]", "hub", "hub:8000", "hub.local", "a.b.internal."]
        {
            assert!(ours(text), "{text}");
        }
        for text in ["hub.example.com", "10.0.0.7.example.com", "local.example", "10.0.0.7.x"] {
            assert!(!ours(text), "{text}");
        }
    }

    #[test]
    fn a_port_is_overlooked() {
        let [any, one] = ["a.example", "a.example:81"].map(|text| Host::parse(text).unwrap());
        assert!(any.admits(&one) && any.admits(&any) && one.admits(&one));
        assert!(!one.admits(&any));
        assert!(!any.admits(&Host::parse("b.example").unwrap()));
    }
}
