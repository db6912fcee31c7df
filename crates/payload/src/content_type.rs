//! A content type: how the body is to be read.

/// What a `Content-Type` says about a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// `application/json` or `application/*+json`: one object.
    Json,
    /// `application/x-ndjson`: one object a line.
    JsonLines,
    /// Anything else, and nothing at all.
    Other,
}

impl BodyFormat {
    /// Reads a header as FastAPI does, through Python's `email.message`: what stands before the
    /// first `;`, trimmed, whatever its case, with exactly one slash.
    pub(crate) fn parse(header: Option<&str>) -> Self {
        let essence = header.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let Some((family, subtype)) = essence.split_once('/') else { return Self::Other };
        if !family.eq_ignore_ascii_case("application") || subtype.contains('/') {
            return Self::Other;
        }
        let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
        if suffix.unwrap_or(subtype).eq_ignore_ascii_case("json") {
            Self::Json
        } else if subtype.eq_ignore_ascii_case("x-ndjson") {
            Self::JsonLines
        } else {
            Self::Other
        }
    }
}
