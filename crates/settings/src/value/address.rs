//! The address to listen on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::SettingValue;

/// A text that is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write an IP address and a port, such as 127.0.0.1:8000, [::1]:8000 or 0.0.0.0:8000; \
     :8000 and localhost:8000 mean 127.0.0.1:8000"
)]
pub struct InvalidAddress;

impl SettingValue for SocketAddr {
    const PLACEHOLDER: &'static str = "ADDRESS";
    const NOUN: &'static str = "an address to listen on";
    type Error = InvalidAddress;

    /// A missing host is the loopback: what reaches the whole network is to be asked for in so
    /// many words. Names are not looked up.
    fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let local = text.strip_prefix("localhost").unwrap_or(text).strip_prefix(':');
        match local {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                let port = port.parse().map_err(|_| InvalidAddress)?;
                Ok(Self::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
            }
            _ => text.parse().map_err(|_| InvalidAddress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_address_does_not_open_the_hub_to_the_network() {
        for text in [":8000", "localhost:8000", "127.0.0.1:8000"] {
            assert_eq!(SocketAddr::parse(text), Ok(SocketAddr::from(([127, 0, 0, 1], 8000))));
        }
        assert_eq!(SocketAddr::parse("[::1]:0").unwrap().to_string(), "[::1]:0");
        assert_eq!(SocketAddr::parse("0.0.0.0:80").unwrap().to_string(), "0.0.0.0:80");
    }

    #[test]
    fn half_an_address_is_refused() {
        for text in ["", ":", "8000", "localhost", "127.0.0.1", "::1:x", ":65536", ":+80", "h:80"] {
            assert_eq!(SocketAddr::parse(text), Err(InvalidAddress), "{text}");
        }
    }
}
