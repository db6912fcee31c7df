//! The front: where every request comes in, whatever carries it.
//!
//! Most go through the router. What is asked for most, to publish and to subscribe, goes straight to its handler: the
//! way through a router and its layers costs as much as publishing does.
//!
//! What must hold: what is done before and behind a handler is the same on either way, because it is the same code
//! ([`Rules`], [`finish_response`]).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, Method, Request};
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;
use tower::Service as _;

use crate::handlers;
use crate::layers::{Rules, finish_response};
use crate::processor_time::noting_time;
use crate::state::AppState;

/// Everything the hub answers. Cloning shares it.
#[derive(Clone)]
pub struct Front(Arc<FrontParts>);

struct FrontParts {
    app: Arc<AppState>,
    router: Router,
    shortcuts: Vec<Shortcut>,
}

/// A way past the router.
#[derive(Debug)]
pub(crate) struct Shortcut {
    /// The whole path, as it is sent.
    pub(crate) path: String,
    pub(crate) to: Destination,
    /// What the router does around that route.
    pub(crate) rules: Rules,
}

/// Where a shortcut leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To publishing, by POST.
    Publish,
    /// To a stream of events, by GET.
    Events,
}

impl Front {
    /// Requests go through `router`, but for those that take a shortcut.
    pub(crate) fn new(app: &Arc<AppState>, router: Router, shortcuts: Vec<Shortcut>) -> Self {
        Self(Arc::new(FrontParts { app: Arc::clone(app), router, shortcuts }))
    }

    /// Answers a request. Its address is charged for the processor time that it takes.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        let app = &self.0.app;
        let from = app.access.address(request.extensions(), request.headers());
        let charge = |took| {
            if let Some(from) = from {
                app.quotas.places.charge(from, took, Instant::now);
            }
        };
        noting_time(self.route(request, from), charge).await
    }

    async fn route(&self, request: Request<Body>, from: Option<IpAddr>) -> Response {
        let FrontParts { app, router, .. } = &*self.0;
        let response = match self.shortcut(&request) {
            Some(Shortcut { to, rules, .. }) => {
                let (head, body) = request.into_parts();
                let mut response = match rules.refusal(&head, from) {
                    Some(refused) => refused,
                    None => match to {
                        // Each is large, and there is one of them at a time.
                        Destination::Publish => {
                            Box::pin(handlers::publish_at(rules.endpoint(), head, body)).await
                        }
                        Destination::Events => {
                            Box::pin(handlers::events_at(rules.endpoint(), head)).await
                        }
                    },
                };
                state_length(&mut response);
                response
            }
            None => router.clone().call(request).await.into_response(),
        };
        finish_response(app, from, response).await
    }

    fn shortcut(&self, request: &Request<Body>) -> Option<&Shortcut> {
        let (path, method) = (request.uri().path(), request.method());
        self.0
            .shortcuts
            .iter()
            .find(|shortcut| *method == shortcut.to.method() && shortcut.path == path)
    }
}

impl Destination {
    fn method(self) -> Method {
        match self {
            Self::Publish => Method::POST,
            Self::Events => Method::GET,
        }
    }
}

/// Says how long the body is, where that is known, as the router does.
fn state_length(response: &mut Response) {
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|_| !response.headers().contains_key(CONTENT_LENGTH)) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrontParts { router, shortcuts, .. } = &*self.0;
        f.debug_struct("Front").field("router", router).field("shortcuts", shortcuts).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::get;

    use super::*;
    use crate::access::{AccessConfig, Peer};
    use crate::processor_time::used_by_this_thread;
    use crate::quotas::{QuotaLimits, RequestKind};
    use crate::refusal::Refusal;

    #[tokio::test]
    async fn an_address_is_charged_for_the_processor_time_of_its_requests() {
        // More than may be used at once.
        const LONG: Duration = Duration::from_millis(1_200);
        let work = || async {
            let began = used_by_this_thread();
            while used_by_this_thread() - began < LONG {}
        };
        let app = AppState::idle(&QuotaLimits::few(), AccessConfig::private(), 1);
        let front = Front::new(&app, Router::new().route("/", get(work)), Vec::new());
        let peer = Peer { address: ([192, 0, 2, 1], 1).into(), tls: false };
        let request = Request::builder().uri("/").extension(peer).body(Body::empty()).unwrap();
        assert_eq!(front.answer(request).await.status(), 200);
        let next =
            |address| app.quotas.places.count(address, RequestKind::Ordinary, Instant::now());
        let refused = next(peer.address.ip());
        assert!(matches!(refused, Err(Refusal::TooManyRequests { .. })), "{refused:?}");
        assert!(next([192, 0, 2, 2].into()).is_ok(), "another is not to blame");
    }
}
