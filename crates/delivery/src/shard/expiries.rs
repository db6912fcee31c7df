//! Expiries: when which subscriber has to go, since its right to listen ends, or its stream is old enough.

use std::collections::BTreeSet;

use fanfare_event::Timestamp;

use crate::subscriber_key::SubscriberKey;

/// The subscribers that may not stay for ever, by when they have to go.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BTreeSet<(Timestamp, SubscriberKey)>);

impl Expiries {
    pub(crate) fn insert(&mut self, key: SubscriberKey, at: Timestamp) {
        self.0.insert((at, key));
    }

    pub(crate) fn remove(&mut self, key: SubscriberKey, at: Timestamp) {
        self.0.remove(&(at, key));
    }

    /// When the next has to go.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next subscriber that has to go by now.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<SubscriberKey> {
        let due = self.next()? <= now;
        due.then(|| self.0.pop_first()).flatten().map(|(_, key)| key)
    }
}
