//! TLS: a handshake, and then HTTP/2, HTTP/1 or a certificate authority's visit, as ALPN says.

use std::sync::Arc;

use axum::body::Bytes;
use fanfare_delivery::{KEY_LIMIT, Sink, TlsSocket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::connections::Connections;
use super::linger::linger;
use super::record_boundary::{Boundary, FollowedSocket};
use super::served_connection::{BoxError, ServedConnection};
use super::table::ConnectionEntry;
use super::takeover::{TakeoverMode, TakeoverService, TakeoverSlot, for_shard};
use super::tls_takeover::{self, HandshakeSecrets, can_be_taken_over};
use super::unfinished::NotedSocket;
use super::{http1, http2};
use crate::access::Peer;
use crate::metrics::RefusalReason;

/// ALPN's names of HTTP/2 (RFC 9113, 3.1), and of a certificate authority's visit (RFC 8737, 6.2).
const HTTP2_PROTOCOL: &[u8] = b"h2";
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// A connection after the handshake.
pub(super) struct Secured {
    stream: TlsStream<FollowedSocket<TcpStream>>,
    boundary: Boundary,
    secrets: Arc<HandshakeSecrets>,
}

impl Secured {
    /// Shakes hands.
    pub(super) async fn handshake(
        socket: TcpStream,
        tls: &Arc<ServerConfig>,
        connections: &Connections,
    ) -> Result<Box<Self>, BoxError> {
        let (config, secrets) = HandshakeSecrets::logged_by(tls);
        let (socket, boundary) = FollowedSocket::new(socket);
        let accepted = TlsAcceptor::from(config).accept(socket).await;
        let stream = accepted.inspect_err(|_| connections.refused(RefusalReason::TlsHandshake))?;
        Ok(Box::new(Self { stream, boundary, secrets }))
    }

    /// Goes on in the protocol that was agreed.
    pub(super) fn serve<'a>(
        self: Box<Self>,
        peer: Peer,
        entry: &'a Arc<ConnectionEntry>,
        connections: &'a Connections,
    ) -> ServedConnection<'a> {
        match self.stream.get_ref().1.alpn_protocol() {
            Some(HTTP2_PROTOCOL) => {
                http2::serve(self.stream, connections.answer(peer, entry), connections)
            }
            // The authority has seen what it came for, and says nothing more (RFC 8737, 3).
            Some(ACME_PROTOCOL) => Box::pin(async move {
                linger(self.stream, connections).await;
                Ok(())
            }),
            _ => Box::pin(self.serve_http1(peer, entry, connections)),
        }
    }

    /// Serves HTTP/1, until the connection is taken over for a stream.
    async fn serve_http1(
        self,
        peer: Peer,
        entry: &Arc<ConnectionEntry>,
        connections: &Connections,
    ) -> Result<(), BoxError> {
        let Self { stream, boundary, secrets } = self;
        let can_move = can_be_taken_over(stream.get_ref().1);
        let way =
            if can_move { TakeoverMode::BetweenRecords(boundary) } else { TakeoverMode::Body };
        let handover = TakeoverSlot::default();
        let answer = connections.answer(peer, entry);
        let service = TakeoverService { answer, handover: handover.clone(), way };
        let stream = NotedSocket::new(stream, Bytes::new(), entry.unfinished());
        let (stream, _, served) = http1::drive(stream, service, None, connections).await;
        let NotedSocket { socket: mut stream, .. } = stream;
        let Some(mut pending) = handover.take() else {
            linger(stream, connections).await;
            return served.unwrap_or(Ok(())).map_err(Into::into);
        };
        let limit = connections.limits.bounds.write_timeout;
        // A client that reads nothing draws this out. Where the hub has changed hands meanwhile, it comes back.
        match pending.outside(tls_takeover::flush_pending(&mut stream, limit)).await {
            Ok(Ok(true)) => {
                let (socket, state) = tls_takeover::take_over(stream, &secrets)?;
                let tls = TlsSocket::new(for_shard(socket)?, state, KEY_LIMIT);
                pending.join(Sink::Tls(tls), entry.take_place());
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(refusal) => {
                connections.refused(refusal.reason());
                let answer = pending.turned_away(connections.app().delivery.retry());
                timeout(limit, stream.write_all(&answer)).await??;
                linger(stream, connections).await;
            }
        }
        Ok(())
    }
}
