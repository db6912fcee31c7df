//! `/.well-known/security.txt` (RFC 9116): where to report a problem. Only where a contact is named.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use fanfare_event::Timestamp;

/// How long the file is good for from when it is asked for: less than a year (RFC 9116, 2.5.5).
const GOOD: Duration = Duration::from_secs(90 * 24 * 3600);

/// The route, where there is something to tell.
pub(crate) fn security_txt(contacts: &[String]) -> Router {
    if contacts.is_empty() {
        return Router::new();
    }
    let contacts: String =
        contacts.iter().map(|contact| format!("Contact: {contact}\r\n")).collect();
    let answer = move || {
        let contacts = contacts.clone();
        async move {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
                (CACHE_CONTROL, HeaderValue::from_static("max-age=86400")),
            ];
            let until = Timestamp::from(SystemTime::now() + GOOD).start_of_day();
            (headers, format!("{contacts}Expires: {until}\r\n")).into_response()
        }
    };
    Router::new().route("/.well-known/security.txt", get(answer))
}
