//! The subscriber table: a shard's subscribers, and whom of them an event concerns.
//!
//! What must hold: whoever is in the slab is in the index, and nobody else is found through it.

use std::ops::ControlFlow;
use std::sync::Arc;

use fanfare_event::Topic;
use fanfare_hub::Frame;
use slab::Slab;

use super::topic_index::TopicIndex;
use super::tree_walk::TreeWalk;
use crate::listing::TopicCount;
use crate::subscriber::Subscriber;
use crate::subscriber_key::SubscriberKey;

/// For how many that were found room is kept: 128 KiB.
const KEPT_FOUND: usize = 16 * 1024;

/// A shard's subscribers, by entry, key and topic.
#[derive(Debug, Default)]
pub(crate) struct SubscriberTable {
    subscribers: SubscriberSlab,
    index: TopicIndex,
    /// For whom an event concerns that has been held against a part of the patterns.
    search: Option<Search>,
    /// Who was found last: each once for each of its patterns, of which `--max-patterns` bounds how many there are. Its
    /// room is kept, up to [`KEPT_FOUND`].
    found: Vec<SubscriberKey>,
    /// Of whoever came last.
    generation: u32,
}

/// A search that was stopped, for whom a frame concerns. Whoever comes meanwhile is held against it at once.
#[derive(Debug)]
struct Search {
    frame: Arc<Frame>,
    /// Which of its topics is being walked, and how far.
    topic: usize,
    walk: TreeWalk,
    found: Vec<SubscriberKey>,
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
    pub(crate) fn next_key(&mut self) -> SubscriberKey {
        self.generation = self.generation.wrapping_add(1);
        SubscriberKey::new(self.subscribers.0.vacant_key(), self.generation)
    }

    /// Adds a subscriber under the latest free key.
    pub(crate) fn insert(&mut self, key: SubscriberKey, subscriber: Subscriber) {
        debug_assert_eq!(key.generation(), subscriber.generation, "a key of someone else");
        let topics = &subscriber.interest.selector().topics;
        self.index.insert(topics, key);
        if let Some(Search { frame, found, .. }) = &mut self.search
            && frame.event().is_some_and(|event| topics.matches_any(event.topics()))
        {
            found.push(key);
        }
        let taken = self.subscribers.0.insert(subscriber);
        debug_assert_eq!(key.entry(), taken, "the key was not the latest");
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
    ///
    /// Finding them may take more than `limit`. Then nobody is visited, and the search goes on when this is next called
    /// for the same frame.
    pub(crate) fn for_each_concerned(
        &mut self,
        frame: &Arc<Frame>,
        limit: usize,
        mut visit: impl FnMut(&mut SubscriberSlab, SubscriberKey),
    ) -> ControlFlow<usize, usize> {
        let Self { subscribers, index, search, found, .. } = self;
        let Some(event) = frame.event() else {
            let keys: Vec<_> = subscribers.keys().collect();
            let work = keys.len();
            keys.into_iter().for_each(|key| visit(subscribers, key));
            return ControlFlow::Continue(work);
        };
        let (mut work, mut walk, mut passed) = (0, TreeWalk::default(), 0);
        let mut found_before = 0;
        if let Some(stopped) = search.take().filter(|stopped| Arc::ptr_eq(&stopped.frame, frame)) {
            (walk, passed, *found) = (stopped.walk, stopped.topic, stopped.found);
            found_before = found.len();
        }
        for (n, topic) in event.topics().enumerate().skip(passed) {
            walk.go_on(limit.saturating_sub(work));
            let stopped = index.walk(topic, &mut walk, found);
            work += walk.work();
            if stopped.is_break() {
                let (frame, found) = (Arc::clone(frame), std::mem::take(found));
                *search = Some(Search { frame, topic: n, walk, found });
                return ControlFlow::Break(work);
            }
            walk = TreeWalk::default();
        }
        // This part's have been counted as they were found.
        work += found_before;
        found.drain(..).for_each(|key| visit(subscribers, key));
        found.shrink_to(KEPT_FOUND);
        let others =
            event.topics().map(|topic| index.visit_others(topic, |key| visit(subscribers, key)));
        ControlFlow::Continue(work + others.sum::<usize>())
    }

    /// Forgets a search that was stopped.
    pub(crate) fn forget_search(&mut self) {
        self.search = None;
    }

    /// Calls `visit` for each subscriber that events of `topic` concern, as often as it names it. Returns how much work
    /// that was, one at least; nobody was visited if it would take more than `limit`.
    pub(crate) fn for_each_concerned_by(
        &mut self,
        topic: &Topic,
        limit: usize,
        mut visit: impl FnMut(SubscriberKey, &mut Subscriber),
    ) -> ControlFlow<(), usize> {
        let Self { subscribers, index, .. } = self;
        let (mut walk, mut found) = (TreeWalk::default(), Vec::new());
        walk.go_on(limit);
        index.walk(topic, &mut walk, &mut found)?;
        let mut visit = |key| {
            if let Some(subscriber) = subscribers.get_mut(key) {
                visit(key, subscriber);
            }
        };
        let work = 1 + walk.work();
        found.into_iter().for_each(&mut visit);
        ControlFlow::Continue(work + index.visit_others(topic, visit))
    }

    /// How many an event of `topic` concerns, of those that are found before it takes more than `limit`.
    pub(crate) fn count(&mut self, topic: &Topic, limit: usize) -> TopicCount {
        self.index.count(topic, limit)
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

    /// For how many that are found there is room.
    #[cfg(test)]
    pub(super) fn kept_room(&self) -> usize {
        self.found.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.0.is_empty()
    }

    /// Every entry is less than this.
    pub(crate) fn entries(&self) -> usize {
        self.subscribers.0.capacity()
    }
}
