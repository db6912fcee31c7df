//! Pauses: which subscribers with a cadence are between two of their writes, and until when.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::subscriber_key::SubscriberKey;

/// Who pauses, by the end of their pause; one that has left stays until then.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeSet<(Instant, SubscriberKey)>);

impl Pauses {
    /// When the next pause ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(end, _)| *end)
    }

    pub(super) fn insert(&mut self, key: SubscriberKey, end: Instant) {
        self.0.insert((end, key));
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<SubscriberKey> {
        let due = self.next()? <= now;
        due.then(|| self.0.pop_first()).flatten().map(|(_, key)| key)
    }
}
