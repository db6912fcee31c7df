//! The limit by topic: how many events of each are shown, though their segments hold more.
//!
//! What must hold: the latest events of a topic are shown, as many as the limit says; how far it hides
//! them only goes forward.

use fanfare_event::{Position, Topic};

use crate::index::Index;
use crate::summary::Summary;
use fanfare_log::TopicId;

/// What is shown of each topic.
pub(crate) struct TopicLimit {
    most: u64,
    /// By [`TopicId::index`].
    shown: Vec<Shown>,
}

#[derive(Clone, Copy)]
struct Shown {
    events: u64,
    /// What stands up to here is no longer shown; its segment may be retained all the same.
    hidden: Position,
}

impl Shown {
    const NONE: Self = Self { events: 0, hidden: Position::ORIGIN };
}

impl TopicLimit {
    /// Shows `most` events of each topic; one at least.
    pub(crate) fn new(most: u64) -> Self {
        Self { most: most.max(1), shown: Vec::new() }
    }

    /// Counts so many more events of a topic.
    pub(crate) fn count(&mut self, id: TopicId, events: u64) {
        if self.shown.len() <= id.index() {
            self.shown.resize(id.index() + 1, Shown::NONE);
        }
        self.shown[id.index()].events += events;
    }

    /// Up to where events of a topic are not shown.
    pub(crate) fn hidden(&self, id: TopicId) -> Position {
        self.shown.get(id.index()).map_or(Position::ORIGIN, |shown| shown.hidden)
    }

    /// These records of a topic go with their segment.
    pub(crate) fn trim(&mut self, id: TopicId, segment: &Summary, ordinals: &[u32]) {
        let Some(shown) = self.shown.get_mut(id.index()) else { return };
        let hidden = ordinals.partition_point(|&o| segment.position(o) <= shown.hidden);
        shown.events = shown.events.saturating_sub((ordinals.len() - hidden) as u64);
        if shown.events == 0 {
            // The place may become another topic's.
            *shown = Shown::NONE;
        }
    }

    /// How many events of a topic are shown beyond the limit, if any are, and up to where others are hidden.
    /// From then on they count as hidden: [`TopicLimit::hide`].
    pub(crate) fn excess(&mut self, id: TopicId) -> Option<(Position, u64)> {
        let shown = self.shown.get_mut(id.index())?;
        let excess = shown.events.checked_sub(self.most).filter(|&excess| excess > 0)?;
        shown.events = self.most;
        Some((shown.hidden, excess))
    }

    /// Hides the oldest of a topic in a segment, at most so many; says how many it did. Segments come oldest
    /// first, with the one that reaches further than what is hidden.
    pub(crate) fn hide(&mut self, id: TopicId, topic: &Topic, index: &Index, most: u64) -> u64 {
        let Some(shown) = self.shown.get_mut(id.index()) else { return 0 };
        let ordinals = index.of(topic);
        let start = ordinals.partition_point(|&o| index.position(o) <= shown.hidden);
        let visible = &ordinals[start..];
        let hiding = most.min(visible.len() as u64);
        if let Some(&last) = hiding.checked_sub(1).and_then(|n| visible.get(n as usize)) {
            shown.hidden = index.position(last);
        }
        hiding
    }
}
