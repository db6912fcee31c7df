//! An answer other than the one hoped for, in a form that can be shown.

use std::fmt;
use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// How much of an answer that is not the hub's own is shown, in characters.
const MOST_SHOWN: usize = 300;

/// A status, and what the body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAnswer {
    /// The status.
    pub status: StatusCode,
    /// What the body says: the `detail` of a hub's error, the `reason` why it is not ready, else the
    /// beginning of the body.
    pub said: String,
    /// How long the hub asks to wait, where it does (RFC 9110, 10.2.3; seconds only).
    pub retry_after: Option<Duration>,
}

impl HubAnswer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let said = match text(LOCATION) {
            Some(location) if status.is_redirection() => format!("it points to {location}"),
            _ => said(body),
        };
        let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        Self { status, said, retry_after: retry_after.map(Duration::from_secs) }
    }
}

impl fmt::Display for HubAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if self.said.is_empty() { Ok(()) } else { write!(f, ": {}", self.said) }
    }
}

/// The hub's errors have FastAPI's shape: `detail` is a text, or a list of what is wrong where.
fn said(body: &[u8]) -> String {
    let detail = serde_json::from_slice::<Value>(body).ok();
    let detail = detail.as_ref().and_then(|body| body.get("detail").or_else(|| body.get("reason")));
    let said = match detail {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(problems)) => problems.iter().map(problem).collect::<Vec<_>>().join("; "),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    // What a proxy answers may be a page, and it may end up on a terminal.
    let plain: String = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

fn problem(problem: &Value) -> String {
    let message = problem["msg"].as_str().unwrap_or("not said what");
    let place = problem["loc"].as_array().map(|place| {
        let words = place.iter().map(|word| word.as_str().map_or(word.to_string(), str::to_owned));
        words.collect::<Vec<_>>().join(".")
    });
    match place {
        Some(place) => format!("{place}: {message}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: u16, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        HubAnswer::new(status, &HeaderMap::new(), body.as_bytes()).to_string()
    }

    #[test]
    fn the_reason_of_a_refusal_is_shown() {
        assert_eq!(shown(404, r#"{"detail":"Not Found"}"#), "404 Not Found: Not Found");
        assert_eq!(
            shown(422, r#"{"detail":[{"loc":["body",2,"message"],"msg":"Field required"}]}"#),
            "422 Unprocessable Entity: body.2.message: Field required"
        );
        assert_eq!(
            shown(503, r#"{"status":"not ready","reason":"shutting down"}"#),
            "503 Service Unavailable: shutting down"
        );
        assert_eq!(shown(502, ""), "502 Bad Gateway");
    }

    #[test]
    fn a_page_from_a_proxy_neither_floods_nor_drives_the_terminal() {
        let shown = shown(502, &format!("\u{1b}]0;x\u{7}<html>{}", "x".repeat(10_000)));
        assert!(shown.len() < 400 && !shown.contains(char::is_control), "{shown}");
    }
}
