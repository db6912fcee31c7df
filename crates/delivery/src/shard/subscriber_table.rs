//! The subscriber table: a shard's subscribers, and whom of them an event concerns.
//!
//! What must hold: whoever is in the slab is in the index, and nobody else is found through it.

use fanfare_event::Topic;
use fanfare_hub::Frame;
use slab::Slab;

use super::topic_index::TopicIndex;
use crate::subscriber::Subscriber;
use crate::subscriber_key::SubscriberKey;

/// A shard's subscribers, by entry, key and topic.
#[derive(Debug, Default)]
pub(crate) struct SubscriberTable {
    subscribers: SubscriberSlab,
    index: TopicIndex,
    /// Of whoever came last.
    generation: u32,
}

/// The subscribers alone.
#[derive(Debug, Default)]
pub(crate) struct SubscriberSlab(Slab<Subscriber>);

impl SubscriberSlab {
    pub(crate) fn get_mut(&mut self, key: SubscriberKey) -> Option<&mut Subscriber> {
        self.0.get_mut(key.entry()).filter(|s| s.generation == key.generation())
    }

    fn get(&self, key: SubscriberKey) -> Option<&Subscriber> {
        self.0.get(key.entry()).filter(|s| s.generation == key.generation())
    }

    fn keys(&self) -> impl Iterator<Item = SubscriberKey> {
        self.0.iter().map(|(entry, s)| SubscriberKey::new(entry, s.generation))
    }
}

impl SubscriberTable {
    /// The key of whoever is inserted next.
    pub(crate) fn vacancy(&mut self) -> SubscriberKey {
        self.generation = self.generation.wrapping_add(1);
        SubscriberKey::new(self.subscribers.0.vacant_key(), self.generation)
    }

    /// Adds a subscriber under the latest vacancy.
    pub(crate) fn insert(&mut self, key: SubscriberKey, subscriber: Subscriber) {
        debug_assert_eq!(key.generation(), subscriber.generation, "a key of someone else");
        self.index.insert(&subscriber.interest.selector().topics, key);
        let taken = self.subscribers.0.insert(subscriber);
        debug_assert_eq!(key.entry(), taken, "the vacancy was not the latest");
    }

    pub(crate) fn remove(&mut self, key: SubscriberKey) -> Option<Subscriber> {
        self.get(key)?;
        let subscriber = self.subscribers.0.remove(key.entry());
        let subscribers = &self.subscribers;
        self.index.remove(&subscriber.interest.selector().topics, |other| {
            subscribers.get(other).is_some()
        });
        Some(subscriber)
    }

    /// The subscriber that a key names, unless it has left.
    pub(crate) fn get(&self, key: SubscriberKey) -> Option<&Subscriber> {
        self.subscribers.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: SubscriberKey) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(key)
    }

    /// Whoever has this entry.
    pub(crate) fn at(&self, entry: usize) -> Option<(SubscriberKey, &Subscriber)> {
        let subscriber = self.subscribers.0.get(entry)?;
        Some((SubscriberKey::new(entry, subscriber.generation), subscriber))
    }

    /// Calls `visit` for each subscriber that `frame` concerns, and perhaps for some who have left: a
    /// notice of loss concerns all. One with several matching topics and patterns is visited for
    /// each, and for each of the event's topics. Returns how much work that was.
    pub(crate) fn for_each_concerned(
        &mut self,
        frame: &Frame,
        mut visit: impl FnMut(&mut SubscriberSlab, SubscriberKey),
    ) -> usize {
        let Self { subscribers, index, .. } = self;
        let Some(event) = frame.event() else {
            let keys: Vec<_> = subscribers.keys().collect();
            let work = keys.len();
            keys.into_iter().for_each(|key| visit(subscribers, key));
            return work;
        };
        event.topics().map(|topic| index.visit(topic, |key| visit(subscribers, key))).sum()
    }

    /// Calls `visit` for each subscriber that events of `topic` concern, as often as it names it.
    pub(crate) fn for_each_concerned_by(
        &mut self,
        topic: &Topic,
        mut visit: impl FnMut(SubscriberKey, &mut Subscriber),
    ) {
        let Self { subscribers, index, .. } = self;
        index.visit(topic, |key| {
            if let Some(subscriber) = subscribers.get_mut(key) {
                visit(key, subscriber);
            }
        });
    }

    /// How many an event of `topic` concerns; one with several matching topics and patterns counts
    /// for each.
    pub(crate) fn count(&mut self, topic: &Topic) -> usize {
        self.index.count(topic)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SubscriberKey, &Subscriber)> {
        self.subscribers.0.iter().map(|(entry, s)| (SubscriberKey::new(entry, s.generation), s))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SubscriberKey, &mut Subscriber)> {
        self.subscribers.0.iter_mut().map(|(entry, s)| (SubscriberKey::new(entry, s.generation), s))
    }

    pub(crate) fn len(&self) -> usize {
        self.subscribers.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.0.is_empty()
    }

    /// Every entry is less than this.
    pub(crate) fn entries(&self) -> usize {
        self.subscribers.0.capacity()
    }
}
