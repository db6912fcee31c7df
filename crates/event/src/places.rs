//! Places: where in a topic something may be, as bits of a few words.
//!
//! Place `n` is before the segment with that number, counted from 0; the last place is behind the last segment.

/// Places in a topic of fewer than `64 * W` segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<const W: usize>([u64; W]);

impl<const W: usize> Places<W> {
    /// Not one.
    pub const NONE: Self = Self([0; W]);

    /// How many there can be.
    pub const MANY: usize = 64 * W;

    /// One place alone.
    pub fn only(place: usize) -> Self {
        let mut places = Self::NONE;
        places.add(place);
        places
    }

    /// All from the first on, so many.
    pub fn first(count: usize) -> Self {
        let word = |at: usize| match count.saturating_sub(64 * at) {
            0 => 0,
            bits @ 1..64 => (1 << bits) - 1,
            _ => u64::MAX,
        };
        Self(std::array::from_fn(word))
    }

    /// One more.
    pub fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    /// Whether this is one of them.
    pub fn has(self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) == 0
    }

    /// Those that are the others' too.
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// Those that are not the others'.
    pub fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    /// Each moved to the next.
    pub fn next(self) -> Self {
        let carried = |at: usize| at.checked_sub(1).map_or(0, |below| self.0[below] >> 63);
        Self(std::array::from_fn(|at| self.0[at] << 1 | carried(at)))
    }

    /// All from the lowest of these on.
    pub fn and_all_behind(self) -> Self {
        let mut behind = 0;
        Self(self.0.map(|word| {
            // The lowest bit and all above it; none, of none.
            let here = (word & word.wrapping_neg()).wrapping_neg() | behind;
            behind = if here == 0 { 0 } else { u64::MAX };
            here
        }))
    }

    /// The first of them.
    pub fn lowest(self) -> Option<usize> {
        let at = self.0.iter().position(|word| *word != 0)?;
        Some(64 * at + self.0[at].trailing_zeros() as usize)
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(places: &BTreeSet<usize>) -> Places<3> {
        let mut all = Places::NONE;
        places.iter().for_each(|place| all.add(*place));
        all
    }

    proptest! {
        #[test]
        fn places_behave_as_a_set_of_numbers(
            one in prop::collection::btree_set(0..191_usize, 0..20),
            other in prop::collection::btree_set(0..191_usize, 0..20),
            count in 0..192_usize,
        ) {
            let places = of(&one);
            let lowest = one.first().copied();
            prop_assert_eq!(places.lowest(), lowest);
            prop_assert_eq!(places.count(), one.len());
            prop_assert_eq!(places.is_empty(), one.is_empty());
            prop_assert!((0..192).all(|place| places.has(place) == one.contains(&place)));
            prop_assert_eq!(places.and(of(&other)), of(&one.intersection(&other).copied().collect()));
            prop_assert_eq!(places.without(of(&other)), of(&one.difference(&other).copied().collect()));
            prop_assert_eq!(places.next(), of(&one.iter().map(|place| place + 1).collect()));
            let behind = lowest.map_or(BTreeSet::new(), |lowest| (lowest..192).collect());
            prop_assert_eq!(places.and_all_behind(), of(&behind));
            prop_assert_eq!(Places::first(count), of(&(0..count).collect()));
            prop_assert!(lowest.is_none_or(|lowest| Places::<3>::only(lowest).has(lowest)));
        }
    }
}
