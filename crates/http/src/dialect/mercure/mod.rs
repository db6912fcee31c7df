//! Mercure's protocol, spoken beside the hub's own over the same log: `GET`, `QUERY` and `POST` at
//! `/.well-known/mercure`, and what is active below it. What its requests and tokens mean is `fanfare-mercure`'s to
//! say.

mod active_subscriptions;
mod config;
mod metadata;
mod presence;
mod publication;
mod refusal;
mod reserved;
mod rounds;
mod stream_format;
mod subscription;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use axum::routing::get;
use fanfare_event::EventId;
use fanfare_log::Appended;
use fanfare_mercure::MercureUrl;
use fanfare_payload::SubmissionKind;

pub use self::config::MercureConfig;
pub use self::presence::Presence;
pub(crate) use self::stream_format::format;
pub use self::tokens::MercureTokens;
use super::contract::{Dialect, Paths, PublishRequest, SubscribeRequest};
use crate::access::{CredentialPlaces, Realm};
use crate::endpoint::Endpoint;
use crate::refusal::Refusal;
use crate::state::AppState;

/// The protocol at one hub.
#[derive(Debug)]
pub(crate) struct Mercure {
    config: MercureConfig,
    /// The document that says how to use the hub (RFC 9728).
    metadata: Bytes,
}

/// The cookies that carry a token: that of 1.0, and those of before.
const COOKIES: &[&str] =
    &["__Secure-mercure_access_token", "__Secure-mercureAuthorization", "mercureAuthorization"];
/// The parameter of before 1.0 that carries a token.
const TOKEN: &str = "authorization";

impl Mercure {
    pub(crate) fn new(config: &MercureConfig) -> Self {
        let metadata = metadata::document(&config.hub, COOKIES[0], config.presence.is_some());
        Self { config: config.clone(), metadata }
    }
}

impl Dialect for Mercure {
    fn paths(&self, _: &str) -> Paths {
        let path = MercureUrl::PATH.to_owned();
        Paths { publish: path.clone(), subscribe: path }
    }

    fn credentials(&self) -> CredentialPlaces {
        CredentialPlaces {
            cookies: COOKIES,
            ticket: None,
            token: self.config.token_in_query.then_some(TOKEN),
            realm: Realm::Foreign,
        }
    }

    fn subscription(&self, request: &Parts) -> Result<SubscribeRequest, Refusal> {
        subscription::read(request, &self.config)
    }

    fn body_limit(&self, message: usize) -> usize {
        publication::body_limit(message)
    }

    fn publication(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        message: usize,
    ) -> Result<PublishRequest, Refusal> {
        publication::read(headers, body, message, &self.config.hub)
    }

    fn accepted(&self, _: SubmissionKind, appended: &Appended, id: Option<&EventId>) -> Response {
        publication::accepted(appended, id)
    }

    fn refused(&self, refusal: &Refusal) -> Response {
        refusal::render(refusal, &self.config.hub)
    }

    fn method_not_allowed(&self) -> Response {
        refusal::method_not_allowed()
    }

    fn takes_query(&self) -> bool {
        true
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn exposed_headers(&self) -> Vec<HeaderName> {
        vec![subscription::BEGINNING, axum::http::header::LINK]
    }

    fn reports_start(&self, request: &Parts) -> bool {
        subscription::asked(request).is_some()
    }

    fn write_start_headers(&self, request: &Parts, continuous: bool, head: &mut HeaderMap) {
        subscription::write_start_headers(request, continuous, head);
    }

    fn extra_routes(&'static self, app: &Arc<AppState>) -> Router {
        let document = self.metadata.clone();
        let metadata = get(async move || metadata::answer(document));
        let all = Router::new().route(metadata::PATH, metadata);
        match &self.config.presence {
            Some(presence) => {
                let endpoint = Endpoint { app: Arc::clone(app), dialect: self };
                all.merge(active_subscriptions::routes(endpoint, presence, &self.config.hub))
            }
            None => all,
        }
    }
}
