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
    subscribers: Subscribers,
    index: TopicIndex,
    /// Of whoever came last.
    generation: u32,
}

/// The subscribers alone.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Slab<Subscriber>);

impl Subscribers {
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Subscriber> {
        self.0.get_mut(entry(token)).filter(|s| s.generation == generation(token))
    }

    fn get(&self, token: Token) -> Option<&Subscriber> {
        self.0.get(entry(token)).filter(|s| s.generation == generation(token))
    }

    fn tokens(&self) -> impl Iterator<Item = Token> {
        self.0.iter().map(|(entry, s)| token(entry, s.generation))
    }
}

impl Roster {
    /// The token of whoever is inserted next.
    pub(crate) fn vacancy(&mut self) -> Token {
        self.generation = self.generation.wrapping_add(1);
        token(self.subscribers.0.vacant_key(), self.generation)
    }

    /// Adds a subscriber under the latest vacancy.
    pub(crate) fn insert(&mut self, token: Token, subscriber: Subscriber) {
        debug_assert_eq!(generation(token), subscriber.generation, "a token of someone else");
        self.index.insert(&subscriber.interest.selector().topics, token);
        let taken = self.subscribers.0.insert(subscriber);
        debug_assert_eq!(entry(token), taken, "the vacancy was not the latest");
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<Subscriber> {
        self.get(token)?;
        let subscriber = self.subscribers.0.remove(entry(token));
        let subscribers = &self.subscribers;
        self.index.remove(&subscriber.interest.selector().topics, |other| {
            subscribers.get(other).is_some()
        });
        Some(subscriber)
    }

    /// The subscriber that a token names, unless it has left.
    pub(crate) fn get(&self, token: Token) -> Option<&Subscriber> {
        self.subscribers.get(token)
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(token)
    }

    /// Whoever has this entry.
    pub(crate) fn at(&self, entry: usize) -> Option<(Token, &Subscriber)> {
        let subscriber = self.subscribers.0.get(entry)?;
        Some((token(entry, subscriber.generation), subscriber))
    }

    /// Calls `visit` for each subscriber that `frame` concerns, and perhaps for some who have left: a
    /// notice of loss concerns all. One with several matching topics and patterns is visited for
    /// each. Returns how much work that was.
    pub(crate) fn concerned(
        &mut self,
        frame: &Frame,
        mut visit: impl FnMut(&mut Subscribers, Token),
    ) -> usize {
        let Self { subscribers, index, .. } = self;
        let Some(event) = frame.event() else {
            let tokens: Vec<_> = subscribers.tokens().collect();
            let work = tokens.len();
            tokens.into_iter().for_each(|token| visit(subscribers, token));
            return work;
        };
        index.visit(&event.topic, |token| visit(subscribers, token))
    }

    /// Calls `visit` for each subscriber that events of `topic` concern, as often as it names it.
    pub(crate) fn concerned_by(
        &mut self,
        topic: &Topic,
        mut visit: impl FnMut(Token, &mut Subscriber),
    ) {
        let Self { subscribers, index, .. } = self;
        index.visit(topic, |token| {
            if let Some(subscriber) = subscribers.get_mut(token) {
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
        self.subscribers.0.iter().map(|(entry, s)| (token(entry, s.generation), s))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut Subscriber)> {
        self.subscribers.0.iter_mut().map(|(entry, s)| (token(entry, s.generation), s))
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
