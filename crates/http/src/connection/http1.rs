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
use super::connections::Connections;
use super::lifecycle::Lifecycle;
use super::linger::linger;
use super::parking::Candidate;
use super::served_connection::BoxError;
use super::table::ConnectionEntry;
use super::takeover::{TakeoverMode, TakeoverService, TakeoverSlot, for_shard};
use super::unfinished::NotedSocket;
use crate::access::Peer;

/// How much of a response over HTTP/1 hyper may hold for a peer that does not read, in bytes. What a
/// stream has waiting beyond that is bounded by its body.
const UNSENT: usize = 64 * 1024;

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

/// Serves HTTP/1 as long as hyper does, in clear text or over TLS; gives the stream back, still open, with what was
/// read ahead. Where there is an entry, it ends without a result as soon as the connection is to be parked, and is
/// quiet.
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
    let until_parking = || async {
        match entry {
            Some(_) => connections.parking_wanted().await,
            None => std::future::pending().await,
        }
    };
    let (mut parking_wanted, mut awaits) = (pin!(until_parking()), true);
    let served = poll_fn(|context| {
        let parks = || entry.is_some_and(|entry| connections.wants_parking() && entry.is_quiet());
        // No request is begun that another process could answer.
        if parks() {
            return Poll::Ready(None);
        }
        let unfinished = entry.map(|entry| entry.unfinished());
        let dropped = unfinished.and_then(|unfinished| unfinished.dropped());
        // What has come by now is read first, and answered.
        let polled = connection.poll_without_shutdown(context);
        if polled.is_pending() {
            if let Some(unfinished) = unfinished {
                unfinished.drained(dropped);
            }
            if !awaits && !connections.wants_parking() {
                // The last attempt came to nothing.
                parking_wanted.set(until_parking());
                awaits = true;
            }
            awaits = awaits && parking_wanted.as_mut().poll(context).is_pending();
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::sync::watch;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;
    use crate::access::AccessConfig;
    use crate::connection::{ConnectionLimits, ConnectionTable, TableLimits};
    use crate::gate::GateState;
    use crate::quotas::{AddressLimits, Addresses, QuotaLimits};
    use crate::router::{RouterConfig, router};
    use crate::state::AppState;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_stream_behind_an_unread_answer_holds_up_nothing() {
        let mut access = AccessConfig::private();
        access.guard.dev = true;
        let app = AppState::idle(&QuotaLimits::few(), access, 8);
        let config =
            RouterConfig { prefix: "/sse", templates: None, security_contacts: &[], mercure: None };
        let bounds = TableLimits {
            connections: 9,
            half_open: 9,
            idle: 9,
            unread: 9,
            head_timeout: MINUTE,
            idle_timeout: MINUTE,
            write_timeout: MINUTE,
        };
        let limits = ConnectionLimits {
            head: 8192,
            target: 4096,
            body_timeout: MINUTE,
            bodies: 1 << 20,
            http2_requests: 1,
            hsts: MINUTE,
            bounds,
        };
        let (_lifecycle, reached) = watch::channel(Lifecycle::Serving);
        let (connections, _ended) = Connections::new(
            router(&app, config),
            Arc::clone(&app),
            ConnectionTable::new(bounds, app.delivery.seats().clone()),
            limits,
            Addresses::new(AddressLimits { all: 9, ..AddressLimits::default() }),
            None,
            reached,
        );
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let (entry, _leave) = connections.enter(address).unwrap();
        // Of either answer only the beginning fits.
        let (mut client, hub) = duplex(64);
        let head = "Host: localhost\r\nOrigin: http://localhost:3000\r\n";
        // One with a body is followed by the next request before its answer has gone.
        let body = "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
        let asked = format!(
            "POST /sse/send/ HTTP/1.1\r\n{head}{body}GET /sse/events HTTP/1.1\r\n{head}\r\n"
        );
        let stream = NotedSocket::new(hub, asked.into(), entry.unfinished());
        let service = TakeoverService {
            answer: connections.answer(Peer { address, tls: false }, &entry),
            handover: TakeoverSlot::default(),
            way: TakeoverMode::TakeOver,
        };
        let client = async {
            let admitted = async {
                while app.delivery.seats().taken() == 0 {
                    yield_now().await;
                }
            };
            timeout(MINUTE / 6, admitted).await.expect("it is admitted");
            app.gate.set(GateState::Closed);
            timeout(MINUTE / 6, app.gate.empty()).await.expect("nobody waits inside");
            app.gate.set(GateState::Gone);
            let mut answers = String::new();
            client.read_to_string(&mut answers).await.unwrap();
            answers.to_ascii_lowercase()
        };
        let driven = async { drop(drive(stream, service, None, &connections).await) };
        let (answers, ()) = tokio::join!(client, driven);
        let (first, second) = answers.split_once("http/1.1 200 ok\r\n").expect("two answers");
        assert!(first.starts_with("http/1.1 307"), "{answers}");
        for line in [
            "content-type: text/event-stream\r\n",
            "access-control-allow-origin: http://localhost:3000\r\n",
            "x-content-type-options: nosniff\r\n",
            "connection: close\r\n",
        ] {
            assert_eq!(second.matches(line).count(), 1, "{line}: {answers}");
        }
        assert!(second.contains("\nretry: "), "{answers}");
        let counted = app.metrics.refusals();
        let counted: Vec<_> = counted.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("handed_over", 1)]);
    }
}
