//! The endpoint: what the handlers of requests are given.

use std::sync::Arc;

use axum::response::Response;

use crate::dialect::Dialect;
use crate::refusal::Refusal;
use crate::state::AppState;

/// Where a handler is reached: the hub, in one dialect.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) app: Arc<AppState>,
    pub(crate) dialect: &'static dyn Dialect,
}

impl Endpoint {
    /// Counts a refusal, and answers it.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response {
        self.app.metrics.refused(refusal.reason());
        self.answer(refusal)
    }

    /// Answers a refusal that has been counted.
    pub(crate) fn answer(&self, refusal: &Refusal) -> Response {
        let mut response = self.dialect.refused(refusal);
        response.extensions_mut().insert(refusal.note());
        response
    }
}
