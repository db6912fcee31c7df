//! The path under which the hub answers.

use super::SettingValue;

/// A path prefix: empty for the root, else one or more segments, each with a `/` before it and none
/// behind. Segments hold only what a URL never has to escape (RFC 3986, 2.3: letters, digits, `-`,
/// `.`, `_`, `~`), so that one path has one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

/// Why a text is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// The first character is not `/`.
    #[error("it must begin with /, as in /sse")]
    NoSlash,
    /// The last character is `/`.
    #[error("it must not end with /, as in /sse")]
    TrailingSlash,
    /// A segment is empty, or one that URL parsers take away.
    #[error("between slashes there must be a name other than . and ..")]
    Segment,
    /// A segment holds something else.
    #[error("it may hold letters, digits, -, ., _, ~ and / only")]
    Character,
    /// The hub answers there itself, whatever the prefix.
    #[error("/healthz, /readyz, /metrics, /docs, /redoc and /openapi.json are taken")]
    Taken,
}

impl Prefix {
    /// What stands before `/send` and `/events`: the empty text for the root, else such as `/sse`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for Prefix {
    const PLACEHOLDER: &'static str = "PATH";
    const NOUN: &'static str = "a path prefix";
    type Error = InvalidPrefix;

    fn parse(text: &str) -> Result<Self, InvalidPrefix> {
        let path = text.strip_prefix('/').ok_or(InvalidPrefix::NoSlash)?;
        if path.is_empty() {
            return Ok(Self(String::new()));
        }
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !path.bytes().all(|byte| unreserved(byte) || byte == b'/') {
            return Err(InvalidPrefix::Character);
        }
        if path.ends_with('/') {
            return Err(InvalidPrefix::TrailingSlash);
        }
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(InvalidPrefix::Segment);
        }
        if ["healthz", "readyz", "metrics", "docs", "redoc", "openapi.json"].contains(&path) {
            return Err(InvalidPrefix::Taken);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_the_router_cannot_serve_is_refused() {
        for (text, error) in [
            ("", InvalidPrefix::NoSlash),
            ("sse", InvalidPrefix::NoSlash),
            ("/sse/", InvalidPrefix::TrailingSlash),
            ("//", InvalidPrefix::TrailingSlash),
            ("//sse", InvalidPrefix::Segment),
            ("/a/../b", InvalidPrefix::Segment),
            ("/metrics", InvalidPrefix::Taken),
            ("/docs", InvalidPrefix::Taken),
            ("/redoc", InvalidPrefix::Taken),
            ("/a b", InvalidPrefix::Character),
            ("/a?b", InvalidPrefix::Character),
            ("/a#b", InvalidPrefix::Character),
            ("/{id}", InvalidPrefix::Character),
            ("/*", InvalidPrefix::Character),
            ("/:id", InvalidPrefix::Character),
            ("/%2e", InvalidPrefix::Character),
            ("/café", InvalidPrefix::Character),
        ] {
            assert_eq!(Prefix::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_root_gets_one_slash() {
        assert_eq!(Prefix::parse("/").unwrap().as_str(), "");
        assert_eq!(Prefix::parse("/sse").unwrap().as_str(), "/sse");
        assert_eq!(Prefix::parse("/v1/live.sse").unwrap().as_str(), "/v1/live.sse");
    }
}
