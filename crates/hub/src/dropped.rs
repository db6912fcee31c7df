//! What a window has dropped lately, by topic.
//!
//! What must hold: it says exactly what topics a stretch was of, or that it does not know. A shard
//! that the window has overrun asks it whom it owes something: what it is given is shared with the
//! window and with other shards, so that nobody copies or sorts under the window's lock.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use fanfare_event::Topic;

/// How many topics a block holds.
const BLOCK: usize = 1024;

/// How many whole blocks are remembered: 262,144 topics, 4 MiB beside the names, which the log
/// shares.
const BLOCKS: usize = 256;

/// How many topics are remembered beside those, of events that have several: copied where they are asked
/// for, so few.
const OTHERS: usize = 16_384;

/// The topics of the latest frames that have left a window, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// Whole ones; never changed.
    blocks: VecDeque<Arc<[Topic]>>,
    /// What comes after them.
    latest: Vec<Topic>,
    /// The offset after the last of them.
    end: u64,
    /// The further topics of those that have several, each with its offset.
    others: VecDeque<(u64, Topic)>,
}

/// The topics of a stretch of frames that have left a window.
#[derive(Debug)]
pub struct DroppedTopics {
    blocks: Vec<Arc<[Topic]>>,
    latest: Vec<Topic>,
    /// How many in front do not belong to the stretch.
    skip: usize,
    length: usize,
    others: Vec<Topic>,
}

impl Dropped {
    /// The frame at `offset` has left, of this topic and the others; it had none if it told of a loss.
    pub(crate) fn note(&mut self, offset: u64, topic: Option<&Topic>, others: &[Topic]) {
        if offset != self.end || topic.is_none() || self.others.len() + others.len() > OTHERS {
            self.blocks.clear();
            self.latest.clear();
            self.others.clear();
        }
        self.end = offset + 1;
        self.latest.extend(topic.cloned());
        self.others.extend(others.iter().map(|topic| (offset, topic.clone())));
        if self.latest.len() == BLOCK {
            if self.blocks.len() == BLOCKS {
                self.blocks.pop_front();
            }
            self.blocks.push_back(self.latest.drain(..).collect());
            let first = self.first();
            let gone = self.others.partition_point(|(offset, _)| *offset < first);
            self.others.drain(..gone);
        }
    }

    /// The offset of the first that is known.
    fn first(&self) -> u64 {
        self.end - (self.blocks.len() * BLOCK + self.latest.len()) as u64
    }

    /// The topics of these offsets; `None` where not all of them are known.
    pub(crate) fn topics(&self, offsets: Range<u64>) -> Option<DroppedTopics> {
        let first = self.first();
        if offsets.start < first || offsets.end > self.end {
            return None;
        }
        let begin = (offsets.start - first) as usize;
        let length = offsets.end.saturating_sub(offsets.start) as usize;
        let whole = (begin / BLOCK).min(self.blocks.len());
        let end = (begin + length).div_ceil(BLOCK);
        let blocks = self.blocks.range(whole..end.clamp(whole, self.blocks.len()));
        let latest = if end > self.blocks.len() { self.latest.clone() } else { Vec::new() };
        let skip = begin - whole * BLOCK;
        let from = self.others.partition_point(|(offset, _)| *offset < offsets.start);
        let others = self.others.range(from..).take_while(|(offset, _)| *offset < offsets.end);
        let others = others.map(|(_, topic)| topic.clone()).collect();
        Some(DroppedTopics { blocks: blocks.cloned().collect(), latest, skip, length, others })
    }
}

impl DroppedTopics {
    /// Calls `each` with every topic, once.
    pub fn each(&self, mut each: impl FnMut(&Topic)) {
        let all = self.blocks.iter().flat_map(|block| block.iter()).chain(&self.latest);
        let mut seen = HashSet::new();
        for topic in all.skip(self.skip).take(self.length).chain(&self.others) {
            if seen.insert(topic) {
                each(topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    fn topics(dropped: &Dropped, offsets: Range<u64>) -> Option<Vec<String>> {
        let mut names = Vec::new();
        dropped.topics(offsets)?.each(|topic| names.push(topic.as_str().to_owned()));
        names.sort();
        Some(names)
    }

    #[test]
    fn every_topic_of_what_was_dropped_is_named() {
        let mut dropped = Dropped::default();
        assert_eq!(topics(&dropped, 0..1), None);
        for (offset, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
            dropped.note(offset as u64, Some(&topic(name)), &[]);
        }
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(topics(&dropped, 0..4), names(&["a", "b", "c"]));
        assert_eq!(topics(&dropped, 2..3), names(&["a"]));
        assert_eq!(topics(&dropped, 2..5), None, "it speaks for what is still there");
        dropped.note(4, None, &[]);
        assert_eq!(topics(&dropped, 3..5), None, "a loss concerns everyone");
        dropped.note(5, Some(&topic("a")), &[]);
        assert_eq!(topics(&dropped, 5..6), names(&["a"]));
        dropped.note(9, Some(&topic("a")), &[]);
        assert_eq!(topics(&dropped, 5..6), None, "something was left out in between");
    }

    #[test]
    fn each_of_several_topics_is_named() {
        let mut dropped = Dropped::default();
        dropped.note(0, Some(&topic("a")), &[topic("b"), topic("c")]);
        dropped.note(1, Some(&topic("b")), &[topic("d")]);
        let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(topics(&dropped, 0..1), names(&["a", "b", "c"]));
        assert_eq!(topics(&dropped, 1..2), names(&["b", "d"]));
        assert_eq!(topics(&dropped, 0..2), names(&["a", "b", "c", "d"]));
        let many: Vec<_> = (0..31).map(|n| topic(&format!("t/{n}"))).collect();
        (2..3 + OTHERS as u64 / 31).for_each(|at| dropped.note(at, Some(&topic("a")), &many));
        assert!(dropped.others.len() <= OTHERS, "however many topics events have");
        assert_eq!(topics(&dropped, 0..2), None);
    }

    #[test]
    fn a_stretch_across_blocks_has_exactly_its_topics() {
        let mut dropped = Dropped::default();
        let all = 3 * BLOCK as u64 + 7;
        (0..all).for_each(|n| dropped.note(n, Some(&topic(&format!("{n:05}"))), &[]));
        let block = BLOCK as u64;
        for start in [0, 1, block - 1, block, block + 1, 3 * block - 1, 3 * block, all] {
            for end in [start, start + 1, 2 * block, 3 * block, 3 * block + 1, all] {
                if (start..=all).contains(&end) {
                    let expected: Vec<_> = (start..end).map(|n| format!("{n:05}")).collect();
                    assert_eq!(topics(&dropped, start..end), Some(expected), "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn a_shard_that_asks_shares_what_was_dropped() {
        let mut dropped = Dropped::default();
        let all = BLOCKS as u64 * BLOCK as u64;
        (0..all).for_each(|n| dropped.note(n, Some(&topic(&format!("{n}"))), &[]));
        let asked = [dropped.topics(0..all).unwrap(), dropped.topics(0..all).unwrap()];
        for answer in &asked {
            assert_eq!(answer.latest.len(), 0);
            let shared = answer.blocks.iter().zip(&dropped.blocks);
            assert_eq!(shared.filter(|(a, b)| Arc::ptr_eq(a, b)).count(), BLOCKS);
        }
        dropped.note(all, Some(&topic("one more")), &[]);
        let answer = dropped.topics(all - 5..all + 1).unwrap();
        assert_eq!((answer.blocks.len(), answer.latest.len()), (1, 1), "no more than it takes");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut dropped = Dropped::default();
        let topic = topic("a");
        let capacity = (BLOCKS * BLOCK) as u64;
        let end = capacity + 3 * BLOCK as u64;
        (0..end).for_each(|offset| dropped.note(offset, Some(&topic), &[]));
        assert_eq!((dropped.blocks.len(), dropped.latest.len()), (BLOCKS, 0));
        assert!(topics(&dropped, end - capacity - 1..end).is_none());
        assert!(topics(&dropped, end - capacity..end).is_some());
    }
}
