//! Refusals in the hub's own dialect: the one place where one becomes a status and a body, in the shapes
//! that callers of a FastAPI server parse.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_auth::Untrusted;
use fanfare_event::InvalidSelector;
use fanfare_log::AppendError;
use fanfare_payload::{MAX_ECHO, shorten};
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::reserved::{ReservedField, ReservedName};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The status that FastAPI gives what its validators refuse.
const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// The answer to a request that is refused.
pub(super) fn render(refusal: &Refusal) -> Response {
    let mut response = rendered(refusal).into_response();
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// What is said of a refusal: a status, and an object in JSON.
pub(super) struct RenderedRefusal {
    pub(super) status: StatusCode,
    pub(super) body: String,
    /// Which credentials are wanted, where it is about them.
    challenge: Option<HeaderValue>,
}

impl IntoResponse for RenderedRefusal {
    fn into_response(self) -> Response {
        let Self { status, body, challenge } = self;
        let mut response = (status, [(CONTENT_TYPE, JSON)], body).into_response();
        if let Some(challenge) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// `404`, as FastAPI has it.
pub(crate) fn not_found() -> Response {
    detail(StatusCode::NOT_FOUND, "Not Found")
}

/// `405`, as FastAPI has it.
pub(super) fn method_not_allowed() -> Response {
    detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

/// An answer in FastAPI's one shape for errors.
pub(crate) fn detail(status: StatusCode, detail: impl Into<Value>) -> Response {
    say(status, detail).into_response()
}

fn say(status: StatusCode, detail: impl Into<Value>) -> RenderedRefusal {
    let body = json!({ "detail": detail.into() }).to_string();
    RenderedRefusal { status, body, challenge: None }
}

/// What is said of this refusal.
pub(super) fn rendered(refusal: &Refusal) -> RenderedRefusal {
    let status = refusal.status(INVALID);
    // It may quote what was sent.
    let said = shorten(&refusal.to_string(), MAX_ECHO).into_owned();
    match refusal {
        Refusal::Body(body) => RenderedRefusal { status, body: body.body(), challenge: None },
        Refusal::Key(_) | Refusal::Append(AppendError::KeyReused) => {
            invalid(&["header", "idempotency-key"], &said, &Value::Null)
        }
        Refusal::Selector(error) => {
            let (field, input) = match error {
                InvalidSelector::Topic { text, .. } | InvalidSelector::Pattern { text, .. } => {
                    ("topic", echo(text))
                }
                InvalidSelector::Type { text } => ("event", echo(text)),
                InvalidSelector::Nothing
                | InvalidSelector::TooManyTopics(_)
                | InvalidSelector::TooManyPatterns(_) => ("topic", Value::Null),
                InvalidSelector::TooManyTypes(_) => ("event", Value::Null),
            };
            invalid(&["query", field], &said, &input)
        }
        Refusal::Query(text) => invalid(&["query"], &said, &echo(text)),
        Refusal::TooManyParameters { .. } => invalid(&["query"], &said, &Value::Null),
        Refusal::Parameter { name, value, .. } => {
            invalid(&["query", name], &refusal.to_string(), &value.as_str().into())
        }
        Refusal::Publish { place, value, .. } => invalid(place, &said, &echo(value)),
        Refusal::Reserved(ReservedName { field, name, .. }) => {
            let field = match field {
                ReservedField::Topic => "topic",
                ReservedField::Topics => "topics",
                ReservedField::EventType => "event",
            };
            invalid(&["body", field], &said, &echo(name))
        }
        Refusal::NearMiss { name, value, .. } | Refusal::Misplaced { name, value, .. } => say(
            status,
            json!([{
                "type": "extra_forbidden", "loc": ["query", name], "msg": said,
                "input": echo(value),
            }]),
        ),
        Refusal::TooManyTopics { .. } => invalid(&["query", "topic"], &said, &Value::Null),
        Refusal::NobodyNamed => say(
            status,
            json!([{
                "type": "missing", "loc": ["query", "id"], "msg": said, "input": null,
            }]),
        ),
        Refusal::Interval(text) => invalid(&["query", "interval"], &said, &echo(text)),
        Refusal::Envelope(text) => say(
            status,
            json!([{
                "type": "literal_error",
                "loc": ["query", "envelope"],
                "msg": "Input should be 'none', 'json' or 'sealed'",
                "input": echo(text),
                "ctx": {"expected": "'none', 'json' or 'sealed'"},
            }]),
        ),
        Refusal::UnknownSubscriber(_) => say(status, refusal.to_string()),
        Refusal::Unauthenticated => challenge(status, said, None),
        Refusal::Untrusted(Untrusted::Invalid(_)) | Refusal::UsedTicket | Refusal::Cut => {
            challenge(status, said, Some("invalid_token"))
        }
        // RFC 6750, 3.1.
        Refusal::TwoCredentials => challenge(status, said, Some("invalid_request")),
        Refusal::Forbidden(_) => challenge(status, said, Some("insufficient_scope")),
        _ => say(status, said),
    }
}

/// What was sent, as far as an answer repeats it.
fn echo(text: &str) -> Value {
    shorten(text, MAX_ECHO).into()
}

/// An answer that says which credentials are wanted (RFC 6750, 3). `said` is a refusal's own text, and
/// holds no quotes.
fn challenge(status: StatusCode, said: String, error: Option<&str>) -> RenderedRefusal {
    let challenge = match error {
        None => r#"Bearer realm="fanfare""#.to_owned(),
        Some(error) => {
            format!(r#"Bearer realm="fanfare", error="{error}", error_description="{said}""#)
        }
    };
    RenderedRefusal { challenge: HeaderValue::try_from(challenge).ok(), ..say(status, said) }
}

/// pydantic's rendering of a value that a validator refused.
fn invalid(location: &[&str], said: &str, input: &Value) -> RenderedRefusal {
    let message = format!("Value error, {said}");
    let problem = json!([{
        "type": "value_error", "loc": location, "msg": message, "input": input,
        "ctx": {"error": {}},
    }]);
    say(INVALID, problem)
}
