//! Segments: the numbers by which patterns and topics are compared.
//!
//! What must hold: numbers are exact: two segments share one only if they are the same. There are as many as there are
//! distinct segments in the patterns that have not been forgotten.

use fanfare_event::Topic;
use smallvec::SmallVec;

use super::name_map::NameMap;

/// The numbers of the segments that patterns name.
#[derive(Debug, Default)]
pub(super) struct Segments {
    numbers: NameMap<Box<str>, u32>,
    /// By number: how many times patterns name it. That of `*` is not counted.
    uses: Vec<u32>,
    /// Numbers to be given out again.
    free: Vec<u32>,
}

/// The segments of a topic or of a pattern, each by its number.
pub(super) type Numbers = SmallVec<[u32; 16]>;

/// The number of a segment that no pattern names.
const UNNAMED: u32 = u32::MAX;
/// What stands for `*` among the numbers of a pattern, and for `**`. Those of literal segments begin behind the first.
pub(super) const ANY: u32 = 0;
pub(super) const DEEP: u32 = u32::MAX - 1;

/// The numbers of a topic's segments that patterns name, each in its place.
pub(super) fn named(topic: &Numbers) -> impl Iterator<Item = Option<u32>> {
    topic.iter().map(|number| Some(*number).filter(|number| *number != UNNAMED))
}

/// Whether the number of a topic's segment is one that patterns name.
pub(super) fn is_named(number: u32) -> bool {
    number != UNNAMED
}

impl Segments {
    /// The numbers of a pattern's segments, if other patterns have named all of them.
    pub(super) fn known<'a>(&self, pattern: impl Iterator<Item = &'a str>) -> Option<Numbers> {
        let number = |segment| match segment {
            "*" => Some(ANY),
            "**" => Some(DEEP),
            literal => self.numbers.get(literal).copied(),
        };
        pattern.map(number).collect()
    }

    /// The numbers of a pattern's segments, which keep them until they are forgotten as often.
    pub(super) fn take<'a>(&mut self, pattern: impl Iterator<Item = &'a str>) -> Numbers {
        let number = |segment| match segment {
            "*" => ANY,
            "**" => DEEP,
            literal => self.take_literal(literal),
        };
        pattern.map(number).collect()
    }

    /// Forgets the segments of a pattern that is given up.
    pub(super) fn forget<'a>(&mut self, pattern: impl Iterator<Item = &'a str>) {
        for segment in pattern.filter(|segment| !matches!(*segment, "*" | "**")) {
            let Some(number) = self.numbers.get(segment).copied() else { continue };
            let uses = &mut self.uses[number as usize];
            *uses -= 1;
            if *uses == 0 {
                self.free.push(number);
                self.numbers.remove(segment);
            }
        }
    }

    /// The numbers of a topic's segments; [`UNNAMED`] where no pattern names one.
    pub(super) fn of_topic(&self, topic: &Topic) -> Numbers {
        let number = |segment| self.numbers.get(segment).copied().unwrap_or(UNNAMED);
        topic.segments().map(number).collect()
    }

    /// Every number of a literal segment, and that of `*`, is less than this.
    pub(super) fn end(&self) -> usize {
        self.uses.len().max(1)
    }

    /// How many times patterns name a segment.
    pub(super) fn uses(&self, number: u32) -> u32 {
        self.uses[number as usize]
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn take_literal(&mut self, segment: &str) -> u32 {
        if let Some(&number) = self.numbers.get(segment) {
            self.uses[number as usize] += 1;
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            let number = self.end();
            self.uses.resize(number + 1, 0);
            number as u32
        });
        self.uses[number as usize] = 1;
        self.numbers.insert(segment.into(), number);
        number
    }
}
