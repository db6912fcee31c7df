//! Reserved names: what only the hub publishes, so that nobody passes for it, in whatever dialect they publish.

use std::fmt;

use fanfare_event::Draft;

/// A protocol in whose words the hub itself publishes.
pub trait ReservedNames: fmt::Debug + Send + Sync {
    /// The first name in this draft that only the hub may use, if there is one.
    fn find(&self, draft: &Draft) -> Option<ReservedName>;
}

/// A name in a draft that only the hub may use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct ReservedName {
    /// What of the draft it is.
    pub field: ReservedField,
    /// The name.
    pub name: String,
    /// Why it is reserved, in the words of the protocol that reserves it.
    pub why: &'static str,
}

/// What of a draft holds a reserved name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservedField {
    /// Its topic.
    Topic,
    /// One of several topics.
    Topics,
    /// Its event type.
    EventType,
}
