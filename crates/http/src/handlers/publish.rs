//! Publishing, in any dialect.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use fanfare_auth::Authorised;
use fanfare_event::Draft;
use fanfare_hub::Hub;
use fanfare_log::{Appending, Batch, IdempotencyKey};
use fanfare_mercure::HubUrl;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::dialect::{Publication, reserved, text};
use crate::refusal::Refusal;
use crate::state::Endpoint;

/// Accepts one message, or a batch of them as a whole.
pub(crate) async fn publish(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let Endpoint { app, dialect } = &endpoint;
    let (request, body) = request.into_parts();
    let limit = dialect.body_limit(app.max_message);
    let read = |body: &Bytes| dialect.publication(&request.headers, body, app.max_message);
    let accepted = accept(&endpoint, &request, body, limit, read).await;
    accepted.unwrap_or_else(|refusal| endpoint.refuse(&refusal))
}

/// Accepts one message that is the whole body, for the topic that the address names.
pub(crate) async fn publish_text(
    State(endpoint): State<Endpoint>,
    topic: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (request, body) = request.into_parts();
    let accepted = accept_text(&endpoint, topic, &request, body).await;
    accepted.unwrap_or_else(|refusal| endpoint.refuse(&refusal))
}

async fn accept_text(
    endpoint: &Endpoint,
    topic: Result<Path<String>, PathRejection>,
    request: &Parts,
    body: Body,
) -> Result<Response, Refusal> {
    // JSON has a browser ask first; a form and plain text do not.
    let access = &endpoint.app.access;
    let from = access.address(&request.extensions, &request.headers);
    access.guard.require_own_page(request, from)?;
    let read = |body: &Bytes| {
        let path = request.uri.path();
        let said = "the path does not decode to UTF-8";
        let Path(topic) = topic.map_err(|_| Refusal::of_publish(["path", "topic"], path, &said))?;
        text(&topic, &request.headers, body)
    };
    accept(endpoint, request, body, endpoint.app.max_message, read).await
}

/// Who publishes is known, and how much they have published lately, before the body is read, which is of
/// at most `limit` bytes.
async fn accept(
    endpoint: &Endpoint,
    request: &Parts,
    body: Body,
    limit: usize,
    publication: impl FnOnce(&Bytes) -> Result<Publication, Refusal>,
) -> Result<Response, Refusal> {
    let Endpoint { app, dialect } = endpoint;
    let _place = app.place(request)?;
    let caller = app.access.caller(request, dialect.credentials()).await?;
    caller.may_publish()?;
    app.quotas.publish(&caller)?;
    let body = read(body, limit).await?;
    let began = Instant::now();
    let Publication { drafts, kind, key } = publication(&body)?;
    if let Some(hub) = &app.mercure {
        refuse_reserved(hub, &drafts)?;
    }
    app.quotas.publish_more(&caller, drafts.len().saturating_sub(1));
    let drafts = caller.publish(drafts)?;
    let key = key.map(|name| name.of(caller.holder(), &drafts));
    let bytes = drafts.iter().map(|draft| draft.message.len()).sum();
    let id = drafts.first().and_then(|draft| draft.extras.as_ref()?.id().cloned());
    let inside = app.gate.enter().await?;
    let appended = append(&app.hub, drafts, key).await?;
    drop(inside);
    if appended.repeated {
        app.metrics.repeated();
    } else {
        app.metrics.published(appended.count, bytes, began.elapsed());
    }
    Ok(dialect.accepted(kind, &appended, id.as_ref()))
}

/// What would pass for something that the hub says of itself is refused.
fn refuse_reserved(hub: &HubUrl, drafts: &[Draft]) -> Result<(), Refusal> {
    for draft in drafts {
        if let Some(said) = reserved(hub, draft) {
            return Err(Refusal::of_publish(["body", "topic"], draft.topic.as_str(), &said));
        }
    }
    Ok(())
}

/// There is no other way into the log than drafts that someone was authorised for.
fn append(hub: &Hub, drafts: Authorised<Vec<Draft>>, key: Option<IdempotencyKey>) -> Appending {
    hub.publish(Batch { drafts: drafts.into_inner(), key })
}

/// The whole body, of which never more than `limit` bytes are held. Pieces are put together as they
/// come: kept apart, those of one byte each would take up forty times what they hold.
pub(super) async fn read(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Refusal::of_body)?;
        let Ok(piece) = frame.into_data() else { continue };
        if first.len() + whole.len() + piece.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
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
