//! News: what has come into a window since its listeners were last told, as far as it says whom it concerns.
//!
//! What must hold: nobody whom it concerns is left out. Where that would take too much, it concerns everyone.

use smallvec::SmallVec;

use crate::ring::Concern;
use crate::{Slot, TopicKey};

/// How many topics are told apart. News of more concern everyone.
const TOPICS: usize = 32;

/// What has come into a window.
#[derive(Debug, Default)]
pub struct News {
    topics: SmallVec<[TopicKey; 4]>,
    everyone: bool,
    weight: usize,
}

impl News {
    /// What one frame brings.
    pub fn of(slot: &Slot) -> Self {
        let mut news = Self::default();
        news.add(slot);
        news
    }

    /// At most how many it concerns, of those of whom this says how many want a topic; `None` where it may be everyone.
    pub fn concerns_at_most(&self, want: impl Fn(TopicKey) -> usize) -> Option<usize> {
        (!self.everyone).then(|| self.topics.iter().map(|key| want(*key)).sum())
    }

    /// Whether it concerns someone of whom this says which topics they want, or would be too much to tell apart.
    pub fn concerns(&self, wants: impl Fn(TopicKey) -> bool) -> bool {
        self.everyone || self.topics.iter().any(|key| wants(*key))
    }

    /// What the frames weigh that have come, in bytes.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// It concerns everyone.
    pub(crate) fn concern_everyone(&mut self) {
        self.everyone = true;
    }

    /// A frame has come.
    pub(crate) fn add(&mut self, slot: &Slot) {
        self.weight += slot.frame.weight();
        match (slot.concern, slot.frame.event()) {
            (Concern::Topic(key), _) => self.add_topic(key),
            (Concern::Special, Some(event)) => {
                event.topics().for_each(|topic| self.add_topic(TopicKey::of(topic)));
            }
            (Concern::Special | Concern::Everyone, _) => self.concern_everyone(),
        }
    }

    /// All this, too.
    pub(crate) fn join(&mut self, other: Self) {
        self.weight += other.weight;
        self.everyone |= other.everyone;
        other.topics.into_iter().for_each(|key| self.add_topic(key));
    }

    fn add_topic(&mut self, key: TopicKey) {
        if self.everyone || self.topics.contains(&key) {
            return;
        }
        if self.topics.len() < TOPICS {
            self.topics.push(key);
        } else {
            self.everyone = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fanfare_event::{Draft, Extras, Position, Timestamp, Topic};

    use super::*;
    use crate::Frame;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    fn news(events: &[&[&str]], private: bool) -> News {
        let mut news = News::default();
        for topics in events {
            let (first, others) = (topic(topics[0]), topics[1..].iter().map(|name| topic(name)));
            let extras = Extras::new(&first, others, private, None).unwrap();
            let draft = Draft { topic: first, event_type: None, message: "".into(), extras };
            let event = draft.accepted(Position::new(1, 1), Timestamp(0));
            news.add(&Slot::new(Frame::new(Arc::new(event))));
        }
        news
    }

    fn concerns(news: &News, name: &str) -> bool {
        news.concerns(|key| key == TopicKey::of(&topic(name)))
    }

    #[test]
    fn news_concern_those_of_each_topic() {
        for private in [false, true] {
            let mut all = news(&[&["a", "b"]], private);
            all.join(news(&[&["c"]], private));
            assert!(["a", "b", "c"].iter().all(|name| concerns(&all, name)));
            assert!(!concerns(&all, "d"));
        }
        let names: Vec<_> = (0..=TOPICS).map(|n| n.to_string()).collect();
        let topics: Vec<_> = names.iter().map(|name| [name.as_str()]).collect();
        let events: Vec<_> = topics.iter().map(|topics| topics.as_slice()).collect();
        assert!(!concerns(&news(&events[..TOPICS], false), "d"));
        assert!(concerns(&news(&events, false), "d"), "more than are told apart");
    }
}
