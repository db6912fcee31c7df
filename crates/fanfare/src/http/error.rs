//! Errors as HTTP: the one place where a refusal becomes a status and a body, in the shapes that
//! callers of a FastAPI server parse.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::{Forbidden, Identity, InvalidToken, StoreError, Untrusted};
use fanfare_event::InvalidSelector;
use fanfare_log::{AppendError, InvalidKey};
use fanfare_payload::{MAX_ECHO, Refusal, cut};
use fanfare_redis::CommonsError;
use serde_json::{Value, json};

use super::audit::{self, Failure};
use super::failures::Slowed;
use super::request_body::Broken;
use crate::metrics::{Metrics, Refused};
use crate::settings::Origin;

/// How long a publisher is asked to wait before it tries again, in seconds.
pub(super) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request is not served as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body is not a publish")]
    Body(Refusal),
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error(transparent)]
    BodyRefused(Broken),
    #[error("the body did not arrive whole")]
    BodyBroken(#[source] axum::Error),
    #[error(transparent)]
    Key(#[from] InvalidKey),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Selector(#[from] InvalidSelector),
    #[error("the envelope {0:?} is unknown")]
    Envelope(String),
    #[error("{0:?} does not decode to UTF-8")]
    Query(String),
    #[error("a subscription may name {limit} topics and patterns here, this one names {named}")]
    TooManyTopics { named: usize, limit: usize },
    #[error("Field required: either the id of a subscriber or a subject")]
    NobodyNamed,
    #[error("the request is for a host that this hub does not answer for: name it by --allow-host")]
    ForeignHost,
    #[error(
        "a proxy has passed this request on, and the hub serves its own machine only: name the \
         proxy's host by --allow-host, or set credentials"
    )]
    PassedOn,
    #[error("pages of this origin may not use this hub{}", cure(.0.as_ref()))]
    ForeignOrigin(Option<Origin>),
    #[error("Not authenticated")]
    Unauthenticated,
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error("{invalid}; too many from your address have failed lately")]
    TooManyFailures { invalid: InvalidToken, address: IpAddr, wait: Duration },
    #[error("the ticket has been used, or its time is over; too many have failed lately")]
    TooManyFalseTickets { address: IpAddr, wait: Duration },
    #[error("the connection ends: too many credentials have failed")]
    Ended,
    #[error("there is more than one Authorization header: send one")]
    TwoCredentials,
    #[error("the ticket has been used, or its time is over")]
    UsedTicket,
    #[error(transparent)]
    Tickets(#[from] StoreError),
    #[error("{Forbidden}")]
    Forbidden(Identity),
    #[error(
        "{count} streams were closed at this node, and the other nodes could not be told: {source}"
    )]
    Untold { count: usize, source: CommonsError },
    #[error("too many events in too short a time")]
    TooFast { wait: Duration },
    #[error("too many tickets in too short a time")]
    TooManyTickets { wait: Duration },
    #[error("too many requests are being answered")]
    Busy,
    #[error("too many requests from your address are being answered")]
    BusyAddress,
    #[error("too many requests from your address in too short a time")]
    TooManyRequests { wait: Duration },
    #[error("the console answers only requests from the hub's own machine")]
    Elsewhere,
    #[error("the request came over no connection")]
    NoPeer,
}

impl Error {
    /// Under which reason the refusal is counted.
    pub(crate) fn reason(&self) -> Refused {
        match self {
            Self::Body(refusal) if refusal.status() == 413 => Refused::TooLarge,
            Self::BodyTooLarge { .. } => Refused::TooLarge,
            Self::BodyRefused(Broken::Late) => Refused::BodyTimeout,
            Self::BodyRefused(Broken::NoRoom) => Refused::Bodies,
            Self::Body(_) | Self::BodyBroken(_) | Self::Key(_) => Refused::InvalidPublish,
            Self::Append(AppendError::Full { .. }) => Refused::LogFull,
            Self::Append(AppendError::TooManyKeys { .. }) => Refused::TooManyKeys,
            Self::Append(AppendError::KeyReused) => Refused::KeyReused,
            Self::Append(_) | Self::Untold { .. } => Refused::LogUnavailable,
            Self::Selector(_) | Self::Envelope(_) | Self::Query(_) => Refused::InvalidSubscribe,
            Self::TooManyTopics { .. } => Refused::TooManyTopics,
            Self::NobodyNamed => Refused::InvalidRevocation,
            Self::ForeignHost | Self::PassedOn => Refused::ForeignHost,
            Self::ForeignOrigin(_) => Refused::ForeignOrigin,
            Self::TooManyTickets { .. } | Self::Tickets(StoreError::Share | StoreError::Full) => {
                Refused::TooManyTickets
            }
            Self::Untrusted(Untrusted::Unavailable(_)) | Self::Tickets(_) => {
                Refused::CredentialsUnverifiable
            }
            Self::Unauthenticated | Self::Untrusted(_) | Self::UsedTicket => {
                Refused::Unauthenticated
            }
            Self::TooManyFailures { .. } | Self::TooManyFalseTickets { .. } | Self::Ended => {
                Refused::CredentialRate
            }
            Self::TwoCredentials => Refused::Unauthenticated,
            Self::Forbidden(_) | Self::Elsewhere => Refused::Forbidden,
            Self::TooFast { .. } => Refused::PublishRate,
            Self::Busy | Self::NoPeer => Refused::Requests,
            Self::BusyAddress => Refused::AddressRequests,
            Self::TooManyRequests { .. } => Refused::RequestRate,
        }
    }

    /// Whether credentials could not be looked at for now: whoever asks for a stream is told to come
    /// back.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Untrusted(Untrusted::Unavailable(_)) | Self::Tickets(_))
    }

    /// What was wrong with a credential, in words of ours.
    fn failure(&self) -> Option<Failure> {
        match self {
            Self::Untrusted(Untrusted::Invalid(invalid))
            | Self::TooManyFailures { invalid, .. } => Some(Failure(invalid.to_string())),
            Self::UsedTicket | Self::TooManyFalseTickets { .. } | Self::TwoCredentials => {
                Some(Failure(self.to_string()))
            }
            _ => None,
        }
    }

    /// Who was refused, where that is known.
    fn who(&self) -> Option<&Identity> {
        match self {
            Self::Forbidden(identity) => Some(identity),
            _ => None,
        }
    }

    /// Counts the refusal and answers it.
    pub(crate) fn answer(self, metrics: &Metrics) -> Response {
        let reason = self.reason();
        metrics.refused(reason);
        let (failure, who) = (self.failure(), self.who().cloned());
        let mut response = self.into_response();
        response.extensions_mut().insert(audit::Refusal { reason, failure, who });
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // It may quote what was sent.
        let said = cut(&self.to_string(), MAX_ECHO).into_owned();
        match self {
            Self::Body(refusal) => {
                let status = StatusCode::from_u16(refusal.status());
                let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                (status, [(CONTENT_TYPE, JSON)], refusal.body()).into_response()
            }
            Self::BodyTooLarge { .. } => detail(StatusCode::PAYLOAD_TOO_LARGE, said),
            Self::BodyRefused(Broken::Late) => detail(StatusCode::REQUEST_TIMEOUT, said),
            Self::BodyRefused(Broken::NoRoom) => {
                retry_later(detail(StatusCode::SERVICE_UNAVAILABLE, said))
            }
            Self::BodyBroken(_) => detail(StatusCode::BAD_REQUEST, said),
            Self::Key(_) => invalid(&["header", "idempotency-key"], &said, &Value::Null),
            // draft-ietf-httpapi-idempotency-key-header, 2.6.
            Self::Append(AppendError::KeyReused) => {
                invalid(&["header", "idempotency-key"], &said, &Value::Null)
            }
            Self::Append(error) => {
                let status = match error {
                    AppendError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                retry_later(detail(status, said))
            }
            Self::Selector(error) => {
                let (field, input) = match error {
                    InvalidSelector::Topic { text, .. } | InvalidSelector::Pattern { text, .. } => {
                        ("topic", echo(&text))
                    }
                    InvalidSelector::Type { text } => ("event", echo(&text)),
                    InvalidSelector::TooManyTopics(_) | InvalidSelector::TooManyPatterns(_) => {
                        ("topic", Value::Null)
                    }
                    InvalidSelector::TooManyTypes(_) => ("event", Value::Null),
                };
                invalid(&["query", field], &said, &input)
            }
            Self::Query(text) => invalid(&["query"], &said, &echo(&text)),
            Self::TooManyTopics { .. } => invalid(&["query", "topic"], &said, &Value::Null),
            Self::NobodyNamed => detail(
                StatusCode::UNPROCESSABLE_ENTITY,
                json!([{
                    "type": "missing", "loc": ["query", "id"], "msg": said, "input": null,
                }]),
            ),
            Self::ForeignHost | Self::PassedOn | Self::ForeignOrigin(_) | Self::Elsewhere => {
                detail(StatusCode::FORBIDDEN, said)
            }
            Self::Unauthenticated => challenge(StatusCode::UNAUTHORIZED, said, None),
            Self::Untrusted(Untrusted::Invalid(_)) | Self::UsedTicket => {
                challenge(StatusCode::UNAUTHORIZED, said, Some("invalid_token"))
            }
            // RFC 6750, 3.1.
            Self::TwoCredentials => {
                challenge(StatusCode::BAD_REQUEST, said, Some("invalid_request"))
            }
            Self::TooManyFailures { address, wait, .. }
            | Self::TooManyFalseTickets { address, wait } => {
                let mut response = too_many(said, wait);
                response.extensions_mut().insert(Slowed(address));
                response
            }
            Self::Forbidden(_) => {
                challenge(StatusCode::FORBIDDEN, said, Some("insufficient_scope"))
            }
            Self::Tickets(StoreError::Share) | Self::BusyAddress | Self::Ended => {
                retry_later(detail(StatusCode::TOO_MANY_REQUESTS, said))
            }
            Self::Untrusted(Untrusted::Unavailable(_))
            | Self::Tickets(_)
            | Self::Untold { .. }
            | Self::Busy => retry_later(detail(StatusCode::SERVICE_UNAVAILABLE, said)),
            Self::TooFast { wait }
            | Self::TooManyTickets { wait }
            | Self::TooManyRequests { wait } => too_many(said, wait),
            Self::NoPeer => detail(StatusCode::INTERNAL_SERVER_ERROR, said),
            Self::Envelope(text) => detail(
                StatusCode::UNPROCESSABLE_ENTITY,
                json!([{
                    "type": "literal_error",
                    "loc": ["query", "envelope"],
                    "msg": "Input should be 'none', 'json' or 'sealed'",
                    "input": echo(&text),
                    "ctx": {"expected": "'none', 'json' or 'sealed'"},
                }]),
            ),
        }
    }
}

fn too_many(said: String, wait: Duration) -> Response {
    let mut response = detail(StatusCode::TOO_MANY_REQUESTS, said);
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// What was sent, as far as an answer repeats it.
fn echo(text: &str) -> Value {
    cut(text, MAX_ECHO).into()
}

/// What lets the pages of an origin in.
fn cure(origin: Option<&Origin>) -> String {
    let Some(origin) = origin else { return String::new() };
    let local = if origin.is_local() { ", or those of this machine by --dev" } else { "" };
    format!(": allow them by --allow-origin {}{local}", origin.as_str())
}

fn retry_later(mut response: Response) -> Response {
    response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    response
}

/// An answer that says which credentials are wanted (RFC 6750, 3). `said` is one of the texts
/// above, and holds no quotes.
fn challenge(status: StatusCode, said: String, error: Option<&str>) -> Response {
    let challenge = match error {
        None => r#"Bearer realm="fanfare""#.to_owned(),
        Some(error) => {
            format!(r#"Bearer realm="fanfare", error="{error}", error_description="{said}""#)
        }
    };
    let mut response = detail(status, said);
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// pydantic's rendering of a value that a validator refused.
pub(super) fn invalid(location: &[&str], said: &str, input: &Value) -> Response {
    let message = format!("Value error, {said}");
    let problem = json!([{
        "type": "value_error", "loc": location, "msg": message, "input": input,
        "ctx": {"error": {}},
    }]);
    detail(StatusCode::UNPROCESSABLE_ENTITY, problem)
}

/// An answer in FastAPI's one shape for errors.
pub(crate) fn detail(status: StatusCode, detail: impl Into<Value>) -> Response {
    let body = json!({ "detail": detail.into() });
    (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
}
