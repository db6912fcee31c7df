//! A matcher: a pattern made quick to compare with the topics of many events.
//!
//! What must hold: it says what [`Pattern::matches`](fanfare_event::Pattern::matches) says, at the cost of a few operations for each
//! segment of the topic, however the pattern is written. Both texts are compared by the numbers of
//! their segments, which are exact: two segments share one only if they are the same.

use std::collections::HashMap;

use fanfare_event::Topic;
use smallvec::SmallVec;

/// The numbers of the segments that patterns name. As many as there are in the patterns it was told
/// of and has not been told to forget.
#[derive(Debug, Default)]
pub(super) struct Segments {
    numbers: HashMap<Box<str>, Numbered>,
    /// Numbers to be given out again, and the first that never was.
    free: Vec<u32>,
    next: u32,
}

#[derive(Debug)]
struct Numbered {
    number: u32,
    /// How many times patterns name it.
    uses: u32,
}

/// A topic's segments by number; [`UNNAMED`] where no pattern names one.
pub(super) type Numbers = SmallVec<[u32; 16]>;

/// The number of a segment that no pattern names.
const UNNAMED: u32 = u32::MAX;

/// A pattern by the numbers of its segments. Bits stand for how many of its segments have been met.
#[derive(Debug)]
pub(super) struct Matcher {
    /// The segments but for `**`; [`UNNAMED`] for `*`.
    segments: Box<[u32]>,
    /// Before which of them any number of a topic's segments may stand.
    deep: u128,
    /// Which of them are `*`.
    any: u128,
}

impl Segments {
    /// A matcher for a pattern with these segments, which are given numbers.
    pub(super) fn matcher<'a>(&mut self, pattern: impl Iterator<Item = &'a str>) -> Matcher {
        let (mut segments, mut deep, mut any) = (Vec::new(), 0, 0);
        for segment in pattern {
            let bit = 1 << segments.len();
            match segment {
                "**" => deep |= bit,
                "*" => {
                    any |= bit;
                    segments.push(UNNAMED);
                }
                literal => segments.push(self.take(literal)),
            }
        }
        Matcher { segments: segments.into(), deep, any }
    }

    /// Forgets the segments of a pattern whose matcher is given up.
    pub(super) fn forget<'a>(&mut self, pattern: impl Iterator<Item = &'a str>) {
        for segment in pattern.filter(|segment| !matches!(*segment, "*" | "**")) {
            let Some(numbered) = self.numbers.get_mut(segment) else { continue };
            numbered.uses -= 1;
            if numbered.uses == 0 {
                self.free.push(numbered.number);
                self.numbers.remove(segment);
            }
        }
    }

    /// The numbers of a topic's segments.
    pub(super) fn numbers(&self, topic: &Topic) -> Numbers {
        let number = |segment| self.numbers.get(segment).map_or(UNNAMED, |n| n.number);
        topic.segments().map(number).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn take(&mut self, segment: &str) -> u32 {
        if let Some(numbered) = self.numbers.get_mut(segment) {
            numbered.uses += 1;
            return numbered.number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.numbers.insert(segment.into(), Numbered { number, uses: 1 });
        number
    }
}

impl Matcher {
    /// Whether the pattern matches the topic with these segments.
    pub(super) fn matches(&self, topic: &[u32]) -> bool {
        let whole = self.segments.len();
        if topic.len() < whole || (self.deep == 0 && topic.len() > whole) {
            return false;
        }
        // By far the most patterns that do not match end in a segment that the topic does not.
        if let (Some(last), Some(have)) = (self.segments.last(), topic.last())
            && self.deep >> whole & 1 == 0
            && self.any >> (whole - 1) & 1 == 0
            && last != have
        {
            return false;
        }
        let mut met: u128 = 1;
        for have in topic {
            let same = self.segments.iter().enumerate().fold(0u128, |same, (place, want)| {
                same | u128::from(want == have && *have != UNNAMED) << place
            });
            met = (met & (same | self.any)) << 1 | met & self.deep;
            if met == 0 {
                return false;
            }
        }
        met >> whole & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use fanfare_event::Pattern;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_matcher_disagrees_with_its_pattern(
            patterns in prop::collection::vec(
                prop::collection::vec(prop_oneof!["a", "b", "c", "\\*", "\\*\\*", ""], 1..8), 1..5),
            name in prop::collection::vec(prop_oneof!["a", "b", "c", "d", ""], 1..9),
        ) {
            let Ok(topic) = Topic::parse(&name.join("/")) else { return Ok(()) };
            let patterns: Vec<_> =
                patterns.iter().filter_map(|p| Pattern::parse(&p.join("/")).ok()).collect();
            let mut segments = Segments::default();
            let matchers: Vec<_> = patterns.iter().map(|p| segments.matcher(p.segments())).collect();
            for (pattern, matcher) in patterns.iter().zip(&matchers) {
                let numbers = segments.numbers(&topic);
                prop_assert_eq!(matcher.matches(&numbers), pattern.matches(&topic), "{}", pattern);
            }
            patterns.iter().for_each(|pattern| segments.forget(pattern.segments()));
            prop_assert!(segments.is_empty());
        }
    }

    #[test]
    fn the_longest_pattern_overflows_the_bits() {
        let pattern = Pattern::parse(&format!("{}**", "a/".repeat(63))).unwrap();
        let mut segments = Segments::default();
        let matcher = segments.matcher(pattern.segments());
        for (count, expected) in [(62, false), (63, true), (127, true)] {
            let topic = Topic::parse(vec!["a"; count].join("/").as_str()).unwrap();
            assert_eq!(matcher.matches(&segments.numbers(&topic)), expected, "{count}");
        }
    }
}
