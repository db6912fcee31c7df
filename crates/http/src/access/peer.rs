//! A peer: who is at the other end of the connection that a request came over.

use std::net::SocketAddr;

/// The other end of a connection. Every request carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Where the connection comes from: a client, or the last proxy before the hub.
    pub(crate) address: SocketAddr,
    /// Whether the connection is encrypted up to the hub itself.
    pub(crate) tls: bool,
}
