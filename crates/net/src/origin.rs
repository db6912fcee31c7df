//! An origin that may use the hub from a browser.

use crate::authority::{is_loopback, normal_host, split_port};

/// A web origin as a browser's `Origin` header spells it (RFC 6454, 6.2): lower case, without the
/// scheme's default port. Two of them are the same origin exactly if their bytes are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// Why a text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// The text is, or holds, a `*`.
    #[error(
        "every site would be let in with its visitors' credentials; \
         name each one, such as https://app.example.com"
    )]
    Wildcard,
    /// The text is `null`.
    #[error("any sandboxed page can claim it; name a site, such as https://app.example.com")]
    Null,
    /// Something follows the port, or the host if there is none.
    #[error("write nothing behind the host and port, not even a slash: https://app.example.com")]
    Path,
    /// The host holds what a browser would spell otherwise.
    #[error(
        "write a name in punycode, or an address: https://xn--caf-dma.example, https://[::1]:8000"
    )]
    Host,
    /// The rest.
    #[error("write scheme://host or scheme://host:port, such as https://app.example.com")]
    Shape,
}

impl Origin {
    /// Parses what an `Origin` header, or a person, gives.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        let text = text.to_ascii_lowercase();
        if text == "null" {
            return Err(InvalidOrigin::Null);
        }
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin::Shape)?;
        if !is_scheme(scheme) {
            return Err(InvalidOrigin::Shape);
        }
        if authority.contains(['/', '?', '#']) {
            return Err(InvalidOrigin::Path);
        }
        let (host, port) = split_port(authority).ok_or(InvalidOrigin::Shape)?;
        let host = normal_host(host).ok_or(InvalidOrigin::Host)?;
        Ok(Self(match port {
            Some(port) if default_port(scheme) != Some(port) => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }))
    }

    /// The origin, as the header spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of this machine itself, whatever its port.
    pub fn is_local(&self) -> bool {
        let authority = self.0.split_once("://").map_or("", |(_, authority)| authority);
        split_port(authority).is_some_and(|(host, _)| is_loopback(host))
    }
}

/// RFC 3986, 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelt_as_by_the_browser() {
        for (text, origin) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("http://localhost:03000", "http://localhost:3000"),
            ("http://[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), origin);
        }
    }

    #[test]
    fn no_more_is_let_in_than_is_named() {
        for (text, error) in [
            ("*", InvalidOrigin::Wildcard),
            ("https://*.example.com", InvalidOrigin::Wildcard),
            ("null", InvalidOrigin::Null),
            ("NULL", InvalidOrigin::Null),
            ("", InvalidOrigin::Shape),
            ("example.com", InvalidOrigin::Shape),
            ("://example.com", InvalidOrigin::Shape),
            ("https://example.com/", InvalidOrigin::Path),
            ("https://example.com/app", InvalidOrigin::Path),
            ("https://a@example.com", InvalidOrigin::Host),
            ("https://", InvalidOrigin::Host),
            ("https://café.example", InvalidOrigin::Host),
            ("https://::1", InvalidOrigin::Shape),
            ("https://[::1", InvalidOrigin::Shape),
            ("https://[::x]", InvalidOrigin::Host),
            ("https://example.com:", InvalidOrigin::Shape),
            ("https://example.com:+80", InvalidOrigin::Shape),
            ("https://example.com:65536", InvalidOrigin::Shape),
        ] {
            assert_eq!(Origin::parse(text), Err(error), "{text}");
        }
    }
}
