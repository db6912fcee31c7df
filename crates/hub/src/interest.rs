//! An interest: a selector made quick to test against a window's slots.

use std::sync::{Arc, LazyLock};

use fanfare_event::{Event, PrivateRights, Selector};
use smallvec::SmallVec;

use crate::ring::Concern;
use crate::{Slot, TopicKey};

/// What a subscriber wants, and what of it that is private it may hear. Shared by everything that works
/// for it.
///
/// What must hold: whoever shares an interest, or anything kept under one, has the same rights.
#[derive(Debug)]
pub struct Interest {
    selector: Selector,
    private: PrivateRights,
    keys: SmallVec<[TopicKey; 2]>,
}

impl Interest {
    /// Prepares `selector`, for a subscriber with these rights.
    pub fn new(selector: Selector, private: PrivateRights) -> Self {
        let keys = selector.topics.topics().iter().map(TopicKey::of).collect();
        Self { selector, private, keys }
    }

    /// The same, or hands out what others have who want the default topic and nothing private: they are
    /// many, and what they share stays in the processor's caches.
    pub fn shared(selector: Selector, private: PrivateRights) -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Interest>> =
            LazyLock::new(|| Arc::new(Interest::new(Selector::default(), PrivateRights::None)));
        if selector == DEFAULT.selector && private == DEFAULT.private {
            Arc::clone(&DEFAULT)
        } else {
            Arc::new(Self::new(selector, private))
        }
    }

    /// The selector as given.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The keys of its topics.
    pub fn keys(&self) -> &[TopicKey] {
        &self.keys
    }

    /// Whether both want the same; what they may hear can differ.
    pub fn wants_the_same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.selector == other.selector
    }

    /// What of it that is private may be heard.
    pub fn private(&self) -> &PrivateRights {
        &self.private
    }

    /// Whether the subscriber receives what stands in `slot`. A notice of loss goes to everyone.
    ///
    /// For an interest in a topic of its own, everybody else's events cost one comparison of
    /// integers; a match is confirmed by name, so that a collision leaks nothing.
    pub fn wants(&self, slot: &Slot) -> bool {
        self.wants_counted(slot, &mut 0)
    }

    /// The same, and adds what comparing patterns has taken to `steps`.
    pub fn wants_counted(&self, slot: &Slot, steps: &mut usize) -> bool {
        match slot.concern {
            Concern::Everyone => return true,
            Concern::Topic(key) => {
                if self.selector.topics.patterns().is_empty() && !self.keys.contains(&key) {
                    return false;
                }
            }
            Concern::Special => {}
        }
        let mut receives =
            |event: &Event| self.selector.matches_counted(event, steps) && self.may_receive(event);
        slot.frame.event().is_none_or(&mut receives)
    }

    /// The same of a slot of which a topic is known to be wanted.
    pub fn wants_type(&self, slot: &Slot) -> bool {
        let wants = |event: &Event| {
            self.selector.wants_type(event.event_type.as_ref()) && self.may_receive(event)
        };
        let asks = self.selector.filters_types() || slot.concern == Concern::Special;
        !asks || slot.frame.event().is_none_or(wants)
    }

    /// Whether the subscriber receives `event`.
    pub fn receives(&self, event: &Event) -> bool {
        self.selector.matches(event) && self.may_receive(event)
    }

    fn may_receive(&self, event: &Event) -> bool {
        !event.is_private() || self.private.cover(event.topics())
    }
}
