//! Layers: what is done with every request, or with all of a kind, around its handler.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    CACHE_CONTROL, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::audit::{Administrator, name_of};
use crate::endpoint::Endpoint;
use crate::quotas::RequestKind;
use crate::refusal::{Refusal, RefusalNote};
use crate::state::AppState;
use crate::stream::retry_later;

/// For answers that are meant for nobody but whoever asked.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How much may be asked of what the answer repeats, in bytes: names of headers.
const MIRRORED: usize = 1024;

/// What is done before the handlers of a dialect: host and page are looked at, and how fast requests come.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    endpoint: Endpoint,
    /// `None` where it is looked at further inside.
    rate: Option<RequestRate>,
}

impl Rules {
    pub(crate) fn new(endpoint: &Endpoint, rate: Option<RequestRate>) -> Self {
        Self { endpoint: endpoint.clone(), rate }
    }

    /// Where the handlers are reached.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The answer to a request that is against the rules.
    pub(crate) fn refusal(&self, request: &Parts, from: Option<IpAddr>) -> Option<Response> {
        if let Err(refusal) = self.endpoint.app.access.guard.admit(request, from) {
            return Some(self.endpoint.refuse(&refusal));
        }
        self.rate.as_ref().and_then(|rate| rate.refusal(request.uri.path(), from))
    }
}

/// Lets no request through that is against the rules.
pub(crate) async fn keep_rules(
    State(rules): State<Rules>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let from = rules.endpoint.app.access.address(&head.extensions, &head.headers);
    match rules.refusal(&head, from) {
        None => next.run(Request::from_parts(head, body)).await,
        Some(refused) => refused,
    }
}

/// What is done behind every handler: what was refused is written down, and is slow in coming where that is due.
pub(crate) async fn finish_response(
    app: &AppState,
    from: Option<IpAddr>,
    response: Response,
) -> Response {
    if response.extensions().get::<RefusalNote>().is_none() {
        return response;
    }
    let response = app.access.failures.delay_failed(response).await;
    if let (Some(note), Some(from)) = (response.extensions().get::<RefusalNote>(), from) {
        app.trail.refused(note, from);
    }
    response
}

/// The same for requests for figures.
pub(crate) async fn guard_figures(
    State(endpoint): State<Endpoint>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let from = endpoint.app.access.address(&head.extensions, &head.headers);
    match endpoint.app.access.guard.admit_monitor(&head, from) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => endpoint.refuse(&refusal),
    }
}

/// Counts a request among those being answered, as the other handlers do themselves.
pub(crate) async fn count_request(
    State(endpoint): State<Endpoint>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    match endpoint.app.place(&head) {
        Ok(_place) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => endpoint.refuse(&refusal),
    }
}

/// What the layer that limits how fast requests may come has to know.
#[derive(Debug, Clone)]
pub(crate) struct RequestRate {
    pub(crate) endpoint: Endpoint,
    /// The paths of streams: whoever asks for one is told to come back, since any other answer would end
    /// an EventSource for good.
    pub(crate) streams: Arc<[String]>,
}

impl RequestRate {
    /// Counts a request for this path; the answer to one too many.
    fn refusal(&self, path: &str, from: Option<IpAddr>) -> Option<Response> {
        let Self { endpoint, streams } = self;
        let app = &endpoint.app;
        let refusal = self.count(path, from).err()?;
        Some(if streams.iter().any(|stream| stream == path) {
            app.metrics.refused(refusal.reason());
            retry_later(app.delivery.retry())
        } else {
            endpoint.refuse(&refusal)
        })
    }

    fn count(&self, path: &str, from: Option<IpAddr>) -> Result<(), Refusal> {
        let places = &self.endpoint.app.quotas.places;
        places.count(from.ok_or(Refusal::NoPeer)?, RequestKind::of(path), Instant::now())
    }
}

/// Lets no address send requests faster than it may.
pub(crate) async fn limit_rate(
    State(limit): State<RequestRate>,
    request: Request,
    next: Next,
) -> Response {
    let from = limit.endpoint.app.access.address(request.extensions(), request.headers());
    match limit.refusal(request.uri().path(), from) {
        None => next.run(request).await,
        Some(refused) => refused,
    }
}

/// Counts what CORS answers by itself, with what it is asked, as other requests are counted further inside.
pub(crate) async fn limit_preflights(
    State(limit): State<RequestRate>,
    request: Request,
    next: Next,
) -> Response {
    if *request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let app = &limit.endpoint.app;
    let from = app.access.address(&head.extensions, &head.headers);
    let counted = limit.count(head.uri.path(), from);
    let _place = match counted.and_then(|()| app.place(&head)) {
        Ok(place) => place,
        Err(refusal) => {
            let mut refused = limit.endpoint.refuse(&refusal);
            let origin = head.headers.remove(ORIGIN);
            if let Some(origin) = origin.filter(|origin| app.access.guard.allows_named(origin)) {
                refused.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                let credentials = HeaderValue::from_static("true");
                refused.headers_mut().insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
            }
            refused.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
            return refused;
        }
    };
    let asked = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    if asked.is_some_and(|asked| asked.len() > MIRRORED) {
        head.headers.remove(ACCESS_CONTROL_REQUEST_HEADERS);
    }
    next.run(Request::from_parts(head, body)).await
}

/// Lets a request through that an administrator has sent; refuses all others.
pub(crate) async fn require_administrator(
    State(endpoint): State<Endpoint>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let _place = match endpoint.app.place(&head) {
        Ok(place) => place,
        Err(refusal) => return endpoint.refuse(&refusal),
    };
    let mut response = match administrator(&endpoint, &head).await {
        Ok(administrator) => {
            head.extensions.insert(administrator);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refusal) => endpoint.refuse(&refusal),
    };
    // Who listens, and from where, is for whoever asked.
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

async fn administrator(endpoint: &Endpoint, request: &Parts) -> Result<Administrator, Refusal> {
    let access = &endpoint.app.access;
    let caller = access.caller(request, endpoint.dialect.credentials()).await?;
    access.require_administrator(request, &caller)?;
    Ok(Administrator { who: name_of(caller.identity()), from: caller.address })
}
