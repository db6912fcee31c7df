//! The hub under load: where it listens and the paths it serves.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use serde::Serialize;

/// A hub's page URL, taken apart: `http://HOST[:PORT]/PREFIX/`. `events` and `send` lie below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Target {
    /// Host and port, as the `Host` header wants them.
    authority: String,
    /// The path without its last slash; empty for the root.
    prefix: String,
}

/// This is not the URL of a hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a hub's URL: write `http://HOST:PORT/sse/`")]
pub struct InvalidTarget(String);

impl Target {
    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The path of `name` below the hub's page.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Looks the host's address up.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let with_port = match self.authority.parse::<SocketAddr>() {
            Ok(address) => return Ok(address),
            Err(_) if self.has_port() => self.authority.clone(),
            Err(_) => format!("{}:80", self.authority),
        };
        with_port.to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn has_port(&self) -> bool {
        self.authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(url: &str) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(invalid)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if authority.is_empty()
            || authority.contains('@')
            || !plain(rest)
            || path.contains(['?', '#'])
        {
            return Err(invalid());
        }
        let prefix = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        Ok(Self { authority: authority.to_owned(), prefix })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}/", self.authority, self.prefix)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> String {
        url.parse::<Target>().unwrap().path("events")
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        assert_eq!(path("http://127.0.0.1:8000/sse/"), "/sse/events");
        assert_eq!(path("http://127.0.0.1:8000/sse"), "/sse/events");
        assert_eq!(path("http://localhost"), "/events");
        assert_eq!(path("http://[::1]:80/a/b/"), "/a/b/events");
    }

    #[test]
    fn what_could_not_be_asked_for_is_refused() {
        for url in [
            "",
            "127.0.0.1:8000",
            "https://localhost/",
            "http://",
            "http:///sse",
            "http://a b/",
            "http://host/sse\r\nx: y/",
            "http://host/?q",
            "http://user@host/",
        ] {
            let refused = url.parse::<Target>();
            assert_eq!(refused, Err(InvalidTarget(url.to_owned())));
        }
    }
}
