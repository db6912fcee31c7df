//! An event type: the value of an event's `event:` field.

use std::fmt;

use crate::is_deceptive;

/// A valid event type: 1 to 128 bytes without CR, LF or NUL, and not beginning with `fanfare.`,
/// which the hub keeps for its own events.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(Box<str>);

/// Why a text is not an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventType {
    /// The text has no bytes.
    #[error("an event type must not be empty")]
    Empty,
    /// The text is longer than [`EventType::MAX_BYTES`].
    #[error("an event type is at most {max} bytes long, this one has {0}", max = EventType::MAX_BYTES)]
    TooLong(usize),
    /// The text holds a character that would end the field (WHATWG HTML, 9.2.5), or NUL.
    #[error("an event type must not contain CR, LF or NUL")]
    LineBreak,
    /// The text holds a control character (Unicode category Cc), or one that does not show.
    #[error("an event type must not contain control or invisible characters, such as U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// The text begins with [`EventType::RESERVED_PREFIX`].
    #[error("event types beginning with `{}` are the hub's own", EventType::RESERVED_PREFIX)]
    Reserved,
}

impl EventType {
    /// The longest event type, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// What the hub's own events begin with.
    pub const RESERVED_PREFIX: &str = "fanfare.";

    /// What an EventSource calls an event without a type; a filter uses it for those.
    pub const UNTYPED: &str = "message";

    /// Checks a text and makes it an event type.
    pub fn parse(text: &str) -> Result<Self, InvalidEventType> {
        if text.is_empty() {
            return Err(InvalidEventType::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidEventType::TooLong(text.len()));
        }
        if text.contains(['\r', '\n', '\0']) {
            return Err(InvalidEventType::LineBreak);
        }
        if text.starts_with(Self::RESERVED_PREFIX) {
            return Err(InvalidEventType::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// Checks a text that someone outside gives: what [`EventType::parse`] takes, and nothing that
    /// could drive a terminal or make it look like another. Logs may hold more, from before that was
    /// asked.
    pub fn given(text: &str) -> Result<Self, InvalidEventType> {
        let event_type = Self::parse(text)?;
        match text.chars().find(|&c| c.is_control() || is_deceptive(c)) {
            Some(c) => Err(InvalidEventType::Invisible(c)),
            None => Ok(event_type),
        }
    }

    /// The type as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_could_forge_a_field_are_refused() {
        assert_eq!(EventType::parse(""), Err(InvalidEventType::Empty));
        assert_eq!(EventType::parse("a\rdata: x"), Err(InvalidEventType::LineBreak));
        assert_eq!(EventType::parse("a\0"), Err(InvalidEventType::LineBreak));
        assert_eq!(EventType::parse("fanfare.gap"), Err(InvalidEventType::Reserved));
        assert_eq!(EventType::parse(&"x".repeat(129)), Err(InvalidEventType::TooLong(129)));
        for c in ['\u{9b}', '\u{7f}', '\u{1b}', '\t', '\u{200b}'] {
            let text = format!("a{c}");
            assert_eq!(EventType::given(&text), Err(InvalidEventType::Invisible(c)));
            assert!(EventType::parse(&text).is_ok(), "a log may hold it");
        }
        assert!(EventType::given("order.created").is_ok());
    }
}
