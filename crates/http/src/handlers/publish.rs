//! Publishing, in any dialect.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::sync::Semaphore;

use super::body::read_whole;
use super::publish_lines::publish_lines;
use super::publish_rules::{admit, append, refuse_reserved};
use crate::dialect::{PublishRequest, check_text_query, refused_text, text};
use crate::endpoint::Endpoint;
use crate::processor_time::{LONG_BODY, aside};
use crate::refusal::Refusal;

/// How many long bodies are read at once: each may take 12 MiB while it is.
static READING: Semaphore = Semaphore::const_new(4);

/// Accepts one message, or a batch of them as a whole.
pub(crate) async fn publish(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    publish_at(&endpoint, request, body).await
}

/// The same, for who comes past the router.
pub(crate) async fn publish_at(endpoint: &Endpoint, request: Parts, body: Body) -> Response {
    let Endpoint { app, dialect } = endpoint;
    if let Some(format) = dialect.lines(&request.headers) {
        // It is large, and seldom beside the other.
        let begun = Box::pin(publish_lines(endpoint, &request, body, format)).await;
        return begun.unwrap_or_else(|refusal| endpoint.refuse(&refusal));
    }
    let limit = dialect.body_limit(app.max_message);
    let read = |body: &Bytes| {
        request.uri.query().map_or(Ok(()), |query| dialect.check_publish_query(query))?;
        dialect.publication(&request.headers, body, app.max_message)
    };
    let accepted = accept(endpoint, &request, body, limit, read).await;
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
        request.uri.query().map_or(Ok(()), check_text_query)?;
        let path = request.uri.path();
        let said = "the path does not decode to UTF-8";
        let Path(topic) = topic.map_err(|_| Refusal::of_publish(["path", "topic"], path, said))?;
        text(&topic, &request.headers, body)
    };
    accept(endpoint, request, body, endpoint.app.max_message, read).await.map_err(refused_text)
}

/// Who publishes is known, and how much they have published lately, before the body is read, which is of
/// at most `limit` bytes.
async fn accept(
    endpoint: &Endpoint,
    request: &Parts,
    body: Body,
    limit: usize,
    publication: impl FnOnce(&Bytes) -> Result<PublishRequest, Refusal>,
) -> Result<Response, Refusal> {
    let Endpoint { app, dialect } = endpoint;
    let (_place, caller) = admit(endpoint, request).await?;
    app.quotas.publish(&caller)?;
    let body = read_whole(body, limit).await?;
    let began = Instant::now();
    let is_long = body.len() >= LONG_BODY;
    let turn = if is_long { READING.acquire().await.ok() } else { None };
    let PublishRequest { drafts, kind, key } = aside(is_long, || {
        let read = publication(&body)?;
        read.drafts.iter().try_for_each(|draft| refuse_reserved(app, draft))?;
        Ok::<_, Refusal>(read)
    })?;
    app.quotas.publish_more(&caller, drafts.len().saturating_sub(1));
    let drafts = aside(is_long, || caller.publish(drafts))?;
    drop(turn);
    let key = key.map(|name| name.of(caller.holder(), &drafts));
    let id = drafts.first().and_then(|draft| draft.extras.as_ref()?.id().cloned());
    let appended = append(app, drafts, key, began).await?;
    Ok(dialect.accepted(kind, &appended, id.as_ref()))
}
