//! An interest: a selector made quick to test against a window's slots.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use fanfare_event::{Event, Selector, Topic};
use smallvec::SmallVec;

use crate::Slot;

/// A topic's hash: tells most topics apart without looking at their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicKey(u64);

impl TopicKey {
    /// The key of `topic`; the same throughout the process.
    pub fn of(topic: &Topic) -> Self {
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What a subscriber wants. Shared by everything that works for it.
#[derive(Debug)]
pub struct Interest {
    selector: Selector,
    keys: SmallVec<[TopicKey; 2]>,
}

impl Interest {
    /// Prepares `selector`.
    pub fn new(selector: Selector) -> Self {
        let keys = selector.topics.topics().iter().map(TopicKey::of).collect();
        Self { selector, keys }
    }

    /// Prepares `selector`, or hands out what others have who want the default topic: they are
    /// many, and what they share stays in the processor's caches.
    pub fn shared(selector: Selector) -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Interest>> =
            LazyLock::new(|| Arc::new(Interest::new(Selector::default())));
        if selector == *DEFAULT.selector() {
            Arc::clone(&DEFAULT)
        } else {
            Arc::new(Self::new(selector))
        }
    }

    /// The selector as given.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Whether the subscriber receives what stands in `slot`. A notice of loss goes to everyone.
    ///
    /// For an interest in a topic of its own, everybody else's events cost one comparison of
    /// integers; a match is confirmed by name, so that a collision leaks nothing.
    pub fn wants(&self, slot: &Slot) -> bool {
        let Some(key) = slot.key else { return true };
        if self.selector.topics.patterns().is_empty() && !self.keys.contains(&key) {
            return false;
        }
        slot.frame.event().is_none_or(|event| self.selector.matches(event))
    }

    /// The same of a slot whose topic is known to be wanted.
    pub fn wants_type(&self, slot: &Slot) -> bool {
        let event_type = |event: &Event| self.selector.wants_type(event.event_type.as_ref());
        !self.selector.filters_types() || slot.frame.event().is_none_or(event_type)
    }
}
