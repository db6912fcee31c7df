//! Forms: bodies as HTML pages send them.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

/// Their media type.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a body is said to be a form; `None` if nothing is said of it.
pub(crate) fn is_form(headers: &HeaderMap) -> Option<bool> {
    let given = headers.get(CONTENT_TYPE)?.as_bytes();
    let kind = given.split(|byte| *byte == b';').next().unwrap_or_default();
    Some(kind.trim_ascii().eq_ignore_ascii_case(FORM.as_bytes()))
}
