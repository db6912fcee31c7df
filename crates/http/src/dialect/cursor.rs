//! The cursor in a request for a stream.

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use fanfare_hub::Requested;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The cursor that a client sends. An EventSource repeats its first address when it reconnects, so
/// the header is the newer. Its bytes are UTF-8 (WHATWG HTML, 9.2.4); what is not cannot be an id
/// of ours.
pub(super) fn cursor(headers: &HeaderMap, from_query: Option<&str>) -> Requested {
    let from_header = headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()));
    let given = from_header.filter(|id| !id.is_empty()).or(from_query.map(Cow::Borrowed));
    Requested::parse(given.as_deref())
}
