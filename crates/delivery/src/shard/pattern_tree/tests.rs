use std::collections::BTreeSet;

use fanfare_event::{Pattern, Topic};
use proptest::prelude::*;

use super::super::segments::{Segments, is_named, named};
use super::*;
use crate::subscriber_key::SubscriberKey;

/// Which patterns match, by their number, where a walk stops after so much and `between` comes before it goes on; and
/// what the parts of it took.
fn found_in_parts(
    (tree, segments): (&mut PatternTree, &mut Segments),
    topic: &Topic,
    limit: usize,
    mut between: impl FnMut(&mut PatternTree, &mut Segments),
) -> (Vec<usize>, Vec<usize>) {
    let (mut all, mut parts, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    let mut visit = |members: &Members| all.extend(members.keys().iter().map(|key| key.entry()));
    let mut walk = TreeWalk::default();
    loop {
        walk.go_on(limit);
        let numbers = segments.of_topic(topic);
        let (has, end) = (Demands::of_topic(&numbers, is_named), segments.end());
        let stopped = match numbers.len() {
            0..64 => {
                let spread = SpreadTopic::<_, 1>::new(named(&numbers));
                let asked = AskedTopic::new(&spread, has, &mut marks, end);
                tree.visit(&asked, 0, ANY, &mut walk, &mut visit)
            }
            _ => {
                let spread = SpreadTopic::<_, 5>::new(named(&numbers));
                let asked = AskedTopic::new(&spread, has, &mut marks, end);
                tree.visit(&asked, 0, ANY, &mut walk, &mut visit)
            }
        };
        assert!(marks[1..].iter().all(|mark| *mark == 0) && marks[0] <= 1);
        parts.push(walk.work());
        if stopped.is_continue() {
            return (all, parts);
        }
        between(tree, segments);
    }
}

/// The patterns that match, by their number, each found once; and how much work that was.
fn found(
    tree: &mut PatternTree,
    segments: &mut Segments,
    topic: &Topic,
    limit: usize,
) -> (BTreeSet<usize>, usize) {
    let (all, parts) = found_in_parts((tree, segments), topic, limit, |_, _| {});
    let once: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(once.len(), all.len(), "each once");
    (once, parts.iter().sum())
}

fn remove(tree: &mut PatternTree, segments: &mut Segments, pattern: &Pattern) {
    let known = segments.known(pattern.segments()).unwrap();
    assert!(tree.get_mut(&known).unwrap().leave(|_| false));
    tree.prune(&known);
    segments.forget(pattern.segments());
}

fn add(tree: &mut PatternTree, segments: &mut Segments, pattern: &Pattern, n: usize) {
    let taken = segments.take(pattern.segments());
    tree.insert(&taken, Members::of(SubscriberKey::new(n, 1)));
}

fn nodes(tree: &PatternTree) -> usize {
    let literals: usize = match &tree.literals {
        Literals::Few(few) => few.iter().map(|(_, child)| nodes(child)).sum(),
        Literals::Many(many) => many.values().map(|child| nodes(child)).sum(),
    };
    let others: usize =
        [&tree.deep, &tree.any].into_iter().flatten().map(|child| nodes(child)).sum();
    1 + literals + others
}

/// Of few or of many names, so that children are lists and tables.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "*", "**", ""]).prop_map(str::to_owned),
        1 => (0..40_u8).prop_map(|n| n.to_string()),
    ]
}

/// As ordinary ones are written, or so that many agree with a topic almost to their end.
fn pattern() -> impl Strategy<Value = String> {
    let word = |most| {
        prop::collection::vec(prop::sample::select(vec!["a", "a", "*", "*", "b"]), 1..most)
            .prop_map(|segments| segments.join("/"))
    };
    let end = prop::sample::select(vec!["b/b", "a/b", "b", "**", "a", "*"]);
    prop_oneof![
        2 => prop::collection::vec(segment(), 1..8).prop_map(|segments| segments.join("/")),
        1 => (word(12), word(20), end.clone()).prop_map(|(one, two, end)| {
            format!("**/{one}/**/{two}/**/{end}")
        }),
        1 => (word(30), end).prop_map(|(word, end)| format!("*/{word}/{end}")),
    ]
}

/// Ordinary ones, or of one letter almost throughout.
fn name() -> impl Strategy<Value = String> {
    let letter = prop::sample::select(vec!["a", "a", "a", "b"]).prop_map(str::to_owned);
    prop_oneof![prop::collection::vec(segment(), 1..90), prop::collection::vec(letter, 1..90),]
        .prop_map(|segments| segments.join("/"))
}

fn parsed(patterns: &[String], names: &[String]) -> (Vec<Pattern>, Vec<Topic>) {
    let patterns: BTreeSet<_> =
        patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
    let topics = names.iter().filter_map(|name| Topic::parse(name).ok());
    (patterns.into_iter().collect(), topics.collect())
}

proptest! {
    #[test]
    fn a_tree_agrees_with_its_patterns(
        patterns in prop::collection::vec(pattern(), 1..120),
        names in prop::collection::vec(name(), 1..12),
        leavers in prop::collection::vec(any::<bool>(), 120),
        limit in 0..40_usize,
    ) {
        let (patterns, topics) = parsed(&patterns, &names);
        let (mut tree, mut segments) = (PatternTree::default(), Segments::default());
        for (n, pattern) in patterns.iter().enumerate() {
            prop_assert!(segments.known(pattern.segments()).is_none_or(|k| tree.get_mut(&k).is_none()));
            add(&mut tree, &mut segments, pattern, n);
        }
        let mut there: BTreeSet<_> = (0..patterns.len()).collect();
        for round in 0..2 {
            prop_assert!(nodes(&tree) <= 1 + 2 * there.len());
            for topic in &topics {
                let wanted: BTreeSet<_> =
                    there.iter().copied().filter(|n| patterns[*n].matches(topic)).collect();
                for limit in [usize::MAX, limit] {
                    let (all, _) = found(&mut tree, &mut segments, topic, limit);
                    prop_assert_eq!(&all, &wanted, "{}, in parts of {}", topic, limit);
                }
            }
            for (n, pattern) in patterns.iter().enumerate() {
                if (round == 1 || leavers[n]) && there.remove(&n) {
                    remove(&mut tree, &mut segments, pattern);
                    prop_assert_eq!(tree.is_empty(), there.is_empty());
                }
            }
        }
        prop_assert!(tree.is_empty() && segments.is_empty());
    }

    #[test]
    fn a_walk_that_stops_meets_each_pattern_once(
        patterns in prop::collection::vec(pattern(), 1..60),
        name in name(),
        fickle in prop::collection::vec(any::<bool>(), 60),
        turns in prop::collection::vec(0..60_usize, 1..60),
        limit in 0..30_usize,
    ) {
        let (patterns, topics) = parsed(&patterns, &[name]);
        let Some(topic) = topics.first() else { return Ok(()) };
        let (mut tree, mut segments) = (PatternTree::default(), Segments::default());
        patterns.iter().enumerate().for_each(|(n, p)| add(&mut tree, &mut segments, p, n));
        let mut gone = BTreeSet::new();
        let mut turns = turns.iter();
        let (all, _) = found_in_parts((&mut tree, &mut segments), topic, limit, |tree, segments| {
            // Others come and go.
            for n in turns.by_ref().take(3).map(|n| n % patterns.len()).filter(|n| fickle[*n]) {
                if gone.remove(&n) {
                    add(tree, segments, &patterns[n], n);
                } else {
                    remove(tree, segments, &patterns[n]);
                    gone.insert(n);
                }
            }
        });
        for (n, pattern) in patterns.iter().enumerate().filter(|(n, _)| !fickle[*n]) {
            let times = all.iter().filter(|found| **found == n).count();
            prop_assert_eq!(times, usize::from(pattern.matches(topic)), "{}", pattern);
        }
    }
}

/// A tree of these, and its segments.
fn tree_of(patterns: impl Iterator<Item = String>) -> (PatternTree, Segments) {
    let (mut tree, mut segments) = (PatternTree::default(), Segments::default());
    for (n, pattern) in patterns.enumerate() {
        let taken = segments.take(pattern.split('/'));
        tree.insert(&taken, Members::of(SubscriberKey::new(n, 1)));
    }
    (tree, segments)
}

#[test]
fn an_event_skips_patterns_that_cannot_match() {
    let (mut tree, mut segments) = tree_of((0..1000).map(|n| format!("*/user/{n}")));
    let topic = Topic::parse("eu/user/7").unwrap();
    let (all, work) = found(&mut tree, &mut segments, &topic, usize::MAX);
    assert!(all.len() == 1 && work < 5 * TreeWalk::NODE, "{all:?} of {work}");
    let elsewhere = Topic::parse("eu/order/7").unwrap();
    let (all, work) = found(&mut tree, &mut segments, &elsewhere, usize::MAX);
    assert!(all.is_empty() && work < 5 * TreeWalk::NODE, "{all:?} of {work}");
}

#[test]
fn a_deep_pattern_is_walked_in_bounded_parts() {
    let word = |n: usize| (0..10).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
    let patterns = (0..1024).map(|n| format!("**/{0}/**/{0}/**/b/*/*/b/**", word(n)));
    let (mut tree, mut segments) = tree_of(patterns);
    let most = 1024 * (2 * TreeWalk::NODE + 28);
    let topic = Topic::parse(&("a/".repeat(100) + "b/a/b/a/a/a")).unwrap();
    let (all, work) = found(&mut tree, &mut segments, &topic, usize::MAX);
    assert!(all.is_empty() && work > 1024 && work <= most, "{all:?} of {work}, at most {most}");
    // A part may exceed its limit by a node, and goes over those above the first once more.
    let (_, parts) = found_in_parts((&mut tree, &mut segments), &topic, 5000, |_, _| {});
    assert!(parts.len() > 8 && parts.iter().all(|part| *part < 6000), "{parts:?}");
}

#[test]
fn a_pattern_is_met_once_though_its_node_grows() {
    let (mut tree, mut segments) = tree_of(["**/a/a", "**/a/b"].map(str::to_owned).into_iter());
    let topic = Topic::parse("a/b/a/a").unwrap();
    let mut stops = 0;
    let (all, _) = found_in_parts((&mut tree, &mut segments), &topic, 0, |tree, segments| {
        stops += 1;
        // It stopped before the second; without that one there is a single node.
        if stops == 2 {
            remove(tree, segments, &Pattern::parse("**/a/b").unwrap());
        }
    });
    assert_eq!((all, stops), (vec![0], 2));
}

#[test]
fn patterns_a_topic_cannot_meet_are_skipped() {
    let word = |n: usize| (0..10).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
    for (end, topic) in [
        ("b/b", "a/".repeat(100) + "b/a/b"),
        ("**/b/**/b/**", "a/".repeat(100) + "b/a/a/a"),
        ("*/b/*", "a/".repeat(100) + "b"),
        ("c/**", "a/".repeat(100) + "b"),
        ("b/**/a", "a/".repeat(100) + "b"),
        ("**/c/**/b/**", "a/".repeat(100) + "b/a/c/a"),
    ] {
        let patterns = (0..1024).map(|n| format!("**/{}/{end}", word(n)));
        let (mut tree, mut segments) = tree_of(patterns);
        // Of another pattern, so that a topic with it differs.
        segments.take(["b", "c"].into_iter());
        let topic = Topic::parse(&topic).unwrap();
        let (all, work) = found(&mut tree, &mut segments, &topic, usize::MAX);
        assert!(all.is_empty() && work < 2 * TreeWalk::NODE, "{end}: {all:?} of {work}");
    }
}

/// For how many children the tables of a tree have room.
fn room(tree: &PatternTree) -> usize {
    match &tree.literals {
        Literals::Few(few) => {
            few.capacity() + few.iter().map(|(_, child)| room(child)).sum::<usize>()
        }
        Literals::Many(many) => {
            many.capacity() + many.values().map(|child| room(child)).sum::<usize>()
        }
    }
}

#[test]
fn a_table_frees_the_room_of_removed_ones() {
    let (mut tree, mut segments) = tree_of((0..4000).map(|n| format!("*/{n}")));
    for left in (2..4000).rev() {
        remove(&mut tree, &mut segments, &Pattern::parse(&format!("*/{left}")).unwrap());
        let room = room(&tree);
        assert!(room <= SPARE * left, "room for {room}, of which {left} are taken");
    }
}

#[test]
fn what_is_looked_up_in_vain_is_counted() {
    let (mut tree, mut segments) = tree_of((0..1000).map(|n| format!("**/{n}")));
    // Of other patterns, elsewhere.
    let names: Vec<_> = (0..60).map(|n| format!("o{n}")).collect();
    segments.take(names.iter().map(String::as_str));
    let topic = Topic::parse(&names.join("/")).unwrap();
    let (all, work) = found(&mut tree, &mut segments, &topic, usize::MAX);
    assert!(all.is_empty() && work > 60, "{all:?} of {work}");
}
