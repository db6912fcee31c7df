//! What a dialect is: how it reads what was asked for, and writes what came of it.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use fanfare_delivery::{Cadence, Seat, StreamFormat};
use fanfare_event::{Draft, EventId, Selector};
use fanfare_hub::Requested;
use fanfare_log::Appended;
use fanfare_payload::SubmissionKind;

use super::idempotency_key::KeyName;
use crate::access::{Caller, CredentialPlaces};
use crate::quotas::Quotas;
use crate::refusal::Refusal;
use crate::state::AppState;

/// How requests and answers are spelled.
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    /// Where it is spoken on a hub under this prefix.
    fn paths(&self, prefix: &str) -> Paths;

    /// Where its clients put what says who they are.
    fn credentials(&self) -> CredentialPlaces;

    /// What a subscriber asks for. Who it is, is known by then.
    fn subscription(&self, request: &Parts) -> Result<SubscribeRequest, Refusal>;

    /// The longest body of a publish, in bytes, where a message may have `message` of them.
    fn body_limit(&self, message: usize) -> usize;

    /// Refuses what the address of a publish may not have in its query.
    fn check_publish_query(&self, _query: &str) -> Result<(), Refusal> {
        Ok(())
    }

    /// What a publisher sent, of which no message may have more than `message` bytes. There is at least
    /// one event.
    fn publication(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        message: usize,
    ) -> Result<PublishRequest, Refusal>;

    /// The answer to a publish that the log has accepted; `id` is what its publisher calls the first event.
    fn accepted(&self, kind: SubmissionKind, appended: &Appended, id: Option<&EventId>)
    -> Response;

    /// How lines are read and answered while they arrive, if that is what a publish asks for.
    fn lines(&self, _headers: &HeaderMap) -> Option<&'static dyn LineFormat> {
        None
    }

    /// The answer to a request that is refused.
    fn refused(&self, refusal: &Refusal) -> Response;

    /// The answer to a request of a method that its path does not know.
    fn method_not_allowed(&self) -> Response;

    /// Whether a subscription may also be asked for by QUERY (RFC 10008), in a form.
    fn takes_query(&self) -> bool {
        false
    }

    /// Whether a publish may be a form, which a browser sends for any site without asking.
    fn takes_forms(&self) -> bool {
        false
    }

    /// Which headers of its answers the pages of other origins may read, beside those that they always may.
    fn exposed_headers(&self) -> Vec<HeaderName> {
        Vec::new()
    }

    /// Whether the head of a stream says where it begins.
    fn reports_start(&self, _request: &Parts) -> bool {
        false
    }

    /// Says where a stream begins in its head: behind what was asked for, if it is `continuous`.
    fn write_start_headers(&self, _request: &Parts, _continuous: bool, _head: &mut HeaderMap) {}

    /// What is answered beside its two paths.
    fn extra_routes(&'static self, _app: &Arc<AppState>) -> Router {
        Router::new()
    }
}

/// How the lines of a publish are spelled whose body need not end, and those of its answer. Lines are counted
/// from 1.
pub(crate) trait LineFormat: fmt::Debug + Send + Sync {
    /// Refuses what such a publish may not have in its head.
    fn admits(&self, headers: &HeaderMap) -> Result<(), Refusal>;

    /// What kind of content the answer is.
    fn content_type(&self) -> HeaderValue;

    /// The longest line, in bytes, where a message may have `message` of them.
    fn longest(&self, message: usize) -> usize;

    /// The event in a line, whose message may not have more than `message` bytes; `None` where there is none.
    fn read(&self, line: &[u8], number: usize, message: usize) -> Result<Option<Draft>, Refusal>;

    /// Says that the events of these lines are accepted.
    fn accepted(&self, lines: RangeInclusive<usize>, what: &Appended, into: &mut Vec<u8>);

    /// Says that nothing of a line is accepted. What follows it may be.
    fn refused(&self, line: usize, refusal: &Refusal, into: &mut Vec<u8>);

    /// Says the last: everything up to this line has been answered, and nothing behind it was accepted.
    /// Without a reason, the body has ended.
    fn ended(&self, line: usize, why: Option<&Refusal>, into: &mut Vec<u8>);

    /// Says that the hub is still there, and nothing else.
    fn keepalive(&self) -> &'static [u8];
}

/// What came in the body of a QUERY; a request carries it as an extension.
#[derive(Debug, Clone)]
pub(crate) struct QueryForm(pub(crate) String);

/// Where a dialect is spoken; the two may be the same.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) publish: String,
    pub(crate) subscribe: String,
}

/// What a subscriber asks for.
pub(crate) struct SubscribeRequest {
    pub(crate) selector: Selector,
    /// How its stream is written.
    pub(crate) format: &'static dyn StreamFormat,
    /// How often at most it is to be sent events; `None` is whenever there are some.
    pub(crate) cadence: Option<Cadence>,
    /// Where it begins.
    pub(crate) cursor: Requested,
    /// Notes that it was admitted; what is returned is given back when it ends.
    pub(crate) note: Option<NoteAdmission>,
}

/// See [`SubscribeRequest::note`].
pub(crate) type NoteAdmission = Box<dyn FnOnce(&Caller, &Quotas) -> Seat + Send>;

/// What a publisher sent.
pub(crate) struct PublishRequest {
    pub(crate) drafts: Vec<Draft>,
    /// Which answer it expects.
    pub(crate) kind: SubmissionKind,
    pub(crate) key: Option<KeyName>,
}
