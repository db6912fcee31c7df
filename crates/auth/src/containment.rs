//! Containment: whether every topic of one pattern belongs to another.
//!
//! A pattern is a regular language over segments, so containment is decidable, and three facts
//! keep the decision small:
//!
//! - A wildcard of the inner pattern need only be tried with one segment that the outer pattern
//!   does not name. Whatever matches that, matches it by wildcards, and so matches any other too.
//! - Once the outer pattern has reached a `**`, what it could still do from before that `**` is of
//!   no use: the `**` takes any beginning.
//! - If the outer pattern accepts what follows from some places, it does from more of them. Of the
//!   sets of places it may have reached, only those without a subset among the others matter.
//!
//! Topics are taken to be of any length: `a/**` is not inside `a/b/**` for want of bytes.

use fanfare_event::Pattern;

/// How much deciding one subscription may cost, in set operations of a few nanoseconds each.
/// Patterns that people write take some dozens; where ones that were made to be hard exceed it,
/// the answer is no.
#[derive(Debug)]
pub(crate) struct ComparisonBudget(u32);

impl ComparisonBudget {
    const STEPS: u32 = 1_000_000;

    pub(crate) fn new() -> Self {
        Self(Self::STEPS)
    }

    fn spend(&mut self, steps: usize) -> Option<()> {
        self.0 = self.0.checked_sub(u32::try_from(steps).ok()?)?;
        Some(())
    }
}

/// Whether every topic that `inner` matches is matched by `outer`. No, if the budget runs out.
pub(crate) fn contains(outer: &Pattern, inner: &Pattern, budget: &mut ComparisonBudget) -> bool {
    if outer.matches_everything() || outer == inner {
        return true;
    }
    // What an expression matches, only asking it tells.
    let comparable = outer.has_segments() && inner.has_segments();
    comparable && decide(outer, inner, budget).unwrap_or(false)
}

fn decide(outer: &Pattern, inner: &Pattern, budget: &mut ComparisonBudget) -> Option<bool> {
    let outer = PatternPlaces::of(outer);
    let mut reached = vec![outer.begin()];
    let mut segments: Vec<_> = inner.segments().collect();
    segments.dedup_by(|a, b| *a == "**" && *b == "**");
    if segments == ["**"] {
        // A topic has one segment at least.
        segments.insert(0, "*");
    }
    for segment in segments {
        let mut next = Minimal::default();
        let letter = outer.named(segment);
        for set in reached {
            if segment == "**" {
                // No segment, one, two: the sets come round once the `*` have been passed.
                let (mut before, mut after) = (None, set);
                while before != Some(after) {
                    next.insert(after, budget)?;
                    before = Some(after);
                    after = outer.step(after, PlaceSet::EMPTY);
                }
            } else {
                next.insert(outer.step(set, letter), budget)?;
            }
        }
        reached = next.0;
    }
    Some(reached.iter().all(|set| set.contains(outer.end)))
}

/// The places between the segments of a pattern, and where each segment is of which kind. Place
/// `n` stands before segment `n`.
struct PatternPlaces<'a> {
    segments: Vec<&'a str>,
    one: PlaceSet,
    many: PlaceSet,
    end: usize,
}

impl<'a> PatternPlaces<'a> {
    fn of(pattern: &'a Pattern) -> Self {
        let mut segments: Vec<_> = pattern.segments().collect();
        segments.dedup_by(|a, b| *a == "**" && *b == "**");
        let where_it_is = |kind: &str| {
            let at = segments.iter().enumerate().filter(|(_, segment)| **segment == kind);
            at.fold(PlaceSet::EMPTY, |set, (place, _)| set.with(place))
        };
        let (one, many) = (where_it_is("*"), where_it_is("**"));
        Self { one, many, end: segments.len(), segments }
    }

    /// The segments that are this text; none for wildcards, which stand for a text not named.
    fn named(&self, text: &str) -> PlaceSet {
        if text.contains('*') {
            return PlaceSet::EMPTY;
        }
        let at = self.segments.iter().enumerate().filter(|(_, segment)| **segment == text);
        at.fold(PlaceSet::EMPTY, |set, (place, _)| set.with(place))
    }

    fn begin(&self) -> PlaceSet {
        self.settle(PlaceSet::EMPTY.with(0))
    }

    /// From all of `set` over one segment, which `letter` takes beside the wildcards.
    fn step(&self, set: PlaceSet, letter: PlaceSet) -> PlaceSet {
        let moved = set.and(self.one.or(letter)).forward();
        self.settle(moved.or(set.and(self.many)))
    }

    /// Passes each `**` without taking a segment, and forgets what lies before the last one.
    fn settle(&self, set: PlaceSet) -> PlaceSet {
        let set = set.or(set.and(self.many).forward());
        match set.and(self.many).last() {
            Some(place) => set.from(place),
            None => set,
        }
    }
}

/// Sets of which none holds another.
#[derive(Default)]
struct Minimal(Vec<PlaceSet>);

impl Minimal {
    fn insert(&mut self, set: PlaceSet, budget: &mut ComparisonBudget) -> Option<()> {
        budget.spend(self.0.len() + 1)?;
        if !self.0.iter().any(|other| other.is_within(set)) {
            self.0.retain(|other| !set.is_within(*other));
            self.0.push(set);
        }
        Some(())
    }
}

/// A set of places.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlaceSet([u64; Self::WORDS]);

impl PlaceSet {
    /// For one place more than a pattern can have segments.
    const WORDS: usize = (fanfare_event::Topic::MAX_BYTES + 2).div_ceil(64);
    const EMPTY: Self = Self([0; Self::WORDS]);

    fn with(mut self, place: usize) -> Self {
        self.0[place / 64] |= 1 << (place % 64);
        self
    }

    fn contains(self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] & other.0[n]))
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] | other.0[n]))
    }

    fn is_within(self, other: Self) -> bool {
        self.and(other) == self
    }

    /// Each place moved on by one.
    fn forward(self) -> Self {
        let carried = |n: usize| if n == 0 { 0 } else { self.0[n - 1] >> 63 };
        Self(std::array::from_fn(|n| self.0[n] << 1 | carried(n)))
    }

    /// Without the places before `place`.
    fn from(self, place: usize) -> Self {
        Self(std::array::from_fn(|n| match (n * 64).cmp(&(place / 64 * 64)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => self.0[n] & (u64::MAX << (place % 64)),
            std::cmp::Ordering::Greater => self.0[n],
        }))
    }

    fn last(self) -> Option<usize> {
        let word = self.0.iter().rposition(|word| *word != 0)?;
        Some(word * 64 + 63 - self.0[word].leading_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fanfare_event::{Beginning, Expression, Topic};
    use proptest::prelude::*;

    use super::*;

    fn inside(inner: &str, outer: &str) -> bool {
        let [outer, inner] = [outer, inner].map(|text| Pattern::parse(text).unwrap());
        contains(&outer, &inner, &mut ComparisonBudget::new())
    }

    #[test]
    fn a_pattern_that_almost_fits_is_not_let_in() {
        for (inner, outer) in [
            ("orders/*", "orders/*"),
            ("orders/*", "orders/**"),
            ("orders/1/**", "orders/**"),
            ("orders/**", "orders/**/**"),
            ("orders/*/**", "orders/**/*"),
            ("orders/**/*", "orders/*/**"),
            ("**", "*/**"),
            ("a/b", "a/*"),
            ("a/**/b/**/c", "a/**/c"),
            ("a/**/b/b", "a/*/**/b"),
        ] {
            assert!(inside(inner, outer), "{inner} lies inside {outer}");
        }
        for (inner, outer) in [
            ("orders/**", "orders/*"),
            ("orders/**", "orders/*/**"),
            ("orders/*", "orders/1"),
            ("orders/*", "order/*"),
            ("*/orders", "orders/*"),
            ("**", "*"),
            ("**", "orders/**"),
            ("*/*", "*"),
            ("a/**/c", "a/**/b/**/c"),
            ("a/**/b", "a/*/**/b"),
            ("**/a", "**/a/*"),
            ("orders/", "orders"),
        ] {
            assert!(!inside(inner, outer), "{inner} does not lie inside {outer}");
        }
    }

    /// Written like wildcards, and matching nothing.
    #[derive(Debug)]
    struct Nothing;

    impl Expression for Nothing {
        fn as_str(&self) -> &str {
            "orders/**"
        }

        fn matches(&self, _: &Topic) -> bool {
            false
        }

        fn beginning(&self) -> Beginning<'_> {
            Beginning::unknown()
        }

        fn footprint(&self) -> usize {
            0
        }
    }

    #[test]
    fn an_expression_does_not_grant_what_its_text_would_as_wildcards() {
        let expression = Pattern::of_expression(Arc::new(Nothing));
        let wildcards = Pattern::parse("orders/*").unwrap();
        let inside = |inner, outer| contains(outer, inner, &mut ComparisonBudget::new());
        assert!(!inside(&wildcards, &expression) && !inside(&expression, &wildcards));
        assert!(inside(&expression, &expression));
        assert!(inside(&expression, &Pattern::everything()));
    }

    #[test]
    fn patterns_as_long_as_they_can_be_do_not_overflow_a_set() {
        let long = "/".repeat(Topic::MAX_BYTES);
        assert!(inside(&long, &long));
        assert!(inside(&long, "**"));
        let stars = format!("*{}", "/*".repeat(127));
        assert!(inside(&stars, "*/**"));
        assert!(!inside("*/**", &stars));
        assert!(inside(&long[..127], &stars));
        assert!(!inside(&long[..126], &stars));
    }

    #[test]
    fn deciding_never_takes_for_ever() {
        let inner = format!("**{}", "/a/**".repeat(50));
        let outer = format!("**/a{}/**", "/*/a".repeat(60));
        inside(&inner, &outer);
        let inner = format!("**{}", "/a/*/**/b/**".repeat(20));
        let outer = format!("**/a/*{}/b/**", "/*/*/a/*".repeat(25));
        inside(&inner, &outer);
    }

    /// All topics of up to `LENGTH` segments over what the patterns may name and one thing more.
    fn topics() -> Vec<Topic> {
        const LENGTH: usize = 7;
        let mut names: Vec<String> = ["a", "b", "x"].map(str::to_owned).to_vec();
        let mut longest = names.clone();
        for _ in 1..LENGTH {
            longest = longest
                .iter()
                .flat_map(|name| ["a", "b", "x"].map(|segment| format!("{name}/{segment}")))
                .collect();
            names.extend_from_slice(&longest);
        }
        names.iter().map(|name| Topic::parse(name).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        /// A counterexample, if there is any, is no longer than both patterns together: with at
        /// most three segments each, seven are enough.
        #[test]
        fn containment_is_what_trying_every_topic_finds(
            outer in prop::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*"], 1..4),
            inner in prop::collection::vec(prop_oneof!["a", "b", "\\*", "\\*\\*"], 1..4),
        ) {
            thread_local!(static TOPICS: Vec<Topic> = topics());
            let (outer, inner) = (outer.join("/"), inner.join("/"));
            let decided = inside(&inner, &outer);
            let [outer, inner] = [outer, inner].map(|text| Pattern::parse(&text).unwrap());
            let stray = TOPICS.with(|topics| {
                topics.iter().find(|t| inner.matches(t) && !outer.matches(t)).cloned()
            });
            prop_assert_eq!(decided, stray.is_none(), "{} in {}: {:?}", inner, outer, stray);
        }
    }
}
