//! The idempotency keys in closed segments, for as long as they are answered: what has to be kept elsewhere
//! when a segment goes.
//!
//! What must hold: no key within its window is missing. There are no more of them than keys are remembered.

use std::collections::VecDeque;

use fanfare_event::Position;

use crate::keys_file::KeptKey;

/// The keys, by their positions.
#[derive(Debug, Default)]
pub(crate) struct SegmentKeys(VecDeque<KeptKey>);

impl SegmentKeys {
    /// Of segments, the oldest first.
    pub(crate) fn new(keys: impl IntoIterator<Item = KeptKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Adds the keys of a segment that comes after all others.
    pub(crate) fn extend(&mut self, keys: impl IntoIterator<Item = KeptKey>) {
        self.0.extend(keys);
    }

    /// Takes out those up to a position.
    pub(crate) fn take_through(&mut self, last: Position) -> Vec<KeptKey> {
        let count = self.0.partition_point(|key| key.first <= last);
        self.0.drain(..count).collect()
    }

    /// Those from one position to another.
    pub(crate) fn between(
        &self,
        first: Position,
        last: Position,
    ) -> impl Iterator<Item = &KeptKey> {
        let start = self.0.partition_point(|key| key.first < first);
        let end = self.0.partition_point(|key| key.first <= last);
        self.0.range(start..end.max(start))
    }

    /// Forgets those that are no longer answered.
    pub(crate) fn expire(&mut self, lives: impl Fn(&KeptKey) -> bool) {
        while self.0.front().is_some_and(|oldest| !lives(oldest)) {
            self.0.pop_front();
        }
    }
}
