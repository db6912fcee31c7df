//! Tickets: `POST <prefix>/ticket`, for pages whose EventSource can send no header.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use fanfare_auth::Ticket;
use serde_json::json;

use super::admin::NO_STORE;
use super::error::Error;
use super::router::Shared;

/// Hands out a ticket for the rights of whoever asks.
pub(crate) async fn issue(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let mut response = match draw(&shared, &request).await {
        Ok(ticket) => {
            let answer = json!({"ticket": ticket.expose(), "expires_in": Ticket::SECONDS});
            axum::Json(answer).into_response()
        }
        Err(error) => Error::answer(error, &shared.metrics),
    };
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

async fn draw(shared: &Shared, request: &Parts) -> Result<Ticket, Error> {
    let caller = shared.access.caller(request).await?;
    shared.quotas.ticket(&caller)?;
    let ticket = shared.access.ticket(&caller).await?;
    shared.trail.ticket(caller.identity(), caller.address);
    Ok(ticket)
}
