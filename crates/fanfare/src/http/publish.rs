//! Publishing: `POST /sse/send`.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use fanfare_auth::Authorised;
use fanfare_event::Draft;
use fanfare_hub::Hub;
use fanfare_log::{Appended, Appending, Batch, Durability, IdempotencyKey};
use fanfare_payload::{Kind, Limits, Submission, decode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::error::Error;
use super::idempotency_key::KeyName;
use super::request_body::Broken;
use super::router::Shared;

/// The most events in one batch: what it appends is appended under one lock.
const BATCH_EVENTS: usize = 10_000;
/// What a message may grow by when it is written as JSON (`\u0000` for a byte), and what the
/// other fields take: a message of the full size fits however it is escaped.
const ESCAPING: usize = 6;
const OTHER_FIELDS: usize = 8 * 1024;

/// Accepts one message, or a batch of them as a whole.
pub(crate) async fn send(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    match accept(&shared, &request, body).await {
        Ok(response) => response,
        Err(error) => Error::answer(error, &shared.metrics),
    }
}

/// Who publishes is known, and how much they have published lately, before the body is read.
async fn accept(shared: &Shared, request: &Parts, body: Body) -> Result<Response, Error> {
    let caller = shared.access.caller(request).await?;
    caller.may_publish()?;
    shared.quotas.publish(&caller)?;
    let headers = &request.headers;
    let body = read(body, shared.max_message * ESCAPING + OTHER_FIELDS).await?;
    let began = Instant::now();
    let key = KeyName::find(headers)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let limits = Limits { message_bytes: shared.max_message, batch_events: BATCH_EVENTS };
    let Submission { drafts, kind } = decode(content_type, &body, &limits).map_err(Error::Body)?;
    shared.quotas.publish_more(&caller, drafts.len() - 1);
    let drafts = caller.publish(drafts)?;
    let key = key.map(|name| name.of(caller.holder(), &drafts));
    let bytes = drafts.iter().map(|draft| draft.message.len()).sum();
    let appended = append(&shared.hub, drafts, key).await?;
    if appended.repeated {
        shared.metrics.repeated();
    } else {
        shared.metrics.published(appended.count, bytes, began.elapsed());
    }
    Ok(acknowledge(&appended, kind))
}

/// There is no other way into the log than drafts that someone was authorised for.
fn append(hub: &Hub, drafts: Authorised<Vec<Draft>>, key: Option<IdempotencyKey>) -> Appending {
    hub.publish(Batch { drafts: drafts.into_inner(), key })
}

/// The whole body, of which never more than `limit` bytes are held. Pieces are put together as they
/// come: kept apart, those of one byte each would take up forty times what they hold.
async fn read(mut body: Body, limit: usize) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::BodyTooLarge { limit });
    }
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match Broken::cause_of(&error) {
            Some(broken) => Error::BodyRefused(broken),
            None => Error::BodyBroken(error),
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        if first.len() + whole.len() + piece.len() > limit {
            return Err(Error::BodyTooLarge { limit });
        }
        if first.is_empty() && whole.is_empty() {
            // Most come in one piece.
            first = piece;
            continue;
        }
        if !first.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

fn acknowledge(appended: &Appended, kind: Kind) -> Response {
    let mut answer = match kind {
        Kind::Single => json!({"status": "message sent", "id": appended.first.to_string()}),
        Kind::Batch => {
            let ids: Vec<_> = appended.positions().map(|id| id.to_string()).collect();
            json!({"status": "messages sent", "ids": ids})
        }
    };
    let durability = match appended.durability {
        Durability::Memory => None,
        Durability::Os => Some("os"),
        Durability::Disk => Some("disk"),
        Durability::Engine => Some("engine"),
    };
    if let Some(level) = durability {
        answer["durability"] = level.into();
    }
    axum::Json(answer).into_response()
}
