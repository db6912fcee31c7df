//! An event, before and after the log has accepted it.

use crate::{EventId, EventType, Extras, Position, Timestamp, Topic};

/// What a publisher hands in: an event that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where it is published; the first, and canonical, of several.
    pub topic: Topic,
    /// Its type; `None` is what an EventSource calls `message`.
    pub event_type: Option<EventType>,
    /// The payload, delivered byte for byte; may be empty.
    pub message: Box<str>,
    /// What few events have: further topics, privacy, an id, a time to come back.
    pub extras: Option<Box<Extras>>,
}

/// An event the log has accepted. Immutable from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the log: its id.
    pub position: Position,
    /// Where it was published; the first, and canonical, of several. [`Event::topics`] are all.
    pub topic: Topic,
    /// Its type; `None` is what an EventSource calls `message`.
    pub event_type: Option<EventType>,
    /// When the log accepted it.
    pub published_at: Timestamp,
    /// The payload, delivered byte for byte; may be empty.
    pub message: Box<str>,
    /// What few events have: further topics, privacy, an id, a time to come back.
    pub extras: Option<Box<Extras>>,
}

impl Draft {
    /// All its topics, the canonical one first; none of them twice.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        std::iter::once(&self.topic).chain(others(&self.extras))
    }

    /// The event that it becomes.
    pub fn accepted(self, position: Position, published_at: Timestamp) -> Event {
        let Self { topic, event_type, message, extras } = self;
        Event { position, topic, event_type, published_at, message, extras }
    }
}

/// Every topic but the canonical one.
fn others(extras: &Option<Box<Extras>>) -> &[Topic] {
    extras.as_ref().map_or(&[], |extras| extras.others())
}

impl Event {
    /// All its topics, the canonical one first; none of them twice.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        std::iter::once(&self.topic).chain(self.others())
    }

    /// Its topics beside the canonical one.
    pub fn others(&self) -> &[Topic] {
        others(&self.extras)
    }

    /// Whether only those hear it to whom one of its topics was granted.
    pub fn is_private(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.is_private())
    }

    /// What its publisher calls it.
    pub fn id(&self) -> Option<&EventId> {
        self.extras.as_ref()?.id()
    }

    /// After how many milliseconds whoever has received it is to come back, once its connection is lost.
    pub fn retry(&self) -> Option<u64> {
        self.extras.as_ref()?.retry()
    }

    /// What retention by bytes counts: the payload, the names, and a fixed sum for the rest of
    /// what an event occupies in memory.
    pub fn weight(&self) -> usize {
        const OVERHEAD: usize = 128;
        let event_type = self.event_type.as_ref().map_or(0, |t| t.as_str().len());
        let extras = self.extras.as_ref().map_or(0, |extras| extras.weight());
        self.message.len() + self.topic.as_str().len() + event_type + extras + OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event stands behind an `Arc`, with its two counts.
    #[test]
    fn an_event_fits_into_96_bytes() {
        assert!(size_of::<Event>() + 2 * size_of::<usize>() <= 96);
    }
}
