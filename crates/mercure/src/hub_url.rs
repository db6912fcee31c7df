//! The hub's URL: what relative topics and patterns are resolved against, what tokens are meant for, and what
//! belongs to the hub alone.

use percent_encoding::percent_decode_str;
use url::Url;

/// The URL under which a hub speaks Mercure's protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MercureUrl {
    url: Url,
    /// The same, as it was given: what tokens name as their audience.
    text: String,
}

/// Why a text is not the URL of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMercureUrl {
    /// It is not one of HTTP at all.
    #[error("not an http or https URL")]
    NotHttp,
    /// It leads elsewhere than to where the protocol is spoken.
    #[error("the path of a hub's URL is {}", MercureUrl::PATH)]
    Path,
    /// It holds what a hub's URL has no use for.
    #[error("a hub's URL has no user, query or fragment")]
    Surplus,
}

impl MercureUrl {
    /// Where a hub speaks the protocol.
    pub const PATH: &str = "/.well-known/mercure";

    /// Checks a text.
    ///
    /// # Errors
    ///
    /// See [`InvalidMercureUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidMercureUrl> {
        let url = Url::parse(text).map_err(|_| InvalidMercureUrl::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidMercureUrl::NotHttp);
        }
        if url.path() != Self::PATH {
            return Err(InvalidMercureUrl::Path);
        }
        let named = !url.username().is_empty() || url.password().is_some();
        if named || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidMercureUrl::Surplus);
        }
        Ok(Self { url, text: text.to_owned() })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What comes before the path: `https://hub.example.com`.
    pub fn origin(&self) -> &str {
        &self.url.as_str()[..self.url.as_str().len() - Self::PATH.len()]
    }

    /// A topic as a URL; `None` for one that is none.
    pub(crate) fn resolve(&self, topic: &str) -> Option<Url> {
        self.url.join(topic).ok()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a topic names something of the hub's own, wherever it says that is, and however it is written.
    pub fn owns(&self, topic: &str) -> bool {
        let Some(url) = self.resolve(topic) else { return false };
        let path = decode_unreserved(url.path());
        path.strip_prefix(Self::PATH.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

/// Undoes the escapes of those characters that need none (RFC 3986, 2.3). The parser has removed dot segments, also
/// those that were escaped.
fn decode_unreserved(path: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        plain.extend_from_slice(before.as_bytes());
        let length = if escape.is_char_boundary(3) { 3 } else { 1 };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        let mut decoded = percent_decode_str(escape);
        match (decoded.next(), decoded.next()) {
            (Some(byte @ (b'-' | b'.' | b'_' | b'~')), None) => plain.push(byte),
            (Some(byte), None) if byte.is_ascii_alphanumeric() => plain.push(byte),
            _ => plain.extend_from_slice(escape.as_bytes()),
        }
        rest = after;
    }
    plain.extend_from_slice(rest.as_bytes());
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> MercureUrl {
        MercureUrl::parse("https://hub.example.com/.well-known/mercure").unwrap()
    }

    #[test]
    fn a_disguised_topic_of_the_hubs_own_is_seen() {
        for topic in [
            "/.well-known/mercure",
            "/.well-known/mercure/subscriptions",
            "https://hub.example.com/.well-known/mercure/subscriptions/exact/a/b",
            "https://other.example/.well-known/mercure",
            "//other.example/.well-known/mercure/x",
            "/.well-known/%6Dercure/x",
            "/.well-known/%6d%65rcure",
            "/%2ewell-known/mercure",
            "/.well-known/mercure/../mercure/x",
            "/.well-known/x/%2e%2e/mercure",
            "/a/./../.well-known/mercure",
            "\\.well-known\\mercure",
            "mercure",
            "./mercure/x",
            "/.well-known/mercure?x",
            "/.well-known/mercure#x",
            "#x",
            "?x",
            "ftp://x/.well-known/mercure",
            "x:/.well-known/mercure/y",
        ] {
            assert!(hub().owns(topic), "{topic}");
        }
        for topic in [
            "/.well-known/mercury",
            "/.well-known/mercure2",
            "/.well-known/Mercure",
            "/x/.well-known/mercure",
            "https://hub.example.com/?/.well-known/mercure",
            "urn:x:/.well-known/mercure",
            "https://[",
            "orders/1",
            "/.well-known/mercure%2Fx",
            "/.well-known/mercure/..",
            "%",
            "%é",
        ] {
            assert!(!hub().owns(topic), "{topic}");
        }
    }

    #[test]
    fn a_hub_url_that_cannot_be_served_is_refused() {
        let refused = |text| MercureUrl::parse(text).unwrap_err();
        assert_eq!(refused("ftp://x/.well-known/mercure"), InvalidMercureUrl::NotHttp);
        assert_eq!(refused("/.well-known/mercure"), InvalidMercureUrl::NotHttp);
        assert_eq!(refused("https://x/hub"), InvalidMercureUrl::Path);
        assert_eq!(refused("https://u@x/.well-known/mercure"), InvalidMercureUrl::Surplus);
        assert_eq!(hub().origin(), "https://hub.example.com");
    }
}
