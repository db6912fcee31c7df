//! Where a hub is: an `http://` URL in parts.

use std::net::{SocketAddr, ToSocketAddrs as _};

/// A resolved URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: SocketAddr,
    /// What the field `Host` says.
    pub(crate) host: String,
    /// Path and query; begins with a slash, or is empty.
    pub(crate) path: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(format!(
                "{url:?} is not an http:// URL: the checks speak over raw sockets, \
                 so give them the hub's own address, behind the TLS proxy"
            ));
        };
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let resolvable = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut found = resolvable
            .to_socket_addrs()
            .map_err(|error| format!("cannot resolve {host:?} of {url:?}: {error}"))?;
        match found.next() {
            Some(socket) => Ok(Self { socket, host: host.to_owned(), path: path.to_owned() }),
            None => Err(format!("{host:?} of {url:?} has no address")),
        }
    }
}
