//! How a shard answers who is subscribed, and how many.
//!
//! What must hold: it spends a bounded moment on it, however many subscribers it has.

use std::sync::Arc;

use fanfare_event::Topic;

use super::Shard;
use super::subscriber_table::SubscriberTable;
use crate::inbox::{ReplyTo, ShardCommand};
use crate::listing::{ListFrom, Listed, Listing, Query, SubscriberId, TopicCount};
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

impl Shard {
    /// Counts whom events of the next topic concern, as far as one turn may look for them; further topics wait for the
    /// turns that follow.
    pub(super) fn count(
        &mut self,
        topics: Arc<[Topic]>,
        mut counts: Vec<TopicCount>,
        reply: ReplyTo<Vec<TopicCount>>,
    ) {
        let next = topics.get(counts.len());
        counts.extend(next.map(|topic| self.table.count(topic, self.limits.batch_work)));
        if counts.len() < topics.len() {
            self.commands.extend([ShardCommand::Count(topics, counts, reply)]);
        } else {
            reply(counts);
        }
    }
}
