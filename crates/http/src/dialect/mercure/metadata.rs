//! The hub's metadata as a protected resource (RFC 9728): whom tokens are to be meant for, and where they go.

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fanfare_mercure::MercureUrl;
use serde_json::json;

/// Where it is (RFC 9728, 3.1).
pub(super) const PATH: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

/// Where it is, for those who are elsewhere.
pub(super) fn url(hub: &MercureUrl) -> String {
    format!("{}{PATH}", hub.origin())
}

pub(super) fn document(hub: &MercureUrl, cookie: &str, subscriptions: bool) -> Bytes {
    let mut document = json!({
        "resource": hub.as_str(),
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [
            "https://mercure.rocks/authorization-detail",
        ],
        "mercure_cookie": cookie,
    });
    if subscriptions {
        document["mercure_subscriptions"] = true.into();
    }
    document.to_string().into()
}

pub(super) fn answer(document: Bytes) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], document).into_response()
}
