//! A publish in the hub's own dialect: `POST <prefix>/send`, in JSON or lines of it.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fanfare_log::{Appended, Durability};
use fanfare_payload::{Kind, Limits, Submission, decode};
use serde_json::json;

use crate::dialect::contract::Publication;
use crate::dialect::idempotency_key::KeyName;
use crate::refusal::Refusal;

/// The most events in one batch: what it appends is appended under one lock.
const BATCH_EVENTS: usize = 10_000;
/// What a message may grow by when it is written as JSON (`\u0000` for a byte), and what the
/// other fields take: a message of the full size fits however it is escaped.
const ESCAPING: usize = 6;
const OTHER_FIELDS: usize = 8 * 1024;

pub(super) fn body_limit(message: usize) -> usize {
    message * ESCAPING + OTHER_FIELDS
}

pub(super) fn read(
    headers: &HeaderMap,
    body: &Bytes,
    message_bytes: usize,
) -> Result<Publication, Refusal> {
    let key = KeyName::find(headers)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let limits = Limits { message_bytes, batch_events: BATCH_EVENTS };
    let Submission { drafts, kind } = decode(content_type, body, &limits).map_err(Refusal::Body)?;
    Ok(Publication { drafts, kind, key })
}

pub(super) fn accepted(kind: Kind, appended: &Appended) -> Response {
    let mut answer = match kind {
        Kind::Single => json!({"status": "message sent", "id": appended.first.to_string()}),
        Kind::Batch => {
            let ids: Vec<_> = appended.positions().map(|id| id.to_string()).collect();
            json!({"status": "messages sent", "ids": ids})
        }
    };
    if let Some(level) = durability_name(appended.durability) {
        answer["durability"] = level.into();
    }
    axum::Json(answer).into_response()
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
