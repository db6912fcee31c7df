//! The address of a hub.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// Where a hub answers: `http://HOST[:PORT]` or `https://…`, and the path prefix below which
/// `events` and `send` lie.
///
/// Without a path the prefix is `/sse`, which is also the hub's own default. Otherwise the path is
/// that of the page (`/sse/`, with or without its last slash), or of `…/events` or `…/send`; a hub
/// at the root is named by the latter, as in `http://host/events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a last slash; empty for the root.
    prefix: String,
}

/// Why a text is not the address of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHubUrl {
    /// Neither scheme is in front.
    #[error("it must begin with http:// or https://, as in {default}", default = HubUrl::DEFAULT)]
    Scheme,
    /// There is no host, or one that no request can name.
    #[error("write a host and, if need be, a port behind the scheme, as in {default}", default = HubUrl::DEFAULT)]
    Host,
    /// A name or password stands before the host.
    #[error("it must not hold a name or password; give a token instead")]
    Credentials,
    /// There is a query or a fragment.
    #[error("it must end with the path, without ? or #")]
    Query,
}

impl HubUrl {
    /// Where a hub answers that was started without settings.
    pub const DEFAULT: &str = "http://127.0.0.1:8000";

    const DEFAULT_PREFIX: &str = "/sse";

    /// Where to publish.
    pub fn send(&self) -> String {
        format!("{}/send", self.base())
    }

    /// Where to subscribe, without a query.
    pub fn events(&self) -> String {
        format!("{}/events", self.base())
    }

    /// The host, without brackets, and the port.
    pub fn place(&self) -> (&str, u16) {
        let port = if self.is_encrypted() { 443 } else { 80 };
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        (host, self.authority.port_u16().unwrap_or(port))
    }

    /// Where to ask whether it is ready: outside the prefix.
    pub fn readyz(&self) -> String {
        format!("{}://{}/readyz", self.scheme, self.authority)
    }

    /// Whether requests are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether the host is this machine, as far as its name tells.
    pub fn is_local(&self) -> bool {
        let host = self.authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn base(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl FromStr for HubUrl {
    type Err = InvalidHubUrl;

    fn from_str(text: &str) -> Result<Self, InvalidHubUrl> {
        let scheme = match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Scheme::HTTP,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => Scheme::HTTPS,
            _ => return Err(InvalidHubUrl::Scheme),
        };
        if text.contains(['?', '#']) {
            return Err(InvalidHubUrl::Query);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidHubUrl::Host)?;
        let authority = uri.authority().ok_or(InvalidHubUrl::Host)?;
        if authority.as_str().contains('@') {
            return Err(InvalidHubUrl::Credentials);
        }
        let bare = authority.as_str() == authority.host();
        let port_is_bad = !bare && authority.port_u16().is_none();
        if authority.host().is_empty() || port_is_bad {
            return Err(InvalidHubUrl::Host);
        }
        let prefix = match uri.path().trim_end_matches('/') {
            "" => Self::DEFAULT_PREFIX,
            path => match path.rsplit_once('/') {
                Some((prefix, "events" | "send")) => prefix,
                _ => path,
            },
        };
        Ok(Self { scheme, authority: authority.clone(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.base())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(text: &str) -> String {
        text.parse::<HubUrl>().unwrap().send()
    }

    #[test]
    fn a_prefix_is_neither_doubled_nor_forgotten() {
        for (text, expected) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/sse/send"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/sse/send"),
            ("http://host/sse", "http://host/sse/send"),
            ("http://host/sse/", "http://host/sse/send"),
            ("http://host/sse/events", "http://host/sse/send"),
            ("https://host/a/b/", "https://host/a/b/send"),
            ("http://[::1]:8000/live", "http://[::1]:8000/live/send"),
            ("http://host/events", "http://host/send"),
            ("HTTP://host/send/", "http://host/send"),
        ] {
            assert_eq!(send(text), expected, "{text}");
        }
    }

    #[test]
    fn what_could_not_be_asked_for_is_refused_here() {
        for (text, error) in [
            ("", InvalidHubUrl::Scheme),
            ("localhost:8000", InvalidHubUrl::Scheme),
            ("ftp://host", InvalidHubUrl::Scheme),
            ("http://", InvalidHubUrl::Host),
            ("http:///sse", InvalidHubUrl::Host),
            ("http://a b/", InvalidHubUrl::Host),
            ("http://host:port/", InvalidHubUrl::Host),
            ("http://host/sse\r\nx: y", InvalidHubUrl::Host),
            ("http://host/?topic=a", InvalidHubUrl::Query),
            ("http://host/#a", InvalidHubUrl::Query),
            ("http://user:secret@host/", InvalidHubUrl::Credentials),
        ] {
            assert_eq!(text.parse::<HubUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_distant_host_never_counts_as_this_machine() {
        for (text, local) in [
            ("http://localhost:8000", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(text.parse::<HubUrl>().unwrap().is_local(), local, "{text}");
        }
    }
}
