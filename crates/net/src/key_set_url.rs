//! Where the key set for tokens is.

use std::net::Ipv6Addr;

use http::Uri;

use crate::authority::{is_loopback, is_plain};

/// The address of a key set: `https`, or `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetUrl(Uri);

/// Why an address is not one to fetch keys from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySetUrl {
    /// Whoever is on the way could replace the keys.
    #[error("keys that come in clear text over a network could be anyone's: write https://")]
    ClearText,
    /// The rest.
    #[error("write https://host/path, such as https://id.example.com/.well-known/jwks.json")]
    Shape,
}

impl KeySetUrl {
    /// Parses an absolute URL.
    pub fn parse(text: &str) -> Result<Self, InvalidKeySetUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidKeySetUrl::Shape)?;
        let authority = uri.authority().ok_or(InvalidKeySetUrl::Shape)?;
        if !is_plain(authority) {
            return Err(InvalidKeySetUrl::Shape);
        }
        if let Some(address) = authority.host().strip_prefix('[') {
            let address = address.trim_end_matches(']');
            address.parse::<Ipv6Addr>().map_err(|_| InvalidKeySetUrl::Shape)?;
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_loopback(authority.host()) => Ok(Self(uri)),
            Some("http") => Err(InvalidKeySetUrl::ClearText),
            _ => Err(InvalidKeySetUrl::Shape),
        }
    }

    /// The address.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is fetched over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl PartialOrd for KeySetUrl {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.0.to_string().partial_cmp(&other.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_come_in_clear_text_from_elsewhere() {
        for text in ["https://id.example.com/keys", "http://localhost:1/k", "http://[::1]/"] {
            assert!(KeySetUrl::parse(text).is_ok(), "{text}");
        }
        let clear = KeySetUrl::parse("http://id.example.com/keys");
        assert_eq!(clear, Err(InvalidKeySetUrl::ClearText));
        for text in [
            "",
            "/keys",
            "id.example.com",
            "ftp://a/b",
            "https://a@b/",
            "https://a:b/c@d",
            "https:///",
        ] {
            assert_eq!(KeySetUrl::parse(text), Err(InvalidKeySetUrl::Shape), "{text}");
        }
    }
}
