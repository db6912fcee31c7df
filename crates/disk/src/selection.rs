//! A selection: which records of a segment a reader has to look at.
//!
//! What must hold: nothing that is wanted is left out; the work has a bound, however many topics
//! there are and however a pattern is written. Where it would take more to compare patterns with
//! the topics of a segment, its records are looked at one by one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use fanfare_event::{Pattern, Topic, TopicSelector};

use crate::index::Index;

/// Which records to look at. Others than those wanted may be among them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Ascending.
    pub ordinals: Vec<u32>,
    /// Nothing else before this ordinal is wanted.
    pub covered: u32,
}

/// Reading one record of so many in order costs less than seeking out single ones.
const DENSE: usize = 8;

/// How often a pattern has to be compared with a topic of a closed segment to find what is wanted.
pub(crate) fn comparisons(index: &Index, wanted: &TopicSelector) -> usize {
    if wanted.matches_everything() {
        return 0;
    }
    cost(&stretches(index.names(), wanted.patterns()), wanted)
}

fn cost(stretches: &[Range<usize>], wanted: &TopicSelector) -> usize {
    stretches.iter().map(Range::len).sum::<usize>() * wanted.patterns().len()
}

/// What is wanted of `range`, at most about `most` records; what was lost is always wanted, since
/// it may have been of any topic. Compares a pattern with a topic `most_compared` times at most.
pub(crate) fn select(
    index: &Index,
    wanted: &TopicSelector,
    range: Range<u32>,
    most: usize,
    most_compared: usize,
) -> Selection {
    let most = most.max(1);
    let in_order = || {
        let covered = range.end.min(range.start.saturating_add(most as u32));
        Selection { ordinals: (range.start..covered).collect(), covered }
    };
    if range.is_empty() || wanted.matches_everything() {
        return in_order();
    }
    let names = index.names();
    let compared = stretches(names, wanted.patterns());
    let grows = names.is_empty();
    let too_many = cost(&compared, wanted) > most_compared;
    if !wanted.patterns().is_empty() && (grows || too_many) {
        return in_order();
    }
    let mut parts: Vec<&[u32]> = Vec::new();
    let mut take = |ordinals| {
        let part = within(ordinals, &range);
        if !part.is_empty() {
            parts.push(part);
        }
    };
    for place in compared.iter().cloned().flatten() {
        if wanted.matches(&names[place]) {
            take(index.at(place));
        }
    }
    for topic in wanted.topics() {
        if grows {
            take(index.of(topic));
        } else if let Ok(place) = names.binary_search(topic)
            && !compared.iter().any(|stretch| stretch.contains(&place))
        {
            take(index.at(place));
        }
    }
    let total: usize = parts.iter().map(|part| part.len()).sum();
    if total * DENSE >= range.len() {
        return in_order();
    }
    // Of a stretch the first stands for all: a page that ends before it has passed over none of them.
    let lost = index.lost().iter();
    let lost = lost.filter(|lost| lost.start < range.end && lost.end > range.start);
    let lost: Vec<u32> = lost.map(|lost| lost.start.max(range.start)).collect();
    if !lost.is_empty() {
        parts.push(&lost);
    }
    merge(&parts, most, range.end)
}

/// The first of all these, in order, each once. None of the parts is empty.
fn merge(parts: &[&[u32]], most: usize, end: u32) -> Selection {
    let first = |(at, part): (usize, &&[u32])| Reverse((part[0], at, 0));
    let mut heads: BinaryHeap<_> = parts.iter().enumerate().map(first).collect();
    let mut ordinals = Vec::with_capacity(most.min(64));
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((ordinal, part, place)) = *head;
        if ordinals.len() == most && ordinals.last() != Some(&ordinal) {
            return Selection { ordinals, covered: ordinal };
        }
        // A record of several topics is in several parts.
        if ordinals.last() != Some(&ordinal) {
            ordinals.push(ordinal);
        }
        match parts[part].get(place + 1) {
            Some(&next) => *head = Reverse((next, part, place + 1)),
            None => {
                PeekMut::pop(head);
            }
        }
    }
    Selection { ordinals, covered: end }
}

/// Those of these ordinals that lie in a range.
fn within<'a>(ordinals: &'a [u32], range: &Range<u32>) -> &'a [u32] {
    let start = ordinals.partition_point(|&o| o < range.start);
    &ordinals[start..ordinals.partition_point(|&o| o < range.end)]
}

/// Where the topics stand that patterns can match: those that begin as a pattern does before its
/// first wildcard. In order, none in two of them.
fn stretches(names: &[Topic], patterns: &[Pattern]) -> Vec<Range<usize>> {
    let stretch = |pattern: &Pattern| {
        // What is written otherwise may match any topic.
        let literal = if pattern.has_segments() { literal_beginning(pattern.as_str()) } else { "" };
        let start = names.partition_point(|name| name.as_str() < literal);
        let begins = |name: &Topic| name.as_str().starts_with(literal);
        start..start + names[start..].partition_point(begins)
    };
    let mut stretches: Vec<_> = patterns.iter().map(stretch).collect();
    stretches.retain(|stretch| !stretch.is_empty());
    stretches.sort_unstable_by_key(|stretch| stretch.start);
    stretches.dedup_by(|next, before| {
        let meets = next.start <= before.end;
        if meets {
            before.end = before.end.max(next.end);
        }
        meets
    });
    stretches
}

/// What every topic begins with that a pattern matches. `orders/**` matches `orders` too.
fn literal_beginning(pattern: &str) -> &str {
    let wildcard = pattern.find('*').unwrap_or(pattern.len());
    let literal = &pattern[..wildcard];
    literal.strip_suffix('/').unwrap_or(literal)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fanfare_event::{Beginning, Expression, Position, Selector, Timestamp};
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b/1", "b/2", "c", "d"];

    /// Every topic that ends so.
    #[derive(Debug)]
    struct Ending(&'static str);

    impl Expression for Ending {
        fn as_str(&self) -> &str {
            "ending of topics"
        }

        fn matches(&self, topic: &Topic) -> bool {
            topic.as_str().ends_with(self.0)
        }

        fn beginning(&self) -> Beginning<'_> {
            Beginning::unknown()
        }

        fn footprint(&self) -> usize {
            0
        }
    }

    #[test]
    fn what_an_expression_matches_is_looked_for_where_it_is_written() {
        let mut index = Index::new(Position::new(1, 1), 52);
        for name in ["a", "a", "b/1", "a", "c", "a", "a", "a", "a", "a", "a", "a"] {
            index.push(&Topic::parse(name).unwrap(), 40, Timestamp(1));
        }
        index.close();
        let ending = Pattern::of_expression(Arc::new(Ending("1")));
        let wanted = Selector::of(Vec::new(), vec![ending]).unwrap().topics;
        assert_eq!(select(&index, &wanted, 0..12, 10, 100).ordinals, [2]);
    }

    proptest! {
        /// Against a plain scan; going on from where a selection ends finds everything once.
        #[test]
        fn selecting_page_by_page_finds_what_a_scan_finds(
            records in prop::collection::vec(prop_oneof![8 => 0_usize..5, 1 => Just(9)], 1..300),
            wanted in prop::collection::vec(
                prop_oneof![
                    "a", "b/1", "b/\\*", "c", "x", "\\*\\*", "\\*/1", "b/1/\\*\\*"], 1..3),
            most in 1_usize..40,
            compared in prop_oneof![0_usize..5, Just(100)],
            close: bool,
        ) {
            let mut index = Index::new(Position::new(1, 1), 52);
            for &record in &records {
                match NAMES.get(record) {
                    Some(name) => index.push(&Topic::parse(name).unwrap(), 40, Timestamp(1)),
                    None => index.push_lost(1, 33),
                }
            }
            if close {
                index.close();
            }
            let selector = Selector::parse(wanted.iter().map(String::as_str), []).unwrap().topics;
            let is_wanted = |o: u32| NAMES.get(records[o as usize])
                .is_none_or(|name| selector.matches(&Topic::parse(name).unwrap()));
            let (mut at, mut found) = (0, Vec::new());
            while at < index.count() {
                let page = select(&index, &selector, at..index.count(), most, compared);
                prop_assert!(page.covered > at && page.ordinals.len() <= most.max(1));
                prop_assert!(page.ordinals.iter().all(|o| (at..page.covered).contains(o)));
                found.extend(page.ordinals.into_iter().filter(|&o| is_wanted(o)));
                at = page.covered;
            }
            // Of a stretch of lost records the first stands for all.
            let begins = |o: u32| index.lost_with(o).is_none_or(|lost| lost.start == o);
            found.retain(|&o| begins(o));
            let expected: Vec<_> =
                (0..index.count()).filter(|&o| is_wanted(o) && begins(o)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn topics_are_compared_by_literal_beginning() {
        let mut index = Index::new(Position::new(1, 1), 52);
        for name in ["a", "orders", "orders-old", "orders/1", "orders/2", "p/1", "z"] {
            index.push(&Topic::parse(name).unwrap(), 40, Timestamp(1));
        }
        index.close();
        let compared = |patterns: &[&str]| {
            let selector = Selector::parse(patterns.iter().copied(), []).unwrap();
            comparisons(&index, &selector.topics)
        };
        assert_eq!(compared(&["orders/**"]), 4);
        assert_eq!(compared(&["orders/1/*"]), 1);
        assert_eq!(compared(&["orders/*", "orders/**", "p/*"]), 3 * 5);
        assert_eq!(compared(&["*/1"]), 7);
        assert_eq!(compared(&["**"]), 0, "it is no question");
        assert_eq!(compared(&["a", "z"]), 0);
    }

    #[test]
    fn a_pattern_with_too_many_topics_skips_comparing() {
        let mut index = Index::new(Position::new(1, 1), 52);
        for n in 0..1000 {
            index.push(&Topic::parse(&format!("users/{n}/news")).unwrap(), 40, Timestamp(1));
        }
        index.close();
        let selector = Selector::parse(["*/7/news"], []).unwrap().topics;
        let found = select(&index, &selector, 0..1000, 10, 1000);
        assert_eq!((found.ordinals.as_slice(), found.covered), ([7].as_slice(), 1000));
        let bounded = select(&index, &selector, 0..1000, 10, 999);
        assert_eq!((bounded.ordinals, bounded.covered), ((0..10).collect(), 10));
    }
}
