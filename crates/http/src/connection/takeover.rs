//! A takeover: the socket of an HTTP/1 connection changes hands once a subscription is admitted on it,
//! in clear text or, with what `tls_takeover` has of it, over TLS 1.3.
//!
//! How, with hyper as it is: the service leaves the grant where the driver finds it and returns an
//! error. hyper resolves with that error, having written nothing, and `into_parts` gives the socket
//! back. By then the whole router has run, so the response head that is written here carries what
//! every layer added to it.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use axum::http::{Request, Response, Version, response};
use fanfare_delivery::{Framing, Retry, Seat, Sink};
use hyper::body::Incoming;
use tokio::net::TcpStream;

use super::answer::{AnswerBody, AnswerFuture, Answerer, with_body};
use super::record_boundary::Boundary;
use crate::refusal::Refusal;
use crate::stream::AdmittedStream;

/// Answers requests of a connection until one of them is admitted to a stream.
#[derive(Debug)]
pub(super) struct TakeoverService {
    pub(super) answer: Answerer,
    pub(super) handover: TakeoverSlot,
    pub(super) way: TakeoverMode,
}

/// Whether a stream is taken over, or a response body.
#[derive(Debug, Clone)]
pub(super) enum TakeoverMode {
    /// It is taken over.
    TakeOver,
    /// It is taken over if the connection stands between two TLS records when it is admitted: nothing
    /// is read from then on.
    BetweenRecords(Boundary),
    /// It is a response body.
    Body,
}

/// What a connection that is to be taken over leaves for its driver.
#[derive(Debug, Clone, Default)]
pub(super) struct TakeoverSlot(Arc<Mutex<Option<PendingTakeover>>>);

/// An admitted stream, and the head of the response it begins with.
#[derive(Debug)]
pub(super) struct PendingTakeover {
    head: response::Parts,
    version: Version,
    stream: AdmittedStream,
}

/// What hyper is told when a connection has been taken over.
#[derive(Debug, thiserror::Error)]
#[error("the connection now carries a stream")]
pub(super) struct TakenOver;

impl hyper::service::Service<Request<Incoming>> for TakeoverService {
    type Response = Response<AnswerBody>;
    type Error = TakenOver;
    type Future = AnswerFuture<TakenOver>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (version, handover) = (request.version(), self.handover.clone());
        let way = self.way.clone();
        let answer = self.answer.to(request);
        Box::pin(async move {
            match answer.await {
                (response, None) => Ok(response),
                (response, Some(stream)) if !way.leads_to_takeover() => {
                    Ok(with_body(response, stream))
                }
                (response, Some(stream)) => {
                    let (head, _) = response.into_parts();
                    handover.put(PendingTakeover { head, version, stream });
                    Err(TakenOver)
                }
            }
        })
    }
}

impl TakeoverMode {
    fn leads_to_takeover(&self) -> bool {
        match self {
            Self::TakeOver => true,
            Self::BetweenRecords(boundary) => boundary.is_reached(),
            Self::Body => false,
        }
    }
}

impl TakeoverSlot {
    fn put(&self, pending: PendingTakeover) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending);
    }

    pub(super) fn take(&self) -> Option<PendingTakeover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PendingTakeover {
    /// Awaits this while the hub may change hands.
    pub(super) async fn outside<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Refusal> {
        self.stream.outside(wait).await
    }

    /// What is said where the stream does not begin: its head, and when to come back.
    pub(super) fn turned_away(self, retry: Retry) -> Bytes {
        let framing = framing(self.version);
        self.stream.turned_away(framing, &head(self.head, framing), retry)
    }

    /// Hands the connection to a shard, with the head of the response to write first. What the client
    /// sent ahead of the response has no meaning on a stream and is dropped. `place` is the
    /// connection's among those of its address.
    pub(super) fn join(self, sink: Sink, place: Option<Seat>) {
        let framing = framing(self.version);
        let head = head(self.head, framing);
        self.stream.holding(place).join(sink, framing, head);
    }
}

/// The same socket, as a shard has it.
pub(super) fn for_shard(socket: TcpStream) -> io::Result<mio::net::TcpStream> {
    Ok(mio::net::TcpStream::from_std(socket.into_std()?))
}

fn framing(version: Version) -> Framing {
    if version == Version::HTTP_11 { Framing::Chunked } else { Framing::Bare }
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
