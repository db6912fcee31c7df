//! An event id: what a publisher calls an event, beside the position the log gives it.

use std::fmt;
use std::sync::Arc;

use crate::{Position, is_deceptive};

/// A valid id of a publisher's choice: 1 to 256 bytes without control or invisible characters, without a
/// space at either end, which headers lose, and not to be taken for a cursor of the hub's own: neither
/// `earliest` nor anything that reads as a [`Position`], and without [`EventId::MARK`] in front.
///
/// Cloning costs one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Arc<str>);

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventId {
    /// The text has no bytes.
    #[error("an event id must not be empty")]
    Empty,
    /// The text is longer than [`EventId::MAX_BYTES`].
    #[error("an event id is at most {max} bytes long, this one has {0}", max = EventId::MAX_BYTES)]
    TooLong(usize),
    /// The text holds a control character, or one that does not show.
    #[error("an event id must not contain control or invisible characters, such as U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// The text begins or ends with white space.
    #[error("an event id must not begin or end with white space")]
    Padded,
    /// The text is a cursor of the hub's own.
    #[error(
        "an event id must not be `earliest`, nor two numbers joined by a hyphen, nor begin with `#`"
    )]
    Reserved,
}

impl EventId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 256;
    /// What a position begins with where it stands beside ids of publishers' choice.
    pub const MARK: char = '#';

    /// Checks a text and makes it an id. Allocates once.
    pub fn parse(text: &str) -> Result<Self, InvalidEventId> {
        if text.is_empty() {
            return Err(InvalidEventId::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidEventId::TooLong(text.len()));
        }
        if let Some(c) = text.chars().find(|&c| c.is_control() || is_deceptive(c)) {
            return Err(InvalidEventId::Invisible(c));
        }
        if text.trim() != text {
            return Err(InvalidEventId::Padded);
        }
        let is_cursor = text == "earliest" || text.parse::<Position>().is_ok();
        if is_cursor || text.starts_with(Self::MARK) {
            return Err(InvalidEventId::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// Reads an id that a log holds: none where it begins with [`EventId::MARK`], which versions from before have
    /// accepted.
    ///
    /// # Errors
    ///
    /// No version can have accepted it.
    pub fn read_back(text: &str) -> Result<Option<Self>, InvalidEventId> {
        match Self::parse(text) {
            Err(InvalidEventId::Reserved) if text.starts_with(Self::MARK) => Ok(None),
            read => read.map(Some),
        }
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_forge_a_field_or_pass_for_a_position_are_refused() {
        assert_eq!(EventId::parse(""), Err(InvalidEventId::Empty));
        assert_eq!(EventId::parse(&"x".repeat(257)), Err(InvalidEventId::TooLong(257)));
        for c in ['\0', '\r', '\n', '\t', '\u{85}', '\u{7f}', '\u{202e}', '\u{200b}'] {
            let text = format!("a{c}b");
            assert_eq!(EventId::parse(&text), Err(InvalidEventId::Invisible(c)));
        }
        for padded in [" a", "a ", "\u{a0}a"] {
            assert_eq!(EventId::parse(padded), Err(InvalidEventId::Padded));
        }
        for reserved in ["earliest", "17-4", "0-0", "017-04"] {
            assert_eq!(EventId::parse(reserved), Err(InvalidEventId::Reserved));
            assert_eq!(EventId::read_back(reserved), Err(InvalidEventId::Reserved));
        }
        for marked in ["#17-4", "#17", "##17-4", "#"] {
            assert_eq!(EventId::parse(marked), Err(InvalidEventId::Reserved));
            assert_eq!(EventId::read_back(marked), Ok(None), "an older version took it");
        }
        for fine in ["urn:uuid:6ba7b810", "order 17", "17-4-2", "café", "17#4", &"x".repeat(256)] {
            assert_eq!(EventId::parse(fine).unwrap().as_str(), fine);
            assert_eq!(EventId::read_back(fine).unwrap().unwrap().as_str(), fine);
        }
    }
}
