//! A granted subscription on its way from its handler to whatever carries its bytes.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::Authorised;
use fanfare_delivery::{
    Aborted, BodyReader, Delivery, Framing, Lease, NewSubscriber, Seat, Sink, Wire, body,
};
use fanfare_event::Selector;
use fanfare_hub::{Envelope, Interest, Start};
use http_body::Frame;

/// A subscription that was asked for, authorised and given a seat.
#[derive(Debug)]
pub(crate) struct Granted {
    delivery: Arc<Delivery>,
    interest: Arc<Interest>,
    envelope: Envelope,
    start: Start,
    has_id: bool,
    address: IpAddr,
    seat: Seat,
    lease: Option<Box<Lease>>,
}

/// What a subscriber may hear, and where it begins.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) selector: Authorised<Selector>,
    pub(super) envelope: Envelope,
    pub(super) start: Start,
    /// Whether it holds an event id already.
    pub(super) has_id: bool,
}

impl Granted {
    /// There is no other way to a stream than a selector that someone was authorised for.
    /// `delivery` is the one that the seat and the start are of; `address` is what counts as one.
    pub(super) fn new(
        delivery: &Arc<Delivery>,
        asked: Asked,
        address: IpAddr,
        seat: Seat,
        lease: Option<Box<Lease>>,
    ) -> Self {
        let Asked { selector, envelope, start, has_id } = asked;
        let delivery = Arc::clone(delivery);
        let interest = Interest::shared(selector.into_inner());
        Self { delivery, interest, envelope, start, has_id, address, seat, lease }
    }

    /// The same, which gives a place back when it ends.
    pub(super) fn holding(mut self, place: Option<Seat>) -> Self {
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

    /// Hands it to delivery, with where its bytes go.
    pub(super) fn join(self, sink: Sink, framing: Framing, head: Bytes) {
        let Self { delivery, interest, envelope, start, has_id, address, seat, lease } = self;
        delivery.join(NewSubscriber {
            sink,
            wire: Wire::native(envelope, framing),
            head,
            interest,
            start,
            has_id,
            address,
            seat,
            lease,
        });
    }
}

/// Where a handler leaves a granted subscription; a request carries it as an extension. The
/// response the handler returns beside it is only a head.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Granted>>>);

impl Slot {
    pub(super) fn put(&self, granted: Granted) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(granted);
    }

    pub(super) fn take(&self) -> Option<Granted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A head alone, of no stated length, as the stream's would be.
pub(super) fn head_only() -> Response {
    let (writer, ended) = body();
    writer.finish();
    head(Body::new(StreamBody(ended)))
}

/// The head of every stream, and what it says before anything else.
pub(super) fn head(content: impl IntoResponse) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (StatusCode::OK, headers, content).into_response()
}

/// A response body that a delivery shard feeds.
pub(super) struct StreamBody(pub(super) BodyReader);

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
