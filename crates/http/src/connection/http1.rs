//! HTTP/1: driven by hyper, until its socket is taken over for a stream, parked, or closed.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::body::Bytes;
use axum::http::{Request, Response};
use fanfare_delivery::Sink;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::answer::AnswerBody;
use super::linger::linger;
use super::parking::Candidate;
use super::table::ConnectionEntry;
use super::takeover::{TakeoverMode, TakeoverService, TakeoverSlot, for_shard};
use super::unfinished::NotedSocket;
use super::{BoxError, Connections, Lifecycle, UNSENT};
use crate::access::Peer;

/// Serves HTTP/1 in clear text, until the socket is taken over for a stream, or parked.
pub(super) async fn serve(
    socket: TcpStream,
    peer: Peer,
    read: Bytes,
    entry: &Arc<ConnectionEntry>,
    candidate: Option<Candidate>,
    connections: &Connections,
) -> Result<(), BoxError> {
    let handover = TakeoverSlot::default();
    let answer = connections.answer(peer, entry);
    let service =
        TakeoverService { answer, handover: handover.clone(), way: TakeoverMode::TakeOver };
    let stream = NotedSocket::new(socket, read, entry.unfinished());
    let (stream, ahead, served) = drive(stream, service, Some(entry), connections).await;
    let NotedSocket { socket, read, .. } = stream;
    let Some(served) = served else {
        let Some(candidate) = candidate else { return Ok(()) };
        let read = [ahead, read].concat().into();
        return candidate.park(socket, peer.address, read, entry.is_idle()).map_err(Into::into);
    };
    if let Some(pending) = handover.take() {
        pending.join(Sink::Socket(for_shard(socket)?), entry.take_place());
        return Ok(());
    }
    // It ends: nobody who waits for connections to be parked waits for it.
    drop(candidate);
    linger(socket, connections).await;
    served.map_err(Into::into)
}

/// Serves HTTP/1 as long as hyper does, in clear text or over TLS; gives the stream back, still open, with what was read ahead. Where
/// there is an entry, it ends without a result as soon as the connection is to be parked, and is quiet.
pub(super) async fn drive<I, S>(
    stream: NotedSocket<I>,
    service: S,
    entry: Option<&Arc<ConnectionEntry>>,
    connections: &Connections,
) -> (NotedSocket<I>, Bytes, Option<hyper::Result<()>>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<AnswerBody>> + Unpin,
    S::Future: Unpin,
    S::Error: Into<BoxError>,
{
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The table sees to it.
        .header_read_timeout(None)
        // A client may end its side and wait for its answer. Over TLS a stream may be hyper's to watch,
        // and the end of the client's side is how it learns that nobody listens any more.
        .half_close(connections.tls.is_none())
        .max_header_size(connections.limits.head)
        .max_buf_size(connections.limits.head.max(UNSENT))
        .serve_connection(TokioIo::new(stream), service);
    let mut stopped = pin!(connections.reached(Lifecycle::Stopping));
    let mut stopping = false;
    let narrowing = || async {
        match entry {
            Some(_) => connections.narrowed().await,
            None => std::future::pending().await,
        }
    };
    let (mut narrowed, mut awaits) = (pin!(narrowing()), true);
    let served = poll_fn(|context| {
        let parks = || entry.is_some_and(|entry| connections.is_narrow() && entry.is_quiet());
        // No request is begun that another process could answer.
        if parks() {
            return Poll::Ready(None);
        }
        // What has come by now is read first, and answered.
        let polled = connection.poll_without_shutdown(context);
        if polled.is_pending() {
            if !awaits && !connections.is_narrow() {
                // The last attempt came to nothing.
                narrowed.set(narrowing());
                awaits = true;
            }
            awaits = awaits && narrowed.as_mut().poll(context).is_pending();
            if parks() {
                return Poll::Ready(None);
            }
        }
        if polled.is_pending() && !stopping && stopped.as_mut().poll(context).is_ready() {
            stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
            return connection.poll_without_shutdown(context).map(Some);
        }
        polled.map(Some)
    })
    .await;
    let http1::Parts { io, read_buf, .. } = connection.into_parts();
    (io.into_inner(), read_buf, served.map(|served| connections.count(served)))
}
