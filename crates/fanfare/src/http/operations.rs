//! What operators and their tools ask: is it alive, is it ready, what has it done.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::detail;
use super::router::Shared;

/// OpenMetrics 1.0, 2.1.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process is alive and serves requests.
pub(crate) async fn healthz() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// The hub accepts publishes and subscribers.
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let reason = if shared.is_draining() {
        Some("shutting down".to_owned())
    } else {
        shared.hub.ready().err().map(|unready| unready.reason)
    };
    match reason {
        None => axum::Json(json!({"status": "ready"})).into_response(),
        Some(reason) => {
            let body = json!({"status": "not ready", "reason": reason});
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
        }
    }
}

/// Everything that is counted.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => detail(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be rendered"),
    }
}
