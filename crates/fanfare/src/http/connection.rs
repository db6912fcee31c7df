//! A connection: hyper drives it until a subscription is granted on it, then its socket changes
//! hands.
//!
//! How a socket is taken over with hyper as it is: the service leaves the grant where the driver
//! finds it and returns an error. hyper resolves with that error, having written nothing, and
//! `into_parts` gives the socket back. By then the whole router has run, so the response head that
//! is written here carries what every layer added to it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use axum::http::{Request, Response, Version, response};
use fanfare_delivery::{Framing, Sink, body};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tower::Service as _;

use super::admin::Peer;
use super::stream::{Granted, Slot, StreamBody};

/// How long a client may take over a request's head, and leave a connection idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));
/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client with prior knowledge begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What every connection shares: how requests are answered, and when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    router: Router,
    stopping: watch::Receiver<bool>,
    /// Dropped with the last connection.
    _alive: mpsc::Sender<Infallible>,
}

impl Connections {
    /// Answers by `router` until `stopping` turns true. The receiver ends once every connection
    /// has.
    pub(crate) fn new(
        router: Router,
        stopping: watch::Receiver<bool>,
    ) -> (Self, mpsc::Receiver<Infallible>) {
        let (alive, ended) = mpsc::channel(1);
        (Self { router, stopping, _alive: alive }, ended)
    }

    /// Resolves when connections are to finish what they are doing.
    async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // The sender outlives the server; if it were gone, stopping would be right too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Accepts connections until told to stop. Never fails: what the system refuses for want of
/// descriptors is tried again.
pub(crate) async fn accept(listener: TcpListener, connections: Connections) {
    let mut stopped = pin!(connections.stopped());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return,
        };
        match accepted {
            Ok((socket, peer)) => drop(tokio::spawn(serve(socket, peer, connections.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, connections: Connections) {
    let served = match timeout(HEAD_TIMEOUT, speaks_http2(&socket)).await {
        Ok(Ok(true)) => serve_http2(socket, peer, &connections).await,
        Ok(Ok(false)) => serve_http1(socket, peer, &connections).await,
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(()),
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended in error");
    }
}

/// Whether the client's first bytes are HTTP/2's. They stay unread.
async fn speaks_http2(socket: &TcpStream) -> io::Result<bool> {
    /// For a preface that arrives in pieces, which peeking cannot wait for.
    const LOOK: Duration = Duration::from_millis(5);
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let seen = socket.peek(&mut first).await?;
        if seen == first.len() || seen == 0 || !HTTP2_PREFACE.starts_with(&first[..seen]) {
            return Ok(first == HTTP2_PREFACE);
        }
        sleep(LOOK).await;
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn serve_http1(
    socket: TcpStream,
    peer: SocketAddr,
    connections: &Connections,
) -> Result<(), BoxError> {
    let handover = Handover::default();
    let service = Http1 { router: connections.router.clone(), peer, handover: handover.clone() };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    let mut stopped = pin!(connections.stopped());
    let mut stopping = false;
    let served = poll_fn(|context| {
        if !stopping && stopped.as_mut().poll(context).is_ready() {
            stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match connection.poll_without_shutdown(context) {
            Poll::Ready(served) => Poll::Ready(served),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    let mut socket = connection.into_parts().io.into_inner();
    match (handover.take(), served) {
        (Some(taken), _) => taken.join(socket).map_err(Into::into),
        (None, Ok(())) => socket.shutdown().await.map_err(Into::into),
        (None, Err(error)) => Err(error.into()),
    }
}

async fn serve_http2(
    socket: TcpStream,
    peer: SocketAddr,
    connections: &Connections,
) -> Result<(), BoxError> {
    let service = Http2 { router: connections.router.clone(), peer };
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .serve_connection(TokioIo::new(socket), service)
    );
    tokio::select! {
        served = &mut connection => return served.map_err(Into::into),
        () = connections.stopped() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(Into::into)
}

/// What a taken-over connection leaves for its driver.
#[derive(Debug, Clone, Default)]
struct Handover(Arc<Mutex<Option<Taken>>>);

#[derive(Debug)]
struct Taken {
    head: response::Parts,
    version: Version,
    granted: Granted,
}

impl Handover {
    fn put(&self, taken: Taken) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
    }

    fn take(&self) -> Option<Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Taken {
    /// Hands the socket to a shard, with the head of the response to write first. What the client
    /// sent ahead of the response has no meaning on a stream and is dropped.
    fn join(self, socket: TcpStream) -> io::Result<()> {
        let framing = match self.version {
            Version::HTTP_11 => Framing::Chunked,
            _ => Framing::Bare,
        };
        let sink = Sink::Socket(mio::net::TcpStream::from_std(socket.into_std()?));
        let head = head(self.head, framing);
        self.granted.join(sink, framing, head);
        Ok(())
    }
}

/// The response head, as HTTP/1.1 writes it (RFC 9112, 4). The connection ends with the stream.
fn head(mut parts: response::Parts, framing: Framing) -> Bytes {
    parts.headers.remove(CONTENT_LENGTH);
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_str()).into_bytes();
    let mut line = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
    };
    for (name, value) in &parts.headers {
        line(name.as_str().as_bytes(), value.as_bytes());
    }
    let mut date = String::new();
    // Writing to a string cannot fail.
    let _ = write!(date, "{}", httpdate::HttpDate::from(SystemTime::now()));
    line(DATE.as_str().as_bytes(), date.as_bytes());
    line(CONNECTION.as_str().as_bytes(), b"close");
    if framing == Framing::Chunked {
        line(TRANSFER_ENCODING.as_str().as_bytes(), b"chunked");
    }
    text.extend_from_slice(b"\r\n");
    text.into()
}

/// What hyper is told when a connection has been taken over.
#[derive(Debug, thiserror::Error)]
#[error("the connection now carries a stream")]
struct TakenOver;

type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// Answers requests of an HTTP/1 connection until one of them is granted a stream.
#[derive(Debug)]
struct Http1 {
    router: Router,
    peer: SocketAddr,
    handover: Handover,
}

impl hyper::service::Service<Request<Incoming>> for Http1 {
    type Response = Response<Body>;
    type Error = TakenOver;
    type Future = Answering<TakenOver>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (version, handover) = (request.version(), self.handover.clone());
        let answer = answer(self.router.clone(), self.peer, request);
        Box::pin(async move {
            match answer.await {
                (response, None) => Ok(response),
                (response, Some(granted)) => {
                    let (head, _) = response.into_parts();
                    handover.put(Taken { head, version, granted });
                    Err(TakenOver)
                }
            }
        })
    }
}

/// Answers requests of an HTTP/2 connection, whose streams are bodies that shards feed.
#[derive(Debug)]
struct Http2 {
    router: Router,
    peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Http2 {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = answer(self.router.clone(), self.peer, request);
        Box::pin(async move {
            let (mut response, granted) = answer.await;
            if let Some(granted) = granted {
                let (writer, reader) = body();
                *response.body_mut() = Body::new(StreamBody(reader));
                response.headers_mut().remove(CONTENT_LENGTH);
                let sink = Sink::Body(writer);
                granted.join(sink, Framing::Bare, Bytes::new());
            }
            Ok(response)
        })
    }
}

/// Runs a request through the router; what comes back beside the response is a stream's grant.
async fn answer(
    mut router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> (Response<Body>, Option<Granted>) {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    request.extensions_mut().insert(Peer(peer));
    let Ok(response) = router.call(request).await;
    (response, slot.take())
}
