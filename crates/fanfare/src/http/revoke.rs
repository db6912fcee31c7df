//! Revocation: `DELETE <prefix>/subscribers?subject=…` ends the streams of a subject.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::mpsc;

use super::error::Error;
use super::query;
use super::router::Shared;

/// Ends the streams, and says how many those were. Their subject may come back while its token is
/// good.
pub(crate) async fn revoke(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    match cut(&shared, &request).await {
        Ok(count) => {
            axum::Json(json!({"status": "streams closed", "count": count})).into_response()
        }
        Err(error) => Error::answer(error, &shared.metrics),
    }
}

async fn cut(shared: &Shared, request: &Parts) -> Result<usize, Error> {
    let _place = shared.quotas.request().ok_or(Error::Busy)?;
    shared.access.caller(request).await?.administer()?;
    let query = request.uri.query().unwrap_or_default();
    let subject = query::find(query, "subject")?.ok_or(Error::NoSubject)?;
    let (done, mut counts) = mpsc::unbounded_channel();
    // The channel closes when the last shard has answered, or has gone.
    shared.delivery.cut(&subject, move |count| {
        let _ = done.send(count);
    });
    let mut sum = 0;
    while let Some(count) = counts.recv().await {
        sum += count;
    }
    tracing::info!(streams = sum, "the streams of a subject were cut");
    Ok(sum)
}
