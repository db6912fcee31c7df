//! Errors as HTTP: the one place where a refusal becomes a status and a body, in the shapes that
//! callers of a FastAPI server parse.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fanfare_event::InvalidSelector;
use fanfare_log::{AppendError, InvalidKey};
use fanfare_payload::Refusal;
use serde_json::{Value, json};

use crate::metrics::Refused;

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
}

impl Error {
    /// Under which reason the refusal is counted.
    pub(crate) fn reason(&self) -> Refused {
        match self {
            Self::Body(refusal) if refusal.status() == 413 => Refused::TooLarge,
            Self::BodyTooLarge { .. } => Refused::TooLarge,
            Self::Body(_) | Self::BodyBroken(_) | Self::Key(_) => Refused::InvalidPublish,
            Self::Append(AppendError::Full { .. }) => Refused::LogFull,
            Self::Append(AppendError::TooManyKeys { .. }) => Refused::TooManyKeys,
            Self::Append(_) => Refused::LogUnavailable,
            Self::Selector(_) | Self::Envelope(_) | Self::Query(_) => Refused::InvalidSubscribe,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let said = self.to_string();
        match self {
            Self::Body(refusal) => {
                let status = StatusCode::from_u16(refusal.status());
                let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                (status, [(CONTENT_TYPE, JSON)], refusal.body()).into_response()
            }
            Self::BodyTooLarge { .. } => detail(StatusCode::PAYLOAD_TOO_LARGE, said),
            Self::BodyBroken(_) => detail(StatusCode::BAD_REQUEST, said),
            Self::Key(_) => invalid(&["header", "idempotency-key"], &said, &Value::Null),
            Self::Append(error) => {
                let status = match error {
                    AppendError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                let mut response = detail(status, said);
                response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
                response
            }
            Self::Selector(error) => {
                let (field, input) = match error {
                    InvalidSelector::Topic { text, .. } | InvalidSelector::Pattern { text, .. } => {
                        ("topic", text.into())
                    }
                    InvalidSelector::Type { text } => ("event", text.into()),
                    InvalidSelector::TooManyTopics(_) => ("topic", Value::Null),
                    InvalidSelector::TooManyTypes(_) => ("event", Value::Null),
                };
                invalid(&["query", field], &said, &input)
            }
            Self::Query(text) => invalid(&["query"], &said, &text.into()),
            Self::Envelope(text) => detail(
                StatusCode::UNPROCESSABLE_ENTITY,
                json!([{
                    "type": "literal_error",
                    "loc": ["query", "envelope"],
                    "msg": "Input should be 'none' or 'json'",
                    "input": text,
                    "ctx": {"expected": "'none' or 'json'"},
                }]),
            ),
        }
    }
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
