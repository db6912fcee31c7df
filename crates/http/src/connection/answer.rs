//! An answer: a request of any connection goes through the router, within the limits that hold
//! before any handler is asked.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use fanfare_delivery::{Framing, Sink, body};
use fanfare_net::Host;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::answer_hold::AnswerHold;
use super::limits::ConnectionLimits;
use super::progress::AnswerProgress;
use super::table::ConnectionEntry;
use crate::access::{EndsConnection, Peer, client};
use crate::endpoint::Endpoint;
use crate::front::Front;
use crate::metrics::RefusalReason;
use crate::network64::Network64;
use crate::quotas::Addresses;
use crate::refusal::Refusal;
use crate::request_body::{BodyLimit, BodyTerms, MemoryBudget, RequestBody};
use crate::shared_body::SharedBody;
use crate::stream::{AdmittedStream, StreamBody, StreamSlot, retry_later_with_head};

/// How the requests of one connection are answered.
pub(super) struct Answerer {
    pub(super) front: Front,
    /// What is refused before a route is known is answered in its dialect.
    pub(super) endpoint: Endpoint,
    pub(super) limits: ConnectionLimits,
    pub(super) budget: Arc<MemoryBudget>,
    /// For large answers, which no body of a request may keep out.
    pub(super) answers: Arc<MemoryBudget>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) peer: Peer,
    pub(super) entry: Arc<ConnectionEntry>,
}

/// How much of a body the protocol is handed at once, in bytes: what it holds of an answer whose peer
/// stops reading, and what a peer must take within the write timeout.
pub(super) const PIECE: usize = 16 * 1024;
/// From what size on an answer counts among the bodies in memory, in bytes. How many smaller ones there
/// may be is bounded by how many may be unread.
const COUNTED: u64 = 4 * 1024;

/// A response's body. Its connection is busy until it has gone, and so is the memory it takes up: also while its
/// last piece is with the protocol.
pub(super) struct AnswerBody {
    body: Body,
    /// Of what the body gave last, what the protocol has not been handed yet.
    rest: Bytes,
    /// Whether its last byte is handed over by itself. HTTP/2 takes a piece as soon as its peer has room
    /// for one byte, keeps the rest, and asks no more: only whoever waits for a second time has to wait
    /// until the first piece has gone.
    keeps_last_byte: bool,
    progress: Arc<AnswerProgress>,
    /// Gone with the last piece.
    hold: Option<AnswerHold>,
}

pub(super) type AnswerFuture<E> =
    Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, E>> + Send>>;

impl Answerer {
    /// Answers a request; what comes back beside the response is the stream it was admitted to.
    pub(super) fn to(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = (Response<AnswerBody>, Option<AdmittedStream>)> + Send + 'static {
        // Only a request that is not a POST can open a stream; only a POST can have a body that goes on.
        let slot = (*request.method() != Method::POST).then(StreamSlot::default);
        let ConnectionLimits { target, body_timeout, .. } = self.limits;
        let holder = self.holder(request.headers());
        let busy = self.entry.begin(holder);
        // One that is refused before a handler reads it may have more to come.
        self.entry.unfinished().reads(!request.body().is_end_stream());
        let (share, answers) = (self.budget.share(holder), Arc::clone(&self.answers));
        let endpoint = self.endpoint.clone();
        let hsts = self.hsts(&request);
        let is_http1 = request.version() <= Version::HTTP_11;
        // A proxy's connection is other people's too.
        let may_end = !is_http1 && !self.addresses.is_proxy(self.peer.address.ip());
        let asked = if target_length(request.uri()) > target {
            Err(endpoint.refuse(&Refusal::TargetTooLong { limit: target }))
        } else if request.version() == Version::HTTP_11 && !names_one_host(request.headers()) {
            Err(endpoint.refuse(&Refusal::NotOneHost))
        } else {
            let unfinished = Arc::clone(self.entry.unfinished());
            let terms = BodyTerms::new(body_timeout, Arc::clone(&share));
            let body = |incoming| RequestBody::new(incoming, Arc::clone(&terms), unfinished);
            let mut request = request.map(|incoming| Body::new(body(incoming)));
            request.extensions_mut().insert(self.peer);
            match &slot {
                Some(slot) => drop(request.extensions_mut().insert(slot.clone())),
                None => drop(request.extensions_mut().insert(terms)),
            }
            Ok((self.front.clone(), request))
        };
        if asked.is_err() {
            // Its body goes with the request.
            self.entry.unfinished().on_body_dropped();
        }
        async move {
            let mut response = match asked {
                // A connection that is being closed for failed credentials answers nothing more, not even
                // requests that were sent with the last guess.
                Ok(_) if busy.connection().has_ended() => {
                    endpoint.refuse(&Refusal::ConnectionEnded)
                }
                Ok((front, request)) => front.answer(request).await,
                Err(refusal) => refusal,
            };
            if may_end && response.extensions().get::<EndsConnection>().is_some() {
                busy.connection().end(RefusalReason::CredentialRate);
            }
            // Whatever it is, it is what its type says.
            let nosniff = HeaderValue::from_static("nosniff");
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
            if let Some(hsts) = hsts {
                response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
            }
            if !is_http1 {
                // It has no meaning there (RFC 9113, 8.2.2).
                response.headers_mut().remove(CONNECTION);
            } else if endpoint.app.is_draining() {
                // Whoever comes again comes to another hub.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // The handler has let go of the body by now.
            drop(share);
            let share = answers.share(holder);
            let size = response.size_hint().lower();
            let counted = size >= COUNTED && response.extensions().get::<SharedBody>().is_none();
            if counted && share.take(usize::try_from(size).unwrap_or(usize::MAX)).is_err() {
                response = endpoint.refuse(&Refusal::BodyLimit(BodyLimit::NoRoom));
            }
            let share = counted.then_some(share);
            let progress = Arc::clone(&busy.progress);
            progress.waits();
            let mut stream = slot.and_then(|slot| slot.take());
            if is_http1 {
                let written = busy.connection().unfinished().written();
                match &mut stream {
                    // A client that reads nothing draws this out; an upgrade does not wait for it.
                    Some(admitted) => {
                        if let Err(refusal) = admitted.outside(written).await {
                            endpoint.app.metrics.refused(refusal.reason());
                            let retry = endpoint.app.delivery.retry();
                            (stream, response) = (None, retry_later_with_head(response, retry));
                        }
                    }
                    None => written.await,
                }
            }
            let mut hold = Some(AnswerHold { _busy: busy, _share: share });
            let is_head = stream.is_none() && response.body().is_end_stream();
            if let Some(hold) = hold.take_if(|_| is_head && !is_http1) {
                response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, hold.in_header("nosniff"));
            }
            let body = |body| AnswerBody {
                body,
                rest: Bytes::new(),
                keeps_last_byte: !is_http1,
                progress,
                hold,
            };
            (response.map(body), stream)
        }
    }

    /// That browsers are to use nothing but HTTPS with this host from now on (RFC 6797). They go by
    /// names, and this machine's is other servers' too.
    fn hsts<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        if !self.peer.tls {
            return None;
        }
        let host = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => request.headers().get(HOST)?.to_str().ok()?,
        };
        let host = Host::parse(host).ok()?;
        let seconds = self.limits.hsts.as_secs();
        (!host.is_loopback() && !host.is_address())
            .then(|| HeaderValue::try_from(format!("max-age={seconds}")).ok())?
    }

    /// Whose share of the memory for bodies a request takes up; nobody's on this machine.
    fn holder(&self, headers: &HeaderMap) -> Option<Network64> {
        let network = Network64::of(client(self.peer, headers, &self.addresses.proxies));
        (!network.is_this_machine()).then_some(network)
    }
}

/// Whether there is exactly one `Host` (RFC 9112, 3.2).
fn names_one_host(headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().count() == 1
}

/// How long a request's target is, in bytes (RFC 9112, 3.2), as far as it matters.
fn target_length(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// Makes an admitted stream a response body that a shard feeds.
pub(super) fn with_body(
    mut response: Response<AnswerBody>,
    stream: AdmittedStream,
) -> Response<AnswerBody> {
    let (writer, reader) = body();
    response.body_mut().body = Body::new(StreamBody(reader));
    response.headers_mut().remove(CONTENT_LENGTH);
    stream.join(Sink::Body(writer), Framing::Bare, Bytes::new());
    response
}

/// Answers requests of an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct BodyService(pub(super) Answerer);

impl hyper::service::Service<Request<Incoming>> for BodyService {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = AnswerFuture<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = self.0.to(request);
        Box::pin(async move {
            Ok(match answer.await {
                (response, None) => response,
                (response, Some(stream)) => with_body(response, stream),
            })
        })
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.progress.runs_here();
        if self.rest.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.progress.on_awaiting_more();
                    return Poll::Pending;
                }
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        self.progress.waits();
        let mut end = self.rest.len().min(PIECE);
        if self.keeps_last_byte && end > 1 && end == self.rest.len() && self.body.is_end_stream() {
            end -= 1;
        }
        let mut piece = self.rest.split_to(end);
        if self.is_end_stream()
            && let Some(hold) = self.hold.take()
        {
            piece = hold.in_piece(piece);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answerer").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerBody").field(&self.body).finish()
    }
}
