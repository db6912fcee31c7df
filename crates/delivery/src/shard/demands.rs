//! Demands: what a pattern asks of a topic wherever its wildcards end, as bits that can be compared at once.
//!
//! What must hold: a topic that a pattern matches meets all its demands. Two demands may share a bit, so that a topic that
//! meets them need not match.

use super::segments::{ANY, DEEP};

/// What patterns ask, or a topic has. All that several patterns ask is what each of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Demands([u64; 2]);

/// How many segments before the end are asked for.
const ENDS: usize = 4;

/// The kinds of demands: how often a segment stands, which one follows it at once, and how far before the end it stands.
const OFTEN: u32 = 0;
const NEXT: u32 = 1;
const END: u32 = 2;

impl Demands {
    /// What a pattern asks that has these segments behind its literal beginning.
    pub(super) fn of_pattern(segments: &[u32]) -> Self {
        Self::of(segments, |segment| !matches!(segment, ANY | DEEP))
    }

    /// What a topic has, by what patterns call its segments.
    pub(super) fn of_topic(segments: &[u32], is_named: impl Fn(u32) -> bool) -> Self {
        Self::of(segments, is_named)
    }

    fn of(segments: &[u32], is_literal: impl Fn(u32) -> bool) -> Self {
        let mut all = Self::default();
        let mut sorted: smallvec::SmallVec<[u32; 16]> =
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

    fn add(&mut self, kind: u32, segment: u32, more: u32) {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let sum = (u64::from(segment) << 32 | u64::from(more)).wrapping_mul(MIX);
        let bit = ((sum ^ sum >> 32) + u64::from(kind)).wrapping_mul(MIX) >> 57;
        self.0[bit as usize / 64] |= 1 << (bit % 64);
    }

    /// What these ask, and the others too.
    pub(super) fn and(self, others: Self) -> Self {
        Self([self.0[0] & others.0[0], self.0[1] & others.0[1]])
    }

    /// Whether a topic that has these can be matched.
    pub(super) fn are_met_by(self, topic: Self) -> bool {
        (self.0[0] & !topic.0[0]) | (self.0[1] & !topic.0[1]) == 0
    }
}
