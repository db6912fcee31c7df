//! A topic's key: what a topic is told by where there is no time for its name.

use std::hash::{DefaultHasher, Hash, Hasher};

use fanfare_event::Topic;

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

    /// Which of so many groups it belongs to.
    pub fn group(self, groups: usize) -> usize {
        (self.0 % groups as u64) as usize
    }
}
