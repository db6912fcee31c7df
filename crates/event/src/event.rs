//! An event, before and after the log has accepted it.

use crate::{EventType, Position, Timestamp, Topic};

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
