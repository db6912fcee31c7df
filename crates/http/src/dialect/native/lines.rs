//! A publish that goes on, in the hub's own dialect: lines of JSON in a body that need not end, answered line
//! by line while it arrives. The words are those of `docs/publishing.md`.

use std::io::Write as _;
use std::ops::RangeInclusive;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use fanfare_event::Draft;
use fanfare_log::Appended;
use fanfare_payload::{decode_line, is_json_lines};

use super::publication::{body_limit, durability_name};
use super::refusal::{RenderedRefusal, rendered};
use crate::dialect::contract::LineFormat;
use crate::dialect::idempotency_key;
use crate::refusal::Refusal;

const JSON_LINES: &str = "application/x-ndjson";

/// How lines are read and answered.
static LINES: JsonLines = JsonLines;

#[derive(Debug)]
struct JsonLines;

/// How they are, if that is what a request asks for: its body is lines of JSON, and so is the answer that it
/// accepts by name. A client that accepts anything has not asked.
pub(super) fn asked_for(headers: &HeaderMap) -> Option<&'static dyn LineFormat> {
    let is_lines = || is_json_lines(headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()));
    (accepts_lines(headers) && is_lines()).then_some(&LINES)
}

/// Whether the kind is named (RFC 9110, 12.5.1), and not to say that it is not wanted.
fn accepts_lines(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(JSON_LINES));
        let weight = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())?
        });
        is_named && weight != Some(0.0)
    })
}

impl LineFormat for JsonLines {
    fn admits(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = headers.get(idempotency_key::HEADER) else { return Ok(()) };
        let key = String::from_utf8_lossy(key.as_bytes());
        let said = "lines that are answered one by one have no key: what must not be published twice \
                    goes into batches, each with a key";
        Err(Refusal::of_publish(["header", "idempotency-key"], &key, said))
    }

    fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(JSON_LINES)
    }

    fn longest(&self, message: usize) -> usize {
        body_limit(message)
    }

    fn read(&self, line: &[u8], number: usize, message: usize) -> Result<Option<Draft>, Refusal> {
        decode_line(line, number, message).map_err(Refusal::Body)
    }

    fn accepted(&self, lines: RangeInclusive<usize>, what: &Appended, into: &mut Vec<u8>) {
        let (from, to) = lines.into_inner();
        let Appended { first, count, durability, .. } = *what;
        let last = first.plus((count as u64).saturating_sub(1));
        // Writing to memory cannot fail.
        let _ = write!(
            into,
            r#"{{"lines":[{from},{to}],"count":{count},"first":"{first}","last":"{last}""#
        );
        if let Some(level) = durability_name(durability) {
            let _ = write!(into, r#","durability":"{level}""#);
        }
        into.extend_from_slice(b"}\n");
    }

    fn refused(&self, line: usize, refusal: &Refusal, into: &mut Vec<u8>) {
        let RenderedRefusal { status, body, .. } = rendered(refusal);
        let status = status.as_u16();
        let _ = writeln!(into, r#"{{"line":{line},"status":{status},"error":{body}}}"#);
    }

    fn ended(&self, line: usize, why: Option<&Refusal>, into: &mut Vec<u8>) {
        let Some(why) = why else {
            let _ = writeln!(into, r#"{{"end":"complete","line":{line}}}"#);
            return;
        };
        let RenderedRefusal { status, body, .. } = rendered(why);
        let (reason, status) = (why.reason().as_str(), status.as_u16());
        let _ =
            write!(into, r#"{{"end":"{reason}","line":{line},"status":{status},"error":{body}"#);
        if let Some(seconds) = why.retry_after_seconds() {
            let _ = write!(into, r#","retry_after":{seconds}"#);
        }
        into.extend_from_slice(b"}\n");
    }

    fn keepalive(&self) -> &'static [u8] {
        // A blank line, which those who read JSON line by line pass over.
        b"\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked(headers: &[(&'static str, &'static str)]) -> bool {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_static(value));
        }
        asked_for(&all).is_some()
    }

    #[test]
    fn only_who_has_asked_is_answered_line_by_line() {
        let lines = ("content-type", "application/x-ndjson");
        for accept in [
            "application/x-ndjson",
            "Application/X-NDJSON ; q=0.5",
            "application/json, application/x-ndjson",
        ] {
            assert!(is_asked(&[lines, ("accept", accept)]), "{accept}");
            assert!(!is_asked(&[("content-type", "application/json"), ("accept", accept)]));
        }
        assert!(!is_asked(&[lines]));
        for accept in ["*/*", "application/*", "application/json", "application/x-ndjson;q=0", ""] {
            assert!(!is_asked(&[lines, ("accept", accept)]), "{accept}");
        }
        assert!(is_asked(&[lines, ("accept", "*/*"), ("accept", "application/x-ndjson")]));
    }
}
