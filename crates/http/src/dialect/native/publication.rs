//! A publish in the hub's own dialect: `POST <prefix>/send`, in JSON or lines of it.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use fanfare_event::Position;
use fanfare_log::{Appended, Durability};
use fanfare_payload::{FIELDS, Submission, SubmissionKind, SubmissionLimits, decode};

use crate::dialect::contract::PublishRequest;
use crate::dialect::idempotency_key::KeyName;
use crate::query;
use crate::refusal::Refusal;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The most events in one batch: what it appends is appended under one lock.
const BATCH_EVENTS: usize = 10_000;
/// What a message may grow by when it is written as JSON (`\u0000` for a byte), and what the
/// other fields take: a message of the full size fits however it is escaped.
const ESCAPING: usize = 6;
const OTHER_FIELDS: usize = 8 * 1024;

pub(super) fn body_limit(message: usize) -> usize {
    message * ESCAPING + OTHER_FIELDS
}

/// Refuses fields in the query.
pub(super) fn check_query(query: &str) -> Result<(), Refusal> {
    query::refuse_fields(query, &FIELDS, |_| "body")
}

pub(super) fn read(
    headers: &HeaderMap,
    body: &Bytes,
    message_bytes: usize,
) -> Result<PublishRequest, Refusal> {
    let key = KeyName::find(headers)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let limits = SubmissionLimits { message_bytes, batch_events: BATCH_EVENTS };
    let Submission { drafts, kind } = decode(content_type, body, &limits).map_err(Refusal::Body)?;
    Ok(PublishRequest { drafts, kind, key })
}

pub(super) fn accepted(kind: SubmissionKind, appended: &Appended) -> Response {
    let first = appended.first;
    // Nothing in it has to be escaped. Writing to a string cannot fail.
    let mut body = String::with_capacity(match kind {
        SubmissionKind::Single => 128,
        SubmissionKind::Batch => 64 + appended.count * (Position::MAX_TEXT + 3),
    });
    match kind {
        SubmissionKind::Single => {
            let _ = write!(body, r#"{{"status":"message sent","id":"{first}""#);
        }
        SubmissionKind::Batch => {
            body.push_str(r#"{"status":"messages sent","ids":["#);
            for (n, id) in appended.positions().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                let _ = write!(body, r#"{comma}"{id}""#);
            }
            body.push(']');
        }
    }
    if let Some(level) = durability_name(appended.durability) {
        let _ = write!(body, r#","durability":"{level}""#);
    }
    body.push('}');
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// What an acknowledgement is worth, where that is more than that the hub has it in memory.
pub(super) fn durability_name(durability: Durability) -> Option<&'static str> {
    match durability {
        Durability::Memory => None,
        Durability::Os => Some("os"),
        Durability::Disk => Some("disk"),
        Durability::Engine => Some("engine"),
    }
}
