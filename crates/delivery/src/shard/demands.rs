//! Demands: what a pattern asks of a topic wherever its wildcards end, as bits that can be compared at once.
//!
//! What must hold: a topic that a pattern matches meets all its demands. Two demands may share a bit, so that a topic
//! that meets them need not match.

use smallvec::SmallVec;

use super::segments::{ANY, DEEP};

type SegmentNumbers = SmallVec<[u32; 16]>;

/// What patterns ask, or a topic has. All that several patterns ask is what each of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Demands {
    near: [u64; 2],
    /// Which segments stand before which, where they are few.
    order: u64,
}

/// How many segments before the end are asked for.
const ENDS: usize = 4;

/// Of how many distinct segments the order is asked for at most.
const ORDERED: usize = 8;

/// The kinds of demands: how often a segment stands, which one follows it at once, and how far before the end it
/// stands; and which ones come after it, wherever.
const OFTEN: u32 = 0;
const NEXT: u32 = 1;
const END: u32 = 2;
const AFTER: u32 = 3;

impl Demands {
    /// What a pattern asks that has these segments behind its literal beginning.
    pub(super) fn of_pattern(segments: &[u32]) -> Self {
        let is_literal = |segment| !matches!(segment, ANY | DEEP);
        let mut all = Self::of(segments, is_literal);
        // Which of them a topic has is not known: so these are asked for, whatever else there is.
        let known = distinct(segments, is_literal).into_iter().take(ORDERED);
        all.add_order(segments, &known.collect::<Vec<_>>());
        all
    }

    /// What a topic has, by what patterns call its segments.
    pub(super) fn of_topic(segments: &[u32], is_named: impl Fn(u32) -> bool) -> Self {
        let mut all = Self::of(segments, &is_named);
        let known = distinct(segments, is_named);
        if known.len() <= ORDERED {
            all.add_order(segments, &known);
        } else {
            all.order = u64::MAX;
        }
        all
    }

    fn of(segments: &[u32], is_literal: impl Fn(u32) -> bool) -> Self {
        let mut all = Self::default();
        let mut sorted: SegmentNumbers =
            segments.iter().copied().filter(|segment| is_literal(*segment)).collect();
        sorted.sort_unstable();
        for same in sorted.chunk_by(|a, b| a == b) {
            for power in 0..=same.len().ilog2() {
                all.add(OFTEN, same[0], power);
            }
        }
        for pair in segments.windows(2) {
            if is_literal(pair[0]) && is_literal(pair[1]) {
                all.add(NEXT, pair[0], pair[1]);
            }
        }
        let ends = segments.iter().rev().take_while(|segment| **segment != DEEP).take(ENDS);
        for (segment, distance) in ends.zip(0..) {
            if is_literal(*segment) {
                all.add(END, *segment, distance);
            }
        }
        all
    }

    fn add_order(&mut self, segments: &[u32], known: &[u32]) {
        let place = |one: &u32| {
            let is_one = |other: &u32| other == one;
            Some((segments.iter().position(is_one)?, segments.iter().rposition(is_one)?))
        };
        let places: SmallVec<[_; ORDERED]> =
            known.iter().filter_map(|one| Some((*one, place(one)?))).collect();
        for (one, (first, _)) in &places {
            for (other, _) in
                places.iter().filter(|(other, (_, last))| other != one && first < last)
            {
                self.order |= 1 << (bit(AFTER, *one, *other) % 64);
            }
        }
    }

    fn add(&mut self, kind: u32, segment: u32, more: u32) {
        let bit = bit(kind, segment, more);
        self.near[bit / 64] |= 1 << (bit % 64);
    }

    /// What these ask, and the others too.
    pub(super) fn and(self, others: Self) -> Self {
        let ([a, b], [c, d]) = (self.near, others.near);
        Self { near: [a & c, b & d], order: self.order & others.order }
    }

    /// Whether a topic that has these can be matched.
    pub(super) fn are_met_by(self, topic: Self) -> bool {
        let ([a, b], [c, d]) = (self.near, topic.near);
        a & !c | b & !d | self.order & !topic.order == 0
    }
}

/// The literal segments, each once, sorted.
fn distinct(segments: &[u32], is_literal: impl Fn(u32) -> bool) -> SegmentNumbers {
    let mut all: SegmentNumbers =
        segments.iter().copied().filter(|segment| is_literal(*segment)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// One of 128, for a demand.
fn bit(kind: u32, segment: u32, more: u32) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let sum = (u64::from(segment) << 32 | u64::from(more)).wrapping_mul(MIX);
    (((sum ^ sum >> 32) + u64::from(kind)).wrapping_mul(MIX) >> 57) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_topic_that_matches_lacks_nothing(
            pattern in prop::collection::vec(prop_oneof![Just(ANY), Just(DEEP), 1..14_u32], 1..12),
            others in prop::collection::vec(prop::collection::vec(1..14_u32, 1..4), 12),
        ) {
            let mut topic = Vec::new();
            for (segment, others) in pattern.iter().zip(&others) {
                match *segment {
                    ANY => topic.push(others[0]),
                    DEEP => topic.extend(&others[1..]),
                    literal => topic.push(literal),
                }
            }
            let has = Demands::of_topic(&topic, |_| true);
            prop_assert!(Demands::of_pattern(&pattern).are_met_by(has), "{:?}", topic);
        }
    }
}
