//! Tickets: `POST <prefix>/ticket`, for pages whose EventSource can send no header.

use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use fanfare_auth::Ticket;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::layers::NO_STORE;
use crate::refusal::Refusal;

/// Hands out a ticket for the rights of whoever asks.
pub(crate) async fn issue(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let mut response = match draw(&endpoint, &request).await {
        Ok(ticket) => {
            let answer = json!({"ticket": ticket.expose(), "expires_in": Ticket::SECONDS});
            axum::Json(answer).into_response()
        }
        Err(refusal) => endpoint.refuse(&refusal),
    };
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

async fn draw(endpoint: &Endpoint, request: &Parts) -> Result<Ticket, Refusal> {
    let Endpoint { app, dialect } = endpoint;
    let _place = app.place(request)?;
    let caller = app.access.caller(request, dialect.credentials()).await?;
    app.quotas.ticket(&caller)?;
    let _inside = app.gate.enter().await?;
    let ticket = app.access.ticket(&caller).await?;
    app.trail.ticket(caller.identity(), caller.address);
    Ok(ticket)
}
