//! An admitted subscription on its way from its handler to whatever carries its bytes.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::Authorised;
use fanfare_delivery::{
    Aborted, BodyReader, Cadence, Delivery, Framing, Lease, NewSubscriber, Retry, Seat, Sink,
    StreamFormat, Wire, body,
};
use fanfare_event::{PrivateRights, Selector};
use fanfare_hub::{Envelope, Interest, Start};
use http_body::Frame;

use crate::gate::GateGuard;
use crate::refusal::Refusal;

/// A subscription that was asked for, authorised and given a seat.
#[derive(Debug)]
pub(crate) struct AdmittedStream {
    delivery: Arc<Delivery>,
    interest: Arc<Interest>,
    format: &'static dyn StreamFormat,
    cadence: Option<Cadence>,
    start: Start,
    has_id: bool,
    /// Whether its head says that something may be missing.
    gap_told: bool,
    address: IpAddr,
    seat: Seat,
    lease: Option<Box<Lease>>,
    /// Until it has joined.
    inside: GateGuard,
}

/// What a subscriber may hear, and where it begins.
#[derive(Debug)]
pub(crate) struct Admissible {
    pub(crate) selector: Authorised<Selector>,
    /// What of it that is private it may hear.
    pub(crate) private: PrivateRights,
    /// How it is written.
    pub(crate) format: &'static dyn StreamFormat,
    /// How often at most it is sent events.
    pub(crate) cadence: Option<Cadence>,
    pub(crate) start: Start,
    /// Whether it holds an event id already.
    pub(crate) has_id: bool,
}

impl AdmittedStream {
    /// There is no other way to a stream than a selector that someone was authorised for.
    /// `delivery` is the one that the seat and the start are of; `address` is what counts as one.
    pub(crate) fn new(
        delivery: &Arc<Delivery>,
        what: Admissible,
        address: IpAddr,
        seat: Seat,
        lease: Option<Box<Lease>>,
        inside: GateGuard,
    ) -> Self {
        let Admissible { selector, private, format, cadence, start, has_id } = what;
        let delivery = Arc::clone(delivery);
        let interest = Interest::shared(selector.into_inner(), private);
        Self {
            delivery,
            interest,
            format,
            cadence,
            start,
            has_id,
            gap_told: false,
            address,
            seat,
            lease,
            inside,
        }
    }

    /// Its head says that something may be missing.
    pub(crate) fn tell_gap(&mut self) {
        self.gap_told = true;
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Start {
        self.start.clone()
    }

    /// What it carries.
    pub(crate) fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.interest)
    }

    /// The same, which gives a place back when it ends.
    pub(crate) fn holding(mut self, place: Option<Seat>) -> Self {
        if let Some(place) = place {
            let address = self.address;
            let lease = self.lease.get_or_insert_with(|| {
                let verified = Instant::now();
                Box::new(Lease {
                    subject: None,
                    credential: None,
                    address,
                    expires: None,
                    verified,
                    seats: Vec::new(),
                })
            });
            lease.seats.push(place);
        }
        self
    }

    /// See [`GateGuard::outside`].
    pub(crate) async fn outside<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Refusal> {
        self.inside.outside(wait).await
    }

    /// What is said where it does not begin, behind this head: when to come back.
    pub(crate) fn turned_away(&self, framing: Framing, head: &[u8], retry: Retry) -> Bytes {
        Wire::new(self.format, framing).turned_away(head, retry.pick())
    }

    /// Hands it to delivery, with where its bytes go.
    pub(crate) fn join(self, sink: Sink, framing: Framing, head: Bytes) {
        let Self {
            delivery,
            interest,
            format,
            cadence,
            start,
            has_id,
            gap_told,
            address,
            seat,
            lease,
            inside,
        } = self;
        let wire = Wire::new(format, framing);
        delivery.join(NewSubscriber {
            sink,
            wire: if gap_told { wire.behind_gap() } else { wire },
            head,
            interest,
            cadence,
            start,
            has_id,
            address,
            seat,
            lease,
        });
        drop(inside);
    }
}

/// Where a handler leaves an admitted stream; a request carries it as an extension. The
/// response the handler returns beside it is only a head.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamSlot(Arc<Mutex<Option<AdmittedStream>>>);

impl StreamSlot {
    pub(crate) fn put(&self, stream: AdmittedStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }

    pub(crate) fn take(&self) -> Option<AdmittedStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A head alone, of no stated length, as the stream's would be.
pub(crate) fn head_only() -> Response {
    let (writer, ended) = body();
    writer.finish();
    head(Body::new(StreamBody(ended)))
}

/// A stream that only says when to come back: any status but 200 would end an EventSource for good
/// (WHATWG HTML, 9.2.3).
pub(crate) fn retry_later(retry: Retry) -> Response {
    let wire = Wire::native(Envelope::None, Framing::Bare);
    let mut response = head(wire.turned_away(&[], retry.pick()));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The same in place of a stream whose head was made already: what the layers have put there stays. Without it, a page
/// of another site may not read the answer, and its EventSource gives up for good.
pub(crate) fn retry_later_with_head(head: Response, retry: Retry) -> Response {
    let (mut head, _) = head.into_parts();
    let (other, body) = retry_later(retry).into_parts();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.extend(other.headers);
    Response::from_parts(head, body)
}

/// The head of every stream, and what it says before anything else.
fn head(content: impl IntoResponse) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (StatusCode::OK, headers, content).into_response()
}

/// A response body that a delivery shard feeds.
pub(crate) struct StreamBody(pub(crate) BodyReader);

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_next(context, Instant::now())
            .map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}
