//! A host name that requests may be meant for.

use crate::authority::{address, is_loopback, normal_host, split_port};

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
    /// Parses what a `Host` header, or a person, gives.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let text = text.to_ascii_lowercase();
        let (name, port) = split_port(&text).ok_or(InvalidHost)?;
        let name = normal_host(name.strip_suffix('.').unwrap_or(name)).ok_or(InvalidHost)?;
        Ok(Self { name, port })
    }

    /// Whether a request for `other` is one for this host.
    pub fn admits(&self, other: &Self) -> bool {
        self.name == other.name && (self.port.is_none() || self.port == other.port)
    }

    /// Whether it names this machine itself, whatever a name server says.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.name)
    }

    /// Whether it is an address, and no name.
    pub fn is_address(&self) -> bool {
        address(&self.name).is_some()
    }

    /// Whether no stranger can have it lead to a machine of ours: it is an address, or a name that no
    /// public name server answers for.
    pub fn is_not_publicly_resolvable(&self) -> bool {
        /// Kept for local use (RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution on `internal`).
        const LOCAL: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".test"];
        let dotless = !self.name.contains('.');
        dotless || self.is_address() || LOCAL.iter().any(|suffix| self.name.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_merely_looks_local_is_not_taken_for_this_machine() {
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
    fn a_name_of_a_stranger_that_leads_here_is_refused() {
        let ours = |text: &str| Host::parse(text).unwrap().is_not_publicly_resolvable();
        for text in ["10.0.0.7:8000", "[fd00::1]", "hub", "hub:8000", "hub.local", "a.b.internal."]
        {
            assert!(ours(text), "{text}");
        }
        for text in ["hub.example.com", "10.0.0.7.example.com", "local.example", "10.0.0.7.x"] {
            assert!(!ours(text), "{text}");
        }
    }

    #[test]
    fn no_port_is_overlooked() {
        let [any, one] = ["a.example", "a.example:81"].map(|text| Host::parse(text).unwrap());
        assert!(any.admits(&one) && any.admits(&any) && one.admits(&one));
        assert!(!one.admits(&any));
        assert!(!any.admits(&Host::parse("b.example").unwrap()));
    }
}
