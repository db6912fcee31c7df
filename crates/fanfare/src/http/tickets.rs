//! Tickets: `POST <prefix>/ticket`, for pages whose EventSource can send no header.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use fanfare_auth::Ticket;
use serde_json::json;

use super::error::Error;
use super::router::Shared;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Hands out a ticket for the rights of whoever asks.
pub(crate) async fn issue(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    match draw(&shared, &request).await {
        Ok(ticket) => {
            let answer = json!({"ticket": ticket.expose(), "expires_in": Ticket::SECONDS});
            ([(CACHE_CONTROL, NO_STORE)], axum::Json(answer)).into_response()
        }
        Err(error) => Error::answer(error, &shared.metrics),
    }
}

async fn draw(shared: &Shared, request: &Parts) -> Result<Ticket, Error> {
    let _place = shared.quotas.request().ok_or(Error::Busy)?;
    let caller = shared.access.caller(request).await?;
    shared.access.ticket(&caller).await
}
