//! A topic: the name events are published under.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::is_deceptive;

/// A valid topic name: 1 to 256 bytes of UTF-8 without control characters and without `*`, which
/// is left to patterns. `/` separates segments; empty segments are allowed, so that a URL can be
/// a topic.
///
/// Cloning costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// Why a text is not a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// The text has no bytes.
    #[error("a topic must not be empty")]
    Empty,
    /// The text is longer than [`Topic::MAX_BYTES`].
    #[error("a topic is at most {max} bytes long, this one has {0}", max = Topic::MAX_BYTES)]
    TooLong(usize),
    /// The text holds a control character (Unicode category Cc).
    #[error("a topic must not contain control characters")]
    Control,
    /// The text holds a character that does not show, or turns the direction of the text.
    #[error("a topic must not contain invisible characters, such as U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// The text holds `*`.
    #[error("a topic to publish to must not contain `*`, which only patterns use")]
    Wildcard,
}

impl Topic {
    /// The longest topic, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// How many words hold the [`Places`](crate::Places) in the longest topic, which is of nothing but slashes.
    pub const PLACE_WORDS: usize = (Self::MAX_BYTES + 2).div_ceil(64);

    /// The name used where none is given.
    pub const DEFAULT: &str = "default";

    /// Checks a name and makes it a topic. Allocates once.
    pub fn parse(name: &str) -> Result<Self, InvalidTopic> {
        check_name(name)?;
        if name.contains('*') {
            return Err(InvalidTopic::Wildcard);
        }
        Ok(Self(name.into()))
    }

    /// Checks a name that someone outside gives: what [`Topic::parse`] takes, and nothing that could
    /// make it look like another. Logs may hold more, from before that was asked.
    pub fn given(name: &str) -> Result<Self, InvalidTopic> {
        check_visible(name)?;
        Self::parse(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the slashes; at least one.
    pub fn segments(&self) -> std::str::Split<'_, char> {
        self.0.split('/')
    }
}

/// What topics and patterns have in common.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidTopic> {
    if name.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    if name.len() > Topic::MAX_BYTES {
        return Err(InvalidTopic::TooLong(name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidTopic::Control);
    }
    Ok(())
}

/// What topics and patterns that are given from outside have in common.
pub(crate) fn check_visible(name: &str) -> Result<(), InvalidTopic> {
    match name.chars().find(|&c| is_deceptive(c)) {
        // Its length first: whoever sends too much is told that.
        Some(c) if name.len() <= Topic::MAX_BYTES => Err(InvalidTopic::Invisible(c)),
        _ => Ok(()),
    }
}

impl Default for Topic {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_forge_or_flood_are_refused() {
        assert_eq!(Topic::parse(""), Err(InvalidTopic::Empty));
        assert_eq!(Topic::parse("a\nb"), Err(InvalidTopic::Control));
        assert_eq!(Topic::parse("a\u{85}b"), Err(InvalidTopic::Control));
        assert_eq!(Topic::parse("a/*"), Err(InvalidTopic::Wildcard));
        assert_eq!(Topic::parse(&"x".repeat(257)), Err(InvalidTopic::TooLong(257)));
        assert!(Topic::parse(&"x".repeat(256)).is_ok());
        assert_eq!(Topic::given("a\u{202e}b"), Err(InvalidTopic::Invisible('\u{202e}')));
        assert_eq!(Topic::given("a\u{9b}b"), Err(InvalidTopic::Control));
        assert!(Topic::parse("a\u{202e}b").is_ok(), "a log may hold it");
        assert!(Topic::given("https://example.com/café").is_ok());
    }
}
