//! An answer: a request of any connection goes through the router, within the limits that hold
//! before any handler is asked.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Request, Response, StatusCode, Uri};
use axum::response::IntoResponse as _;
use fanfare_delivery::{Framing, Sink, body};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service as _;

use super::error::detail;
use super::limits::Limits;
use super::peer::Peer;
use super::request_body::{Budget, RequestBody};
use super::roster::{Busy, Entry};
use super::router::Shared;
use super::stream::{Granted, Slot, StreamBody};
use crate::metrics::Refused;

/// How the requests of one connection are answered.
pub(super) struct Answer {
    pub(super) router: Router,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    pub(super) budget: Arc<Budget>,
    pub(super) peer: Peer,
    pub(super) entry: Arc<Entry>,
}

/// A response's body. Its connection is busy until it has gone.
pub(super) struct AnswerBody {
    body: Body,
    _busy: Busy,
}

pub(super) type Answering<E> =
    Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, E>> + Send>>;

impl Answer {
    /// Answers a request; what comes back beside the response is a stream's grant.
    pub(super) fn to(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = (Response<AnswerBody>, Option<Granted>)> + Send + 'static {
        let busy = self.entry.begin();
        let slot = Slot::default();
        let Limits { target, body_timeout, .. } = self.limits;
        let share = self.budget.share();
        let asked = if target_length(request.uri()) > target {
            self.shared.metrics.refused(Refused::TargetTooLong);
            let said = format!("the request's target is longer than {target} bytes");
            Err(detail(StatusCode::URI_TOO_LONG, said))
        } else {
            let body = |incoming| RequestBody::new(incoming, body_timeout, Arc::clone(&share));
            let mut request = request.map(body);
            request.extensions_mut().insert(slot.clone());
            request.extensions_mut().insert(self.peer);
            Ok(self.router.clone().call(request))
        };
        async move {
            let mut response = match asked {
                Ok(answer) => answer.await.into_response(),
                Err(refusal) => refusal,
            };
            // Whatever it is, it is what its type says.
            let nosniff = HeaderValue::from_static("nosniff");
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
            // The handler has let go of the body by now.
            drop(share);
            (response.map(|body| AnswerBody { body, _busy: busy }), slot.take())
        }
    }
}

/// How long a request's target is, in bytes (RFC 9112, 3.2), as far as it matters.
fn target_length(uri: &Uri) -> usize {
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    authority + uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// Answers requests of a connection whose bytes another layer frames or encrypts: a granted stream
/// is a response body that a shard feeds.
#[derive(Debug)]
pub(super) struct Feed(pub(super) Answer);

impl hyper::service::Service<Request<Incoming>> for Feed {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Answering<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = self.0.to(request);
        Box::pin(async move {
            let (mut response, granted) = answer.await;
            if let Some(granted) = granted {
                let (writer, reader) = body();
                response.body_mut().body = Body::new(StreamBody(reader));
                response.headers_mut().remove(CONTENT_LENGTH);
                let sink = Sink::Body(writer);
                granted.join(sink, Framing::Bare, Bytes::new());
            }
            Ok(response)
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
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerBody").field(&self.body).finish()
    }
}
