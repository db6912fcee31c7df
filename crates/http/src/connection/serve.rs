//! Serving: an accepted or resumed connection is recognised, driven in its protocol, and seen to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::connections::Connections;
use super::first_bytes::{self, FirstBytes};
use super::lifecycle::Lifecycle;
use super::linger::linger;
use super::parking::ParkedConnection;
use super::served_connection::BoxError;
use super::table::{ConnectionEntry, Eviction};
use super::tls::Secured;
use super::{http1, http2};
use crate::access::Peer;
use crate::metrics::RefusalReason;

/// What a client gets that speaks HTTP where TLS is spoken.
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 36\r\n\r\n\
    {\"detail\":\"this port speaks HTTPS\"}\n";

/// A connection that was parked, with its place in the table.
#[derive(Debug)]
pub struct ReenteredConnection {
    socket: TcpStream,
    address: SocketAddr,
    read: Bytes,
    entry: Arc<ConnectionEntry>,
    leave: Eviction,
}

impl Connections {
    /// Goes on with a connection that was parked, here or in another process.
    pub fn resume(&self, parked: ParkedConnection) {
        if let Some(reentered) = self.reenter(parked) {
            self.go_on(reentered);
        }
    }

    /// Gives a connection that was parked its place back, if there is one.
    pub fn reenter(&self, parked: ParkedConnection) -> Option<ReenteredConnection> {
        let ParkedConnection { socket, address, read, idle } = parked;
        let now = Instant::now();
        // It has been let in before.
        let place = self.addresses.keep(address.ip(), now);
        let entered = self.table.enter(address.ip(), place, now);
        match (entered, TcpStream::from_std(socket)) {
            (Some((entry, leave)), Ok(socket)) => {
                if idle {
                    drop(entry.begin(None));
                }
                return Some(ReenteredConnection { socket, address, read, entry, leave });
            }
            (None, _) => self.refused(RefusalReason::Connections),
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection of the old process could not be continued");
            }
        }
        None
    }

    /// Serves a connection that has its place back.
    pub fn go_on(&self, reentered: ReenteredConnection) {
        let ReenteredConnection { socket, address, read, entry, leave } = reentered;
        let connections = Arc::new(self.clone());
        drop(tokio::spawn(serve(socket, address, read, entry, leave, connections)));
    }
}

/// Sees a connection to its end, which the table may bring about early.
pub(super) async fn serve(
    socket: TcpStream,
    address: SocketAddr,
    read: Bytes,
    entry: Arc<ConnectionEntry>,
    leave: Eviction,
    connections: Arc<Connections>,
) {
    let peer = Peer { address, tls: connections.tls.is_some() };
    let served = tokio::select! {
        biased;
        served = recognise(socket, peer, read, &entry, &connections) => served,
        told = leave => {
            if let Ok(Some(reason)) = told {
                connections.refused(reason);
            }
            return;
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, peer = %address, tls = peer.tls, "a connection ended in error");
    }
}

/// Answers in the protocol that the client begins with.
async fn recognise(
    mut socket: TcpStream,
    peer: Peer,
    read: Bytes,
    entry: &Arc<ConnectionEntry>,
    connections: &Connections,
) -> Result<(), BoxError> {
    // A TLS connection cannot be parked: its keys exist only in this process.
    let candidate = connections.tls.is_none().then(|| connections.parking.candidate());
    let first = tokio::select! {
        biased;
        // Of which something was read has been recognised before.
        () = std::future::ready(()), if !read.is_empty() => FirstBytes::Http1,
        first = first_bytes::peek(&socket) => first?,
        () = connections.parking_wanted(), if candidate.is_some() => FirstBytes::Parked,
        () = connections.reached(Lifecycle::Stopping) => FirstBytes::Nothing,
    };
    match (first, &connections.tls) {
        (FirstBytes::Nothing, _) => Ok(()),
        (FirstBytes::Parked, _) => match candidate {
            Some(candidate) => {
                candidate.park(socket, peer.address, read, entry.is_idle()).map_err(Into::into)
            }
            None => Ok(()),
        },
        // Boxed: without it, the task of every connection would reserve room for the TLS handshake and for
        // HTTP/2, for as long as it lives.
        (FirstBytes::Tls, Some(tls)) => {
            let secured = Box::pin(Secured::handshake(socket, tls, connections)).await?;
            secured.serve(peer, entry, connections).await
        }
        (_, Some(_)) => {
            connections.refused(RefusalReason::NotTls);
            socket.write_all(SPEAKS_HTTPS).await?;
            linger(socket, connections).await;
            Ok(())
        }
        (FirstBytes::Http2, None) => {
            drop(candidate);
            http2::serve(socket, connections.answer(peer, entry), connections).await
        }
        (_, None) => {
            Box::pin(http1::serve(socket, peer, read, entry, candidate, connections)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Serve<F> =
        fn(TcpStream, SocketAddr, Bytes, Arc<ConnectionEntry>, Eviction, Arc<Connections>) -> F;

    fn size_of_task<F>(_: Serve<F>) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_each_connection_has_no_room_for_what_few_are() {
        let size = size_of_task(serve);
        assert!(size <= 1408, "{size} bytes");
    }
}
