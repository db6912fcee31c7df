//! A connection: accepted, entered in the table, recognised by its first bytes, and driven by
//! hyper until it ends or its socket is taken over.
//!
//! What must hold: whoever sends nothing, too little or nonsense costs a place in the table for a
//! bounded time, and holds up nobody.

mod answer;
mod crowd;
mod frames;
mod limits;
mod parking;
mod progress;
mod record_boundary;
mod table;
mod takeover;
mod tls_takeover;

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, Response};
use fanfare_delivery::{Sink, TlsSocket};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use self::answer::{AnswerBody, Answerer, BodyService};
use self::frames::Frames;
pub use self::limits::Limits;
pub(crate) use self::parking::Unfinished;
use self::parking::{Candidate, Resumed};
pub use self::parking::{ParkedConnection, Parking};
use self::progress::ResponseTasks;
use self::record_boundary::FollowedSocket;
pub use self::table::{Bounds, ConnectionTable};
use self::table::{ConnectionEntry, Dismissal};
use self::takeover::{Handover, TakeoverService, Way, for_shard};
use self::tls_takeover::{HandshakeSecrets, can_be_taken_over};
use crate::access::Peer;
use crate::dialect::NATIVE;
use crate::front::Front;
use crate::gate::Passage;
use crate::metrics::RefusalReason;
use crate::quotas::Addresses;
use crate::request_body::MemoryBudget;
use crate::state::{AppState, Endpoint};

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often those in the table whose time is over are seen to.
const EXPIRY: Duration = Duration::from_millis(250);
/// What an HTTP/2 client with prior knowledge begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a TLS client begins with: the type of a handshake record (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// ALPN's names of HTTP/2 (RFC 9113, 3.1), and of a certificate authority's visit (RFC 8737, 6.2).
const HTTP2_PROTOCOL: &[u8] = b"h2";
const ACME_PROTOCOL: &[u8] = b"acme-tls/1";
/// How much of a response hyper may hold for a peer that does not read, in bytes: over HTTP/2 for
/// each stream. What a stream has waiting beyond that is bounded by its body.
const UNSENT: usize = 64 * 1024;
/// How much of requests an HTTP/2 peer may send ahead of what is read, in bytes: for one, and for
/// all of a connection.
const HTTP2_WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);
/// How many streams an HTTP/2 peer may have reset, faster than they are dealt with, before its
/// connection is closed ("rapid reset", CVE-2023-44487); and how many it may have made us reset.
const HTTP2_RESETS: (usize, usize) = (20, 64);
/// How long, and for how many bytes, a connection that is closing still reads: a peer that is
/// sending would not see the answer if its bytes met a closed socket (RFC 9112, 9.6).
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1024 * 1024);
/// What a client gets that speaks HTTP where TLS is spoken.
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 36\r\n\r\n\
    {\"detail\":\"this port speaks HTTPS\"}\n";

/// How far the hub is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    /// It is not on its way.
    Serving,
    /// Streams are being closed. Whoever comes is answered all the same, as one who must come back.
    Draining,
    /// Nobody comes any more, and what was begun is finished.
    Stopping,
}

/// What every connection shares: how requests are answered, what is allowed, and when to stop.
#[derive(Debug, Clone)]
pub struct Connections {
    front: Front,
    endpoint: Endpoint,
    table: Arc<ConnectionTable>,
    limits: Limits,
    budget: Arc<MemoryBudget>,
    answers: Arc<MemoryBudget>,
    addresses: Arc<Addresses>,
    /// Where it is, nothing but TLS is spoken.
    tls: Option<Arc<ServerConfig>>,
    lifecycle: watch::Receiver<Lifecycle>,
    parking: Arc<Parking>,
    /// Dropped with the last connection.
    _alive: mpsc::Sender<Infallible>,
}

impl Connections {
    /// Answers by `front` until the hub is stopping. The receiver ends once every connection has.
    pub fn new(
        front: Front,
        app: Arc<AppState>,
        table: Arc<ConnectionTable>,
        limits: Limits,
        addresses: Addresses,
        tls: Option<Arc<ServerConfig>>,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> (Self, mpsc::Receiver<Infallible>) {
        let (alive, ended) = mpsc::channel(1);
        let [budget, answers] = [(); 2].map(|()| MemoryBudget::new(limits.bodies));
        let addresses = Arc::new(addresses);
        let connections = Self {
            front,
            endpoint: Endpoint { app, dialect: &NATIVE },
            table,
            limits,
            budget,
            answers,
            addresses,
            tls,
            lifecycle,
            parking: Arc::default(),
            _alive: alive,
        };
        (connections, ended)
    }

    pub(crate) fn app(&self) -> &Arc<AppState> {
        &self.endpoint.app
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where connections wait while the hub changes hands.
    pub fn parking(&self) -> &Arc<Parking> {
        &self.parking
    }

    /// Goes on with a connection that was parked, here or in another process.
    pub fn resume(&self, parked: ParkedConnection) {
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
                let connections = Arc::new(self.clone());
                drop(tokio::spawn(serve(socket, address, read, entry, leave, connections)));
            }
            (None, _) => self.refused(RefusalReason::Connections),
            (_, Err(error)) => tracing::warn!(%error, "a connection could not be gone on with"),
        }
    }

    /// Resolves when connections are to be parked.
    async fn narrowed(&self) {
        let parks = |passage| matches!(passage, Passage::Narrow | Passage::Closed);
        self.endpoint.app.gate.reached(parks).await;
    }

    fn is_narrow(&self) -> bool {
        matches!(self.endpoint.app.gate.passage(), Passage::Narrow | Passage::Closed)
    }

    fn answer(&self, peer: Peer, entry: &Arc<ConnectionEntry>) -> Answerer {
        Answerer {
            front: self.front.clone(),
            endpoint: self.endpoint.clone(),
            limits: self.limits,
            budget: Arc::clone(&self.budget),
            answers: Arc::clone(&self.answers),
            addresses: Arc::clone(&self.addresses),
            peer,
            entry: Arc::clone(entry),
        }
    }

    /// Enters a connection in the table, if its address and the hub have room for it.
    fn enter(
        &self,
        address: SocketAddr,
    ) -> Result<(Arc<ConnectionEntry>, Dismissal), RefusalReason> {
        let now = Instant::now();
        let place = self.addresses.enter(address.ip(), now)?;
        self.table.enter(address.ip(), place, now).ok_or(RefusalReason::Connections)
    }

    fn refused(&self, reason: RefusalReason) {
        self.endpoint.app.metrics.refused(reason);
    }

    /// Counts how hyper left a connection, if that was a refusal.
    fn count(&self, served: hyper::Result<()>) -> hyper::Result<()> {
        served.inspect_err(|error| {
            if let Some(reason) = refusal(error) {
                self.refused(reason);
            }
        })
    }

    /// Resolves when the hub has come so far.
    async fn reached(&self, awaited: Lifecycle) {
        let mut lifecycle = self.lifecycle.clone();
        // The sender outlives the server; if it were gone, stopping would be right too.
        let _ = lifecycle.wait_for(|lifecycle| *lifecycle >= awaited).await;
    }

    fn has_reached(&self, awaited: Lifecycle) -> bool {
        *self.lifecycle.borrow() >= awaited
    }
}

/// Accepts connections until the hub is stopping, and then those that the system has accepted
/// before; none while the hub changes hands, nor after that. Never fails: what the system refuses for
/// want of descriptors is tried again.
pub async fn accept(listener: TcpListener, connections: Connections) {
    let connections = Arc::new(connections);
    let mut stopped = pin!(connections.reached(Lifecycle::Stopping));
    let mut expiry = interval(EXPIRY);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let gate = Arc::clone(&connections.endpoint.app.gate);
    let mut narrowed = pin!(connections.narrowed());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = expiry.tick() => {
                for _ in 0..connections.table.expire(Instant::now()) {
                    connections.refused(RefusalReason::Unread);
                }
                continue;
            }
            () = &mut narrowed => {
                // They wait where the system keeps them.
                let decided = |passage| matches!(passage, Passage::Open | Passage::Gone);
                if gate.reached(decided).await == Passage::Gone {
                    return;
                }
                narrowed.set(connections.narrowed());
                continue;
            }
            () = &mut stopped => break,
        };
        match accepted {
            Ok((socket, address)) => admit(socket, address, &connections),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever is there by now gets an answer, and not a reset.
    while let Ok(Ok((socket, address))) = timeout(Duration::ZERO, listener.accept()).await {
        admit(socket, address, &connections);
    }
}

/// Serves a connection, if there is room for it.
fn admit(socket: TcpStream, address: SocketAddr, connections: &Arc<Connections>) {
    match connections.enter(address) {
        Ok((entry, leave)) => {
            let (nothing, connections) = (Bytes::new(), Arc::clone(connections));
            drop(tokio::spawn(serve(socket, address, nothing, entry, leave, connections)));
        }
        Err(reason) => connections.refused(reason),
    }
}

/// Sees a connection to its end, which the table may bring about early.
async fn serve(
    socket: TcpStream,
    address: SocketAddr,
    read: Bytes,
    entry: Arc<ConnectionEntry>,
    leave: Dismissal,
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

type BoxError = Box<dyn Error + Send + Sync>;

/// Whether a connection ended for what its peer should not have sent.
fn refusal(error: &hyper::Error) -> Option<RefusalReason> {
    if error.is_parse_too_large() {
        return Some(RefusalReason::HeadTooLarge);
    }
    if error.is_parse() {
        return Some(RefusalReason::Malformed);
    }
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    match error.reason() {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Some(RefusalReason::Flood),
        _ => error.is_library().then_some(RefusalReason::Malformed),
    }
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Nothing,
    /// Not yet: the hub changes hands.
    Parked,
    Tls,
    Http1,
    Http2,
}

async fn recognise(
    mut socket: TcpStream,
    peer: Peer,
    read: Bytes,
    entry: &Arc<ConnectionEntry>,
    connections: &Connections,
) -> Result<(), BoxError> {
    // What is encrypted is somebody's with whom a secret was agreed here.
    let candidate = connections.tls.is_none().then(|| connections.parking.candidate());
    let beginning = tokio::select! {
        biased;
        // Of which something was read has been recognised before.
        () = std::future::ready(()), if !read.is_empty() => Beginning::Http1,
        beginning = beginning(&socket) => beginning?,
        () = connections.narrowed(), if candidate.is_some() => Beginning::Parked,
        () = connections.reached(Lifecycle::Stopping) => Beginning::Nothing,
    };
    match (beginning, &connections.tls) {
        (Beginning::Nothing, _) => Ok(()),
        (Beginning::Parked, _) => match candidate {
            Some(candidate) => {
                candidate.park(socket, peer.address, read, entry.is_idle()).map_err(Into::into)
            }
            None => Ok(()),
        },
        // What few connections are is large, and would be room, and copied, in the task of each.
        (Beginning::Tls, Some(tls)) => {
            Box::pin(serve_tls(socket, tls, peer, entry, connections)).await
        }
        (_, Some(_)) => {
            connections.refused(RefusalReason::NotTls);
            socket.write_all(SPEAKS_HTTPS).await?;
            linger(socket, connections).await;
            Ok(())
        }
        (Beginning::Http2, None) => {
            drop(candidate);
            Box::pin(serve_http2(socket, connections.answer(peer, entry), connections)).await
        }
        (_, None) => serve_socket(socket, peer, read, entry, candidate, connections).await,
    }
}

/// How the client begins. Its bytes stay unread.
async fn beginning(socket: &TcpStream) -> io::Result<Beginning> {
    /// For a preface that arrives in pieces, which peeking cannot wait for: when to look again,
    /// ever less often.
    const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
    let mut look = LOOK.0;
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = match socket.peek(&mut first).await? {
            0 => return Ok(Beginning::Nothing),
            seen => &first[..seen],
        };
        match seen {
            [TLS_HANDSHAKE, ..] => return Ok(Beginning::Tls),
            HTTP2_PREFACE => return Ok(Beginning::Http2),
            _ if HTTP2_PREFACE.starts_with(seen) => {
                sleep(look).await;
                look = (look * 2).min(LOOK.1);
            }
            _ => return Ok(Beginning::Http1),
        }
    }
}

async fn serve_tls(
    socket: TcpStream,
    tls: &Arc<ServerConfig>,
    peer: Peer,
    entry: &Arc<ConnectionEntry>,
    connections: &Connections,
) -> Result<(), BoxError> {
    let (config, secrets) = HandshakeSecrets::logged_by(tls);
    let (socket, boundary) = FollowedSocket::new(socket);
    let accepted = TlsAcceptor::from(config).accept(socket).await;
    let stream = accepted.inspect_err(|_| connections.refused(RefusalReason::TlsHandshake))?;
    let answer = connections.answer(peer, entry);
    match stream.get_ref().1.alpn_protocol() {
        Some(HTTP2_PROTOCOL) => {
            drop(secrets);
            serve_http2(stream, answer, connections).await
        }
        // The authority has seen what it came for, and says nothing more (RFC 8737, 3).
        Some(ACME_PROTOCOL) => {
            linger(stream, connections).await;
            Ok(())
        }
        _ => {
            let can_move = can_be_taken_over(stream.get_ref().1);
            let way = if can_move { Way::BetweenRecords(boundary) } else { Way::Body };
            let handover = Handover::default();
            let service = TakeoverService { answer, handover: handover.clone(), way };
            let (stream, _, served) = serve_http1(stream, service, None, connections).await;
            let Some(pending) = handover.take() else {
                linger(stream, connections).await;
                return served.unwrap_or(Ok(())).map_err(Into::into);
            };
            let limit = connections.limits.bounds.write_timeout;
            if let Some((socket, state)) = tls_takeover::take_over(stream, &secrets, limit).await? {
                let tls = TlsSocket::new(for_shard(socket)?, state);
                pending.join(Sink::Tls(tls), entry.take_place());
            }
            Ok(())
        }
    }
}

/// Serves HTTP/1 in clear text, until the socket is taken over for a stream, or parked.
async fn serve_socket(
    socket: TcpStream,
    peer: Peer,
    read: Bytes,
    entry: &Arc<ConnectionEntry>,
    candidate: Option<Candidate>,
    connections: &Connections,
) -> Result<(), BoxError> {
    let handover = Handover::default();
    let answer = connections.answer(peer, entry);
    let service = TakeoverService { answer, handover: handover.clone(), way: Way::TakeOver };
    let stream = Resumed { socket, read, unfinished: Arc::clone(entry.unfinished()) };
    let (stream, ahead, served) = serve_http1(stream, service, Some(entry), connections).await;
    let Resumed { socket, read, .. } = stream;
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

/// Serves HTTP/1 as long as hyper does; gives the stream back, still open, with what was read ahead. Where
/// there is an entry, it ends without a result as soon as the connection is to be parked, and is quiet.
async fn serve_http1<I, S>(
    stream: I,
    service: S,
    entry: Option<&Arc<ConnectionEntry>>,
    connections: &Connections,
) -> (I, Bytes, Option<hyper::Result<()>>)
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

async fn serve_http2<I>(
    stream: I,
    answer: Answerer,
    connections: &Connections,
) -> Result<(), BoxError>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Limits { head, http2_requests, .. } = connections.limits;
    // One that comes during the drain is told to go only when it has had its answers.
    let late = connections.has_reached(Lifecycle::Draining);
    let goes = if late { Lifecycle::Stopping } else { Lifecycle::Draining };
    let (stream, flooded) = Frames::new(stream);
    let mut connection = pin!(
        http2::Builder::new(ResponseTasks)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .max_concurrent_streams(http2_requests)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(HTTP2_RESETS.0)
            .max_local_error_reset_streams(HTTP2_RESETS.1)
            .initial_stream_window_size(HTTP2_WINDOWS.0)
            .initial_connection_window_size(HTTP2_WINDOWS.1)
            .max_send_buf_size(UNSENT)
            .serve_connection(TokioIo::new(stream), BodyService(answer))
    );
    let early = tokio::select! {
        served = &mut connection => Some(served),
        () = connections.reached(goes) => None,
    };
    let served = match early {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if flooded.load(Ordering::Relaxed) {
        connections.refused(RefusalReason::Flood);
        return served.map_err(Into::into);
    }
    connections.count(served).map_err(Into::into)
}

/// Closes a connection so that the peer can read what it was sent last.
async fn linger<I: AsyncRead + AsyncWrite + Unpin>(mut stream: I, connections: &Connections) {
    if connections.has_reached(Lifecycle::Stopping) {
        let _ = stream.shutdown().await;
        return;
    }
    let close = async {
        stream.shutdown().await?;
        let (mut scratch, mut read) = (vec![0; 4096], 0);
        while read < LINGER.1 {
            match stream.read(&mut scratch).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(LINGER.0, close).await;
}
