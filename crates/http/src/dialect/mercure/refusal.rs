//! Refusals in Mercure's protocol: those that concern a token as RFC 6750 has them, all others as problem details
//! (RFC 9457).

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::{StoreError, Untrusted};
use fanfare_log::AppendError;
use fanfare_mercure::MercureUrl;
use fanfare_payload::{MAX_ECHO, cut};
use serde_json::json;

use super::metadata;
use crate::refusal::{Refusal, UnreadableRequest};
use crate::request_body::BodyLimit;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The answer to a request that is refused.
pub(super) fn render(refusal: &Refusal, hub: &MercureUrl) -> Response {
    // It may quote what was sent.
    let said = cut(&refusal.to_string(), MAX_ECHO).into_owned();
    let mut response = problem(status(refusal), &said);
    if let Some(challenge) = challenge(refusal, hub) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds(wait));
    }
    response
}

/// `405`.
pub(super) fn method_not_allowed() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "there are GET, QUERY and POST")
}

fn problem(status: StatusCode, said: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "detail": said });
    (status, [(CONTENT_TYPE, PROBLEM)], body.to_string()).into_response()
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unreadable { what: UnreadableRequest::LongPublish, .. }
        | Refusal::BodyTooLarge { .. }
        | Refusal::LineTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Unreadable { what: UnreadableRequest::ContentType, .. } => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        Refusal::Unreadable { .. }
        | Refusal::Body(_)
        | Refusal::BodyBroken(_)
        | Refusal::NotOneHost
        | Refusal::Key(_)
        | Refusal::Selector(_)
        | Refusal::Query(_)
        | Refusal::Parameter { .. }
        | Refusal::Publish { .. }
        | Refusal::NearMiss { .. }
        | Refusal::Misplaced { .. }
        | Refusal::TooManyTopics { .. }
        | Refusal::NobodyNamed
        | Refusal::Envelope(_)
        | Refusal::Interval(_)
        | Refusal::TwoCredentials => StatusCode::BAD_REQUEST,
        Refusal::Append(AppendError::KeyReused) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Append(AppendError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::BodyLimit(BodyLimit::Late) => StatusCode::REQUEST_TIMEOUT,
        Refusal::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
        Refusal::UnknownSubscriber(_) => StatusCode::NOT_FOUND,
        Refusal::Unauthenticated
        | Refusal::Untrusted(Untrusted::Invalid(_))
        | Refusal::Cut
        | Refusal::UsedTicket => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden(_)
        | Refusal::ForeignHost
        | Refusal::PassedOn
        | Refusal::ForeignOrigin(_)
        | Refusal::Elsewhere => StatusCode::FORBIDDEN,
        Refusal::Tickets(StoreError::Share)
        | Refusal::TooFast { .. }
        | Refusal::TooManyTickets { .. }
        | Refusal::TooManyFailures { .. }
        | Refusal::TooManyFalseTickets { .. }
        | Refusal::ConnectionEnded
        | Refusal::BusyAddress
        | Refusal::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::BodyLimit(BodyLimit::NoRoom)
        | Refusal::Append(_)
        | Refusal::Untrusted(Untrusted::Unavailable(_))
        | Refusal::Tickets(_)
        | Refusal::CutNotAnnounced { .. }
        | Refusal::NotAllAsked
        | Refusal::DeliveryBusy
        | Refusal::HandedOver
        | Refusal::Moving
        | Refusal::Draining
        | Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::NoPeer => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Which token is wanted, where one is what is wrong (RFC 6750, 3; RFC 9728, 5.1). Of one that is not valid, it
/// does not say why.
fn challenge(refusal: &Refusal, hub: &MercureUrl) -> Option<HeaderValue> {
    let error = match refusal {
        Refusal::Unauthenticated => "",
        Refusal::Untrusted(Untrusted::Invalid(_)) | Refusal::UsedTicket => {
            r#"error="invalid_token", "#
        }
        Refusal::TwoCredentials => r#"error="invalid_request", "#,
        Refusal::Forbidden(_) => r#"error="insufficient_scope", "#,
        _ => return None,
    };
    let metadata = metadata::url(hub);
    HeaderValue::try_from(format!(r#"Bearer {error}resource_metadata="{metadata}""#)).ok()
}

/// Whole seconds, as `Retry-After` wants them; never none (RFC 9110, 10.2.3).
fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64)
}
