//! Expressions: families of topics that a dialect describes in a language of its own.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::topic::Topic;

/// A family of topics that is not described by wildcards.
///
/// Two that are written alike must match alike, throughout the process.
pub trait Expression: fmt::Debug + Send + Sync {
    /// The expression in writing, with the language it is written in.
    fn as_str(&self) -> &str;

    /// Whether `topic` belongs to the family, at a cost that whoever wrote the expression cannot raise at will: it
    /// is asked of each event once, for all who wrote the same.
    fn matches(&self, topic: &Topic) -> bool;

    /// What all topics of the family begin with. Two that are written alike begin alike.
    fn beginning(&self) -> Beginning<'_>;

    /// How many bytes keeping it may take, compiled, with what matching remembers.
    fn footprint(&self) -> usize;
}

/// What all topics of a family begin with: each of them is read, and its reading begins with the text.
///
/// An expression is not asked of topics that begin otherwise. A text that is shorter than it could be costs time; one
/// that some topic of the family does not begin with loses events.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// How topics are read.
    pub reading: Arc<dyn Reading>,
    /// What their readings begin with; nothing, where nothing is known.
    pub text: Cow<'a, str>,
}

/// A way to read topics: the same topic may be written in several ways, or what tells most about it stands elsewhere.
///
/// Two of one name read alike, throughout the process.
pub trait Reading: fmt::Debug + Send + Sync {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Calls `with` once with the topic as it is read, or never if it belongs to no family that is read so.
    fn read(&self, topic: &Topic, with: &mut dyn FnMut(&str));
}

/// Topics as they are written.
#[derive(Debug, Clone, Copy)]
pub struct AsWritten;

impl Reading for AsWritten {
    fn name(&self) -> &'static str {
        "as written"
    }

    fn read(&self, topic: &Topic, with: &mut dyn FnMut(&str)) {
        with(topic.as_str());
    }
}

impl Beginning<'_> {
    /// That of a family of which nothing is known.
    pub fn unknown() -> Self {
        Self { reading: Arc::new(AsWritten), text: Cow::Borrowed("") }
    }
}
