//! How a shard answers who is subscribed.
//!
//! What must hold: it spends a bounded moment on it, however many subscribers it has.

use std::sync::Arc;

use super::subscriber_table::SubscriberTable;
use crate::listing::{ListFrom, Listed, Listing, Query, SubscriberId};
use crate::now::Now;
use crate::subscriber::Subscriber;

/// How many entries of the table one listing looks at.
const LOOKS: usize = 4096;

impl Query {
    /// The page; its `next` is of this shard, or `None` after its last subscriber.
    pub(super) fn answer(
        &self,
        table: &SubscriberTable,
        now: Now,
        lag: impl Fn(&Subscriber) -> u64,
    ) -> Listing {
        let ListFrom { shard, entry: first } = self.from;
        let end = table.entries().min(first.saturating_add(LOOKS));
        let mut listing = Listing::default();
        for entry in first..end {
            let Some((key, subscriber)) = table.at(entry) else { continue };
            let selector = subscriber.interest.selector();
            if self.topic.as_ref().is_some_and(|topic| !selector.topics.matches(topic)) {
                continue;
            }
            if listing.subscribers.len() == self.limit {
                listing.next = Some(ListFrom { shard, entry });
                return listing;
            }
            listing.subscribers.push(Listed {
                id: SubscriberId { shard, key },
                peer: subscriber.sink.peer(),
                interest: Arc::clone(&subscriber.interest),
                connected: now.since(subscriber.joined).unwrap_or_default().as_secs(),
                lag: lag(subscriber),
                blocked: subscriber.awaits.room,
            });
        }
        listing.next = (end < table.entries()).then_some(ListFrom { shard, entry: end });
        listing
    }
}
