//! The hub's own dialect: what a FastAPI server would make of the guide's two routes, and what Fanfare
//! adds to them. Its rules are those of `docs/from-fastapi.md`.

mod lines;
mod publication;
mod refusal;
mod subscription;
mod text;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use fanfare_event::EventId;
use fanfare_log::Appended;
use fanfare_payload::SubmissionKind;

pub(crate) use self::refusal::{detail, not_found};
#[cfg(any(test, fuzzing))]
pub(crate) use self::subscription::probe;
pub(crate) use self::subscription::statistics;
pub(crate) use self::text::{check_text_query, refused_text, text};
use super::contract::{Dialect, LineFormat, Paths, PublishRequest, SubscribeRequest};
use crate::access::CredentialPlaces;
use crate::refusal::Refusal;

/// The hub's own dialect.
pub(crate) static NATIVE: NativeDialect = NativeDialect;

#[derive(Debug)]
pub(crate) struct NativeDialect;

impl Dialect for NativeDialect {
    fn paths(&self, prefix: &str) -> Paths {
        Paths { publish: format!("{prefix}/send"), subscribe: format!("{prefix}/events") }
    }

    fn credentials(&self) -> CredentialPlaces {
        CredentialPlaces { ticket: Some(subscription::TICKET), ..CredentialPlaces::default() }
    }

    fn subscription(&self, request: &Parts) -> Result<SubscribeRequest, Refusal> {
        subscription::read(request)
    }

    fn body_limit(&self, message: usize) -> usize {
        publication::body_limit(message)
    }

    fn check_publish_query(&self, query: &str) -> Result<(), Refusal> {
        publication::check_query(query)
    }

    fn publication(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        message: usize,
    ) -> Result<PublishRequest, Refusal> {
        publication::read(headers, body, message)
    }

    fn accepted(&self, kind: SubmissionKind, appended: &Appended, _: Option<&EventId>) -> Response {
        publication::accepted(kind, appended)
    }

    fn lines(&self, headers: &HeaderMap) -> Option<&'static dyn LineFormat> {
        lines::asked_for(headers)
    }

    fn refused(&self, refusal: &Refusal) -> Response {
        refusal::render(refusal)
    }

    fn method_not_allowed(&self) -> Response {
        refusal::method_not_allowed()
    }
}
