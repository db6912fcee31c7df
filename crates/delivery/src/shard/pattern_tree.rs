//! A pattern tree: the patterns that are found in one place, by their segments behind it.
//!
//! What must hold: it finds the patterns for which [`Pattern::matches`](fanfare_event::Pattern::matches) says yes, and
//! goes through each of its nodes at most once for an event, however the patterns are written: a node is met with all
//! places of the topic at once up to which the segments before it may reach. Nodes are as many as patterns, or twice as
//! many.

use std::collections::HashMap;

use fanfare_event::{Places, SpreadTopic};
use smallvec::{SmallVec, smallvec};

use super::members::Members;
use super::segments::{ANY, DEEP};

/// How many children are a list; more are a table.
const FEW: usize = 16;

/// A node, with all below it. A tree is the node at its top.
#[derive(Debug, Default)]
pub(super) struct PatternTree {
    /// The segments between the node above and this one.
    label: Box<[u32]>,
    /// The subscribers of the pattern that ends here.
    members: Members,
    /// Those that go on with `**`, with `*`, and with literal text.
    deep: Option<Box<Self>>,
    any: Option<Box<Self>>,
    literals: Literals,
}

/// Children by the first segment of their labels.
#[derive(Debug)]
enum Literals {
    /// Sorted.
    Few(Vec<(u32, Box<PatternTree>)>),
    #[expect(clippy::box_collection, reason = "nodes are many, and tables few")]
    Many(Box<HashMap<u32, Box<PatternTree>>>),
}

/// A topic as trees are asked about it.
pub(super) struct AskedTopic<'a, const W: usize> {
    topic: &'a SpreadTopic<u32, W>,
    /// Before which places a segment stands: none that the topic has, `*`, and each that it has.
    places: SmallVec<[Places<W>; 8]>,
    /// By the number of a segment, which of these it is.
    marks: &'a mut [u16],
}

impl PatternTree {
    /// The subscribers of the pattern with these segments, if it is there.
    pub(super) fn get_mut(&mut self, segments: &[u32]) -> Option<&mut Members> {
        match segments.strip_prefix(&*self.label)? {
            [] => Some(&mut self.members).filter(|members| !members.keys().is_empty()),
            rest => self.child_mut(rest[0])?.get_mut(rest),
        }
    }

    /// Adds a pattern that is not there.
    pub(super) fn insert(&mut self, segments: &[u32], members: Members) {
        if self.is_empty() {
            *self = Self { label: segments.into(), members, ..Self::default() };
            return;
        }
        let same = self.label.iter().zip(segments).take_while(|(a, b)| a == b).count();
        if same < self.label.len() {
            let (label, below) = self.label.split_at(same);
            let (label, below): (Box<[u32]>, Box<[u32]>) = (label.into(), below.into());
            let below = Self { label: below, ..std::mem::take(self) };
            self.label = label;
            self.add_child(Box::new(below));
        }
        match &segments[same..] {
            [] => self.members = members,
            rest => match self.child_mut(rest[0]) {
                Some(child) => child.insert(rest, members),
                None => {
                    let leaf = Self { label: rest.into(), members, ..Self::default() };
                    self.add_child(Box::new(leaf));
                }
            },
        }
    }

    /// Tidies up behind a pattern of which nobody is left; whether nothing is left of the whole.
    pub(super) fn prune(&mut self, segments: &[u32]) -> bool {
        if let Some(&[first, ..]) = segments.strip_prefix(&*self.label) {
            let rest = &segments[self.label.len()..];
            if self.child_mut(first).is_some_and(|child| child.prune(rest)) {
                self.remove_child(first);
            }
        }
        if self.members.keys().is_empty()
            && let Some(mut only) = self.take_only_child()
        {
            only.label = self.label.iter().chain(&only.label).copied().collect();
            *self = *only;
        }
        self.is_empty()
    }

    /// Whether there is no pattern here, nor below.
    pub(super) fn is_empty(&self) -> bool {
        self.members.keys().is_empty() && self.is_leaf()
    }

    /// Calls `visit` for the subscribers of each pattern that matches, behind so many segments of the topic. Returns
    /// how much work that was: a node, or a segment of one.
    pub(super) fn visit<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        behind: usize,
        visit: &mut impl FnMut(&Members),
    ) -> usize {
        let mut work = 0;
        self.walk(topic, Places::only(behind), visit, &mut work);
        work
    }

    fn walk<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        mut reached: Places<W>,
        visit: &mut impl FnMut(&Members),
        work: &mut usize,
    ) {
        *work += 1;
        for segment in &self.label {
            *work += 1;
            reached = match *segment {
                DEEP => topic.topic.over_many(reached),
                one => reached.and(topic.places_of(one)).next(),
            };
            if reached.is_empty() {
                return;
            }
        }
        if topic.topic.ends_at(reached) && !self.members.keys().is_empty() {
            visit(&self.members);
        }
        for child in [&self.deep, &self.any].into_iter().flatten() {
            child.walk(topic, reached, visit, work);
        }
        let mut left = topic.topic.before_known(reached);
        match &self.literals {
            Literals::Few(few) if few.len() < left.count() => {
                for (number, child) in few {
                    if !left.and(topic.places_of(*number)).is_empty() {
                        child.walk(topic, reached, visit, work);
                    }
                }
            }
            literals => {
                while let Some(place) = left.lowest() {
                    let (number, places) = topic.topic.known_at(place);
                    left = left.without(places);
                    if let Some(child) = literals.get(number) {
                        child.walk(topic, reached, visit, work);
                    }
                }
            }
        }
    }

    fn is_leaf(&self) -> bool {
        self.deep.is_none() && self.any.is_none() && self.literals.len() == 0
    }

    fn child_mut(&mut self, first: u32) -> Option<&mut Box<Self>> {
        match first {
            DEEP => self.deep.as_mut(),
            ANY => self.any.as_mut(),
            literal => self.literals.get_mut(literal),
        }
    }

    fn add_child(&mut self, child: Box<Self>) {
        match child.label[0] {
            DEEP => self.deep = Some(child),
            ANY => self.any = Some(child),
            literal => self.literals.insert(literal, child),
        }
    }

    fn remove_child(&mut self, first: u32) {
        match first {
            DEEP => self.deep = None,
            ANY => self.any = None,
            literal => self.literals.remove(literal),
        }
    }

    /// The child, if there is exactly one.
    fn take_only_child(&mut self) -> Option<Box<Self>> {
        match (self.deep.is_some(), self.any.is_some(), self.literals.len()) {
            (true, false, 0) => self.deep.take(),
            (false, true, 0) => self.any.take(),
            (false, false, 1) => self.literals.take_first(),
            _ => None,
        }
    }
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Literals {
    fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    fn get(&self, number: u32) -> Option<&PatternTree> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                Some(&few[at].1)
            }
            Self::Many(many) => many.get(&number).map(Box::as_ref),
        }
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Box<PatternTree>> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                Some(&mut few[at].1)
            }
            Self::Many(many) => many.get_mut(&number),
        }
    }

    /// Adds one that is not there.
    fn insert(&mut self, number: u32, child: Box<PatternTree>) {
        match self {
            Self::Few(few) if few.len() < FEW => {
                let at = few.partition_point(|(other, _)| *other < number);
                few.reserve_exact(1);
                few.insert(at, (number, child));
            }
            Self::Few(few) => {
                let mut many: HashMap<_, _> = few.drain(..).collect();
                many.insert(number, child);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => drop(many.insert(number, child)),
        }
    }

    fn remove(&mut self, number: u32) {
        match self {
            Self::Few(few) => few.retain(|(other, _)| *other != number),
            Self::Many(many) => {
                many.remove(&number);
                // Not at once, for the next may be here soon.
                if many.len() <= FEW / 2 {
                    let mut few: Vec<_> = many.drain().collect();
                    few.sort_unstable_by_key(|(number, _)| *number);
                    *self = Self::Few(few);
                }
            }
        }
    }

    fn take_first(&mut self) -> Option<Box<PatternTree>> {
        match self {
            Self::Few(few) => few.pop().map(|(_, child)| child),
            // There are more than one.
            Self::Many(_) => None,
        }
    }
}

impl<'a, const W: usize> AskedTopic<'a, W> {
    /// A topic for trees in which every number of a segment is less than `end`. `marks` is room, of nothing but zeros.
    pub(super) fn new(topic: &'a SpreadTopic<u32, W>, marks: &'a mut Vec<u16>, end: usize) -> Self {
        if marks.len() < end {
            marks.resize(end, 0);
        }
        let mut places = smallvec![Places::NONE, topic.before_any()];
        marks[ANY as usize] = 1;
        for (number, of_it) in topic.known() {
            marks[*number as usize] = places.len() as u16;
            places.push(*of_it);
        }
        Self { topic, places, marks }
    }

    /// Before which places a segment stands, or `*`.
    fn places_of(&self, number: u32) -> Places<W> {
        self.places[usize::from(self.marks[number as usize])]
    }
}

impl<const W: usize> Drop for AskedTopic<'_, W> {
    fn drop(&mut self) {
        self.topic.known().for_each(|(number, _)| self.marks[*number as usize] = 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fanfare_event::{Pattern, Topic};
    use proptest::prelude::*;

    use super::super::segments::{Segments, named};
    use super::*;
    use crate::subscriber_key::SubscriberKey;

    /// The patterns that match, by their number, and how much work that was.
    fn found(tree: &PatternTree, segments: &Segments, topic: &Topic) -> (BTreeSet<usize>, usize) {
        let numbers = segments.of_topic(topic);
        let (mut all, mut times, mut marks) = (BTreeSet::new(), 0, Vec::new());
        let mut visit = |members: &Members| {
            times += members.keys().len();
            all.extend(members.keys().iter().map(|key| key.entry()));
        };
        let work = match numbers.len() {
            0..64 => {
                let spread = SpreadTopic::<_, 1>::new(named(&numbers));
                tree.visit(&AskedTopic::new(&spread, &mut marks, segments.end()), 0, &mut visit)
            }
            _ => {
                let spread = SpreadTopic::<_, 5>::new(named(&numbers));
                tree.visit(&AskedTopic::new(&spread, &mut marks, segments.end()), 0, &mut visit)
            }
        };
        assert_eq!(times, all.len(), "each once");
        assert!(marks.iter().all(|mark| *mark <= 1) && marks[1..].iter().all(|mark| *mark == 0));
        (all, work)
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

    /// Patterns of few or of many segments, so that children are lists and tables.
    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => prop::sample::select(vec!["a", "b", "*", "**", ""]).prop_map(str::to_owned),
            1 => (0..40_u8).prop_map(|n| n.to_string()),
        ]
    }

    proptest! {
        #[test]
        fn a_tree_disagrees_with_its_patterns(
            patterns in prop::collection::vec(prop::collection::vec(segment(), 1..8), 1..120),
            names in prop::collection::vec(prop::collection::vec(segment(), 1..90), 1..12),
            leavers in prop::collection::vec(any::<bool>(), 120),
        ) {
            let patterns: BTreeSet<_> =
                patterns.iter().filter_map(|p| Pattern::parse(&p.join("/")).ok()).collect();
            let patterns: Vec<_> = patterns.into_iter().collect();
            let topics: Vec<_> = names.iter().filter_map(|n| Topic::parse(&n.join("/")).ok()).collect();
            let (mut tree, mut segments) = (PatternTree::default(), Segments::default());
            for (n, pattern) in patterns.iter().enumerate() {
                prop_assert!(segments.known(pattern.segments()).is_none_or(|k| tree.get_mut(&k).is_none()));
                let taken = segments.take(pattern.segments());
                tree.insert(&taken, Members::of(SubscriberKey::new(n, 1)));
            }
            let mut there: BTreeSet<_> = (0..patterns.len()).collect();
            for round in 0..2 {
                prop_assert!(nodes(&tree) <= 1 + 2 * there.len());
                for topic in &topics {
                    let wanted: BTreeSet<_> =
                        there.iter().copied().filter(|n| patterns[*n].matches(topic)).collect();
                    prop_assert_eq!(found(&tree, &segments, topic).0, wanted, "{}", topic);
                }
                for (n, pattern) in patterns.iter().enumerate() {
                    if (round == 1 || leavers[n]) && there.remove(&n) {
                        let known = segments.known(pattern.segments()).unwrap();
                        prop_assert!(tree.get_mut(&known).unwrap().leave(|_| false));
                        prop_assert_eq!(tree.prune(&known), there.is_empty());
                        segments.forget(pattern.segments());
                    }
                }
            }
            prop_assert!(tree.is_empty() && segments.is_empty());
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
    fn an_event_is_held_against_every_pattern_that_begins_alike() {
        let (tree, segments) = tree_of((0..1000).map(|n| format!("*/user/{n}")));
        let topic = Topic::parse("eu/user/7").unwrap();
        let (all, work) = found(&tree, &segments, &topic);
        assert!(all.len() == 1 && work < 10, "{all:?} of {work}");
        let elsewhere = Topic::parse("eu/order/7").unwrap();
        let (all, work) = found(&tree, &segments, &elsewhere);
        assert!(all.is_empty() && work < 10, "{all:?} of {work}");
    }

    #[test]
    fn a_deep_pattern_is_walked_again_from_each_segment() {
        let word =
            |n: usize| (0..10).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
        let patterns = (0..1024).map(|n| format!("**/{0}/**/{0}/**/b/b", word(n)));
        let (tree, segments) = tree_of(patterns);
        let most = (1..=1024).map(|_| 1 + 25).sum::<usize>() + 1024;
        let topic = Topic::parse(&("a/".repeat(126) + "a/b")).unwrap();
        let (all, work) = found(&tree, &segments, &topic);
        assert!(all.is_empty() && work <= most, "{all:?} of {work}, at most {most}");
    }
}
