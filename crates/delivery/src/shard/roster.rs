//! The roster: a shard's subscribers, and whom of them an event concerns.
//!
//! What must hold: whoever is in the slab is in the index, and nobody else is found through it.

use fanfare_event::Topic;
use fanfare_hub::Frame;
use mio::Token;
use slab::Slab;

use super::token::{entry, generation, token};
use super::topic_index::TopicIndex;
use crate::subscriber::Subscriber;

/// A shard's subscribers, by entry, token and topic.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    subscribers: Slab<Subscriber>,
    index: TopicIndex,
    /// Of whoever came last.
    generation: u32,
}

impl Roster {
    /// The token of whoever is inserted next.
    pub(crate) fn vacancy(&mut self) -> Token {
        self.generation = self.generation.wrapping_add(1);
        token(self.subscribers.vacant_key(), self.generation)
    }

    /// Adds a subscriber under the latest vacancy.
    pub(crate) fn insert(&mut self, token: Token, subscriber: Subscriber) {
        debug_assert_eq!(generation(token), subscriber.generation, "a token of someone else");
        self.index.insert(&subscriber.interest.selector().topics, token);
        let taken = self.subscribers.insert(subscriber);
        debug_assert_eq!(entry(token), taken, "the vacancy was not the latest");
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Subscriber> {
        self.get(token)?;
        let subscriber = self.subscribers.remove(entry(token));
        let subscribers = &self.subscribers;
        self.index.remove(&subscriber.interest.selector().topics, |other| {
            subscribers.get(entry(other)).is_some_and(|s| s.generation == generation(other))
        });
        Some(subscriber)
    }

    /// The subscriber that a token names, unless it has left.
    pub(crate) fn get(&self, token: Token) -> Option<&Subscriber> {
        self.subscribers.get(entry(token)).filter(|s| s.generation == generation(token))
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Subscriber> {
        find(&mut self.subscribers, token)
    }

    /// Whoever has this entry.
    pub(crate) fn at(&self, entry: usize) -> Option<(Token, &Subscriber)> {
        let subscriber = self.subscribers.get(entry)?;
        Some((token(entry, subscriber.generation), subscriber))
    }

    /// Calls `visit` for each subscriber that `frame` concerns: a notice of loss concerns all. One
    /// with several matching topics and patterns is visited for each.
    pub(crate) fn concerned(
        &mut self,
        frame: &Frame,
        mut visit: impl FnMut(Token, &mut Subscriber),
    ) {
        let Some(event) = frame.event() else {
            return self.iter_mut().for_each(|(token, subscriber)| visit(token, subscriber));
        };
        self.index.visit(&event.topic, |token| {
            if let Some(subscriber) = find(&mut self.subscribers, token) {
                visit(token, subscriber);
            }
        });
    }

    /// How many an event of `topic` concerns; one with several matching topics and patterns counts
    /// for each.
    pub(crate) fn count(&self, topic: &Topic) -> usize {
        self.index.count(topic)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, &Subscriber)> {
        self.subscribers.iter().map(|(entry, s)| (token(entry, s.generation), s))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut Subscriber)> {
        self.subscribers.iter_mut().map(|(entry, s)| (token(entry, s.generation), s))
    }

    pub(crate) fn len(&self) -> usize {
        self.subscribers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Every entry is less than this.
    pub(crate) fn entries(&self) -> usize {
        self.subscribers.capacity()
    }
}

fn find(subscribers: &mut Slab<Subscriber>, token: Token) -> Option<&mut Subscriber> {
    subscribers.get_mut(entry(token)).filter(|s| s.generation == generation(token))
}
