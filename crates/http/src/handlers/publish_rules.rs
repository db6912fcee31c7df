//! What holds of every publish, whole or line by line: who may, what nobody may say, and the one way into the log.

use std::time::Instant;

use axum::http::request::Parts;
use fanfare_auth::Authorised;
use fanfare_event::Draft;
use fanfare_log::{Appended, Batch, IdempotencyKey};

use crate::access::Caller;
use crate::endpoint::Endpoint;
use crate::quotas::RequestPlace;
use crate::refusal::Refusal;
use crate::state::AppState;

/// A place among the requests, and who is let in to publish something somewhere.
pub(super) async fn admit(
    endpoint: &Endpoint,
    request: &Parts,
) -> Result<(RequestPlace, Caller), Refusal> {
    let Endpoint { app, dialect } = endpoint;
    let place = app.place(request)?;
    let caller = app.access.caller(request, dialect.credentials()).await?;
    caller.may_publish()?;
    if dialect.takes_forms() && !caller.has_presented() {
        // What everyone may do, a page of any site has its visitor's browser do.
        app.access.guard.require_own_page(request, Some(caller.address))?;
    }
    Ok((place, caller))
}

/// What would pass for something that the hub says of itself is refused.
pub(super) fn refuse_reserved(app: &AppState, draft: &Draft) -> Result<(), Refusal> {
    let name = app.reserved.iter().find_map(|names| names.find(draft));
    name.map_or(Ok(()), |name| Err(Refusal::Reserved(name)))
}

/// There is no other way into the log than drafts that someone was authorised for.
pub(super) async fn append(
    app: &AppState,
    drafts: Authorised<Vec<Draft>>,
    key: Option<IdempotencyKey>,
    began: Instant,
) -> Result<Appended, Refusal> {
    let bytes = drafts.iter().map(|draft| draft.message.len()).sum();
    let inside = app.gate.enter().await?;
    let appended = app.hub.publish(Batch { drafts: drafts.into_inner(), key }).await?;
    drop(inside);
    if appended.repeated {
        app.metrics.repeated();
    } else {
        app.metrics.published(appended.count, bytes, began.elapsed());
    }
    Ok(appended)
}
