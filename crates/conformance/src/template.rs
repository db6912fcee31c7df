//! Texts with places to fill in: `{topic}`, or with filters `{message:sse:json}`.
//!
//! Only known names are places, so that the braces of JSON stand for themselves.

use std::fmt::Write as _;

/// The names that can be filled in.
const NAMES: [&str; 8] = ["topic", "message", "event", "host", "port", "port2", "port3", "dir"];

/// A text with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Place { name: &'static str, filters: Vec<Filter> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// As a JSON string, quotes included.
    Json,
    /// As a part of a URL or of a form.
    Url,
    /// As an event, for hubs whose publishers do the framing.
    Sse,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(open) = rest.find('{') {
            literal.push_str(&rest[..open]);
            rest = &rest[open..];
            match place(rest)? {
                Some((part, len)) => {
                    parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
                    parts.push(part);
                    rest = &rest[len..];
                }
                None => {
                    literal.push('{');
                    rest = &rest[1..];
                }
            }
        }
        literal.push_str(rest);
        parts.push(TemplatePart::Text(literal));
        Ok(Self(parts))
    }

    /// Whether `{name}` is in it.
    pub(crate) fn names(&self, wanted: &str) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, TemplatePart::Place { name, .. } if *name == wanted))
    }

    /// Fills in; what `value` does not know is left empty.
    pub(crate) fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v [u8]>) -> Vec<u8> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => filled.extend_from_slice(text.as_bytes()),
                TemplatePart::Place { name, filters } => {
                    let mut bytes = value(name).unwrap_or_default().to_vec();
                    for filter in filters {
                        bytes = filter.apply(&bytes);
                    }
                    filled.extend_from_slice(&bytes);
                }
            }
        }
        filled
    }
}

fn place(rest: &str) -> Result<Option<(TemplatePart, usize)>, String> {
    let Some(close) = rest.find('}') else { return Ok(None) };
    let mut words = rest[1..close].split(':');
    let first = words.next().unwrap_or_default();
    let Some(name) = NAMES.iter().find(|name| **name == first) else { return Ok(None) };
    let filters = words.map(|word| match word {
        "json" => Ok(Filter::Json),
        "url" => Ok(Filter::Url),
        "sse" => Ok(Filter::Sse),
        other => Err(format!("{} has no filter {other:?}: json, url or sse", &rest[..=close])),
    });
    let filters = filters.collect::<Result<_, _>>()?;
    Ok(Some((TemplatePart::Place { name, filters }, close + 1)))
}

impl Filter {
    fn apply(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Json => json(bytes),
            Self::Url => url(bytes),
            Self::Sse => sse(bytes),
        }
    }
}

/// Bytes that are not UTF-8 go through as they are: a check wants to see what becomes of them.
fn json(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            0..=0x1f => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

fn url(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.into_bytes()
}

fn sse(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn filled(template: &str) -> String {
        let template = Template::parse(template).unwrap();
        let value = |name: &str| (name == "message").then_some(b"a \"b\"\n".as_slice());
        String::from_utf8(template.fill(value)).unwrap()
    }

    #[test]
    fn a_brace_of_json_is_no_placeholder() {
        assert_eq!(
            filled(r#"{"x":{"m":{message:json}}}"#),
            "{\"x\":{\"m\":\"a \\\"b\\\"\\u000a\"}}"
        );
        assert_eq!(filled("{message:url}"), "a%20%22b%22%0A");
        assert_eq!(filled("{message:sse}"), "data: a \"b\"\ndata: \n\n");
        assert_eq!(filled("{topic}/{"), "/{");
    }

    #[test]
    fn a_mistyped_filter_is_refused() {
        assert!(Template::parse("{message:jsno}").unwrap_err().contains("jsno"));
    }
}
