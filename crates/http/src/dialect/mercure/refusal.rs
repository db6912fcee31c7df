//! Refusals in Mercure's protocol: those that concern a token as RFC 6750 has them, all others as problem details
//! (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::Untrusted;
use fanfare_mercure::MercureUrl;
use fanfare_payload::{MAX_ECHO, shorten};
use serde_json::json;

use super::metadata;
use crate::refusal::Refusal;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The answer to a request that is refused.
pub(super) fn render(refusal: &Refusal, hub: &MercureUrl) -> Response {
    // It may quote what was sent.
    let said = shorten(&refusal.to_string(), MAX_ECHO).into_owned();
    let mut response = problem(refusal.status(StatusCode::BAD_REQUEST), &said);
    if let Some(challenge) = challenge(refusal, hub) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
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
