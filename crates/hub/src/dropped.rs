//! What a window has dropped lately, by topic.
//!
//! What must hold: it says exactly what topics a stretch was of, or that it does not know. A shard
//! that the window has overrun asks it whom it owes something.

use std::collections::VecDeque;
use std::ops::Range;

use fanfare_event::Topic;

/// How many dropped frames are remembered: 4 MiB beside the names, which the log shares.
const CAPACITY: usize = 262_144;

/// The topics of the latest frames that have left a window, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    topics: VecDeque<Topic>,
    /// The offset after the last of them.
    end: u64,
}

impl Dropped {
    /// The frame at `offset` has left; it had no topic if it told of a loss.
    pub(crate) fn note(&mut self, offset: u64, topic: Option<&Topic>) {
        if offset != self.end || topic.is_none() {
            self.topics.clear();
        }
        self.end = offset + 1;
        if self.topics.len() == CAPACITY {
            self.topics.pop_front();
        }
        self.topics.extend(topic.cloned());
    }

    /// The topics of these offsets, each once; `None` where not all of them are known.
    pub(crate) fn topics(&self, offsets: Range<u64>) -> Option<Vec<Topic>> {
        let first = self.end - self.topics.len() as u64;
        if offsets.start < first || offsets.end > self.end {
            return None;
        }
        let places = (offsets.start - first) as usize..(offsets.end - first) as usize;
        let mut topics: Vec<_> = self.topics.range(places).cloned().collect();
        topics.sort_unstable();
        topics.dedup();
        Some(topics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    #[test]
    fn a_topic_of_what_was_dropped_is_left_out() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.topics(0..1), None);
        for (offset, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
            dropped.note(offset as u64, Some(&topic(name)));
        }
        assert_eq!(dropped.topics(0..4), Some(vec![topic("a"), topic("b"), topic("c")]));
        assert_eq!(dropped.topics(2..3), Some(vec![topic("a")]));
        assert_eq!(dropped.topics(2..5), None, "it speaks for what is still there");
        dropped.note(4, None);
        assert_eq!(dropped.topics(3..5), None, "a loss concerns everyone");
        dropped.note(5, Some(&topic("a")));
        assert_eq!(dropped.topics(5..6), Some(vec![topic("a")]));
        dropped.note(9, Some(&topic("a")));
        assert_eq!(dropped.topics(5..6), None, "something was left out in between");
    }

    #[test]
    fn a_busy_window_is_remembered_for_ever() {
        let mut dropped = Dropped::default();
        let topic = topic("a");
        (0..CAPACITY as u64 + 10).for_each(|offset| dropped.note(offset, Some(&topic)));
        assert_eq!(dropped.topics.len(), CAPACITY);
        assert_eq!(dropped.topics(9..20), None);
        assert!(dropped.topics(10..20).is_some());
    }
}
