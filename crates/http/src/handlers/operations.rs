//! What operators and their tools ask: is it alive, is it ready, what has it done.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::dialect::detail;
use crate::endpoint::Endpoint;

/// OpenMetrics 1.0, 2.1.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process is alive and serves requests.
pub(crate) async fn healthz() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// The hub accepts publishes and subscribers.
pub(crate) async fn readyz(State(Endpoint { app, .. }): State<Endpoint>) -> Response {
    let reason = if app.is_draining() {
        Some("shutting down".to_owned())
    } else {
        app.hub.ready().err().map(|unready| unready.to_string())
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
pub(crate) async fn metrics(State(Endpoint { app, .. }): State<Endpoint>) -> Response {
    match app.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => detail(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be rendered"),
    }
}
