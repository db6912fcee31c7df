//! An event, before and after the log has accepted it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{EventType, Position, Topic};

/// What a publisher hands in: an event that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where it is published.
    pub topic: Topic,
    /// Its type; `None` is what an EventSource calls `message`.
    pub event_type: Option<EventType>,
    /// The payload, delivered byte for byte; may be empty.
    pub message: Box<str>,
}

/// An event the log has accepted. Immutable from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the log: its id.
    pub position: Position,
    /// Where it was published.
    pub topic: Topic,
    /// Its type; `None` is what an EventSource calls `message`.
    pub event_type: Option<EventType>,
    /// When the log accepted it.
    pub published_at: Timestamp,
    /// The payload, delivered byte for byte; may be empty.
    pub message: Box<str>,
}

impl Event {
    /// What retention by bytes counts: the payload, the names, and a fixed sum for the rest of
    /// what an event occupies in memory.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 128;
        let event_type = self.event_type.as_ref().map_or(0, |t| t.as_str().len());
        self.message.len() + self.topic.as_str().len() + event_type + OVERHEAD
    }
}

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The system clock's time. A clock set before 1970 reads as 0.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}
