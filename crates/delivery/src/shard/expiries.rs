//! Expiries: when which subscriber's right to listen ends.

use std::collections::BTreeSet;

use fanfare_event::Timestamp;

use crate::subscriber_key::SubscriberKey;

/// The subscribers that may not stay for ever, by the end of their lease.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BTreeSet<(Timestamp, SubscriberKey)>);

impl Expiries {
    pub(crate) fn insert(&mut self, key: SubscriberKey, at: Timestamp) {
        self.0.insert((at, key));
    }

    pub(crate) fn remove(&mut self, key: SubscriberKey, at: Timestamp) {
        self.0.remove(&(at, key));
    }

    /// When the next lease ends.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The next subscriber whose lease has ended.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<SubscriberKey> {
        let due = self.next()? <= now;
        due.then(|| self.0.pop_first()).flatten().map(|(_, key)| key)
    }
}
