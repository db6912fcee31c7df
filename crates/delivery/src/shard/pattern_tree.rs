//! A pattern tree: the patterns that are found in one place, by their segments behind it.
//!
//! What must hold: it finds the patterns for which [`Pattern::matches`](fanfare_event::Pattern::matches) says yes, and
//! goes through each of its nodes at most once for an event, however the patterns are written: a node is met with all
//! places of the topic at once up to which the segments before it may reach, and not at all where the topic lacks what all
//! patterns below it ask. A walk can stop before any node, and go on there later. Nodes are as many as patterns, or twice
//! as many.

use std::collections::HashMap;
use std::ops::ControlFlow;

use fanfare_event::{Places, SpreadTopic};
use smallvec::{SmallVec, smallvec};

use super::demands::Demands;
use super::members::Members;
use super::segments::{ANY, DEEP};
use super::tree_walk::{Left, TreeWalk};

/// How many children are a list; more are a table.
const FEW: usize = 16;

/// A node, with all below it. A tree is the node at its top.
#[derive(Debug, Default)]
pub(super) struct PatternTree {
    /// The segments between the node above and this one.
    label: Box<[u32]>,
    /// What the pattern that ends here and all below ask, each of them.
    demands: Demands,
    /// The subscribers of the pattern that ends here.
    members: Members,
    /// Those that go on with `**`, with `*`, and with literal text.
    deep: Option<Box<Self>>,
    any: Option<Box<Self>>,
    literals: Literals,
}

/// Trees by a literal segment: of children, the first of their labels.
#[derive(Debug)]
pub(super) enum Literals {
    /// Sorted.
    Few(Vec<(u32, Box<PatternTree>)>),
    #[expect(clippy::box_collection, reason = "nodes are many, and tables few")]
    Many(Box<HashMap<u32, Box<PatternTree>>>),
}

/// A topic as trees are asked about it.
pub(super) struct AskedTopic<'a, const W: usize> {
    topic: &'a SpreadTopic<u32, W>,
    has: Demands,
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

    /// Whether the pattern with these segments is there.
    pub(super) fn holds(&self, segments: &[u32]) -> bool {
        match segments.strip_prefix(&*self.label) {
            None => false,
            Some([]) => !self.members.keys().is_empty(),
            Some(rest) => self.child(rest[0]).is_some_and(|child| child.holds(rest)),
        }
    }

    /// Adds a pattern that is not there.
    pub(super) fn insert(&mut self, segments: &[u32], members: Members) {
        self.insert_below(segments, Demands::of_pattern(segments), members);
    }

    fn insert_below(&mut self, segments: &[u32], demands: Demands, members: Members) {
        let leaf = |label: &[u32]| Self { label: label.into(), demands, ..Self::default() };
        if self.is_empty() {
            *self = Self { members, ..leaf(segments) };
            return;
        }
        let same = self.label.iter().zip(segments).take_while(|(a, b)| a == b).count();
        if same < self.label.len() {
            let (label, below) = self.label.split_at(same);
            let (label, below): (Box<[u32]>, Box<[u32]>) = (label.into(), below.into());
            let below = Self { label: below, ..std::mem::take(self) };
            self.label = label;
            self.demands = below.demands;
            self.add_child(Box::new(below));
        }
        self.demands = self.demands.and(demands);
        match &segments[same..] {
            [] => self.members = members,
            rest => match self.child_mut(rest[0]) {
                Some(child) => child.insert_below(rest, demands, members),
                None => self.add_child(Box::new(Self { members, ..leaf(rest) })),
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

    /// Calls `visit` for the subscribers of each pattern that matches, behind so many segments of the topic, until the
    /// walk is to stop. It is the tree of `anchor` there.
    pub(super) fn visit<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        behind: usize,
        anchor: u32,
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        let Some(from) = walk.begin((behind, anchor)) else { return ControlFlow::Continue(()) };
        let stopped = self.walk(topic, Places::only(behind), &from, walk, visit);
        if stopped.is_break() {
            walk.stop_in((behind, anchor));
        }
        stopped
    }

    fn walk<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        mut reached: Places<W>,
        from: &[u32],
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        let left = match Left::of(&self.label, from) {
            Left::All => {
                if walk.is_due() {
                    walk.stop_below(&self.label);
                    return ControlFlow::Break(());
                }
                &[]
            }
            Left::Below(left) => left,
            Left::Nothing => return ControlFlow::Continue(()),
        };
        walk.meet_node();
        if !self.demands.are_met_by(topic.has) {
            return ControlFlow::Continue(());
        }
        for (segment, steps) in self.label.iter().zip(1..) {
            reached = match *segment {
                DEEP => topic.topic.over_many(reached),
                one => reached.and(topic.places_of(one)).next(),
            };
            if reached.is_empty() {
                walk.compare(steps);
                return ControlFlow::Continue(());
            }
        }
        walk.compare(self.label.len());
        let ends_here = left.is_empty() && topic.topic.ends_at(reached);
        if ends_here && !self.members.keys().is_empty() {
            visit(&self.members);
        }
        let stopped = self.walk_children(topic, reached, left, walk, visit);
        if stopped.is_break() {
            walk.stop_below(&self.label);
        }
        stopped
    }

    /// Walks the children in the order of their segments' numbers.
    fn walk_children<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        reached: Places<W>,
        from: &[u32],
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        let first = from.first().copied().unwrap_or(ANY);
        // Below those that come behind the first, everything is left.
        let of = |number| if number == first { from } else { &[] };
        if let Some(child) = &self.any
            && first == ANY
        {
            child.walk(topic, reached, from, walk, visit)?;
        }
        let before = topic.topic.before_known(reached);
        self.literals.each_among(topic, before, |number, child| {
            if number < first {
                return ControlFlow::Continue(());
            }
            child.walk(topic, reached, of(number), walk, visit)
        })?;
        match &self.deep {
            Some(child) => child.walk(topic, reached, of(DEEP), walk, visit),
            None => ControlFlow::Continue(()),
        }
    }

    fn is_leaf(&self) -> bool {
        self.deep.is_none() && self.any.is_none() && self.literals.is_empty()
    }

    fn child(&self, first: u32) -> Option<&Self> {
        match first {
            DEEP => self.deep.as_deref(),
            ANY => self.any.as_deref(),
            literal => self.literals.get(literal),
        }
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

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` for those whose segments stand behind one of these places, in the order of their numbers.
    pub(super) fn each_among<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        places: Places<W>,
        mut each: impl FnMut(u32, &PatternTree) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Few(few) if few.len() < places.count() => {
                for (number, tree) in few {
                    if !places.and(topic.places_of(*number)).is_empty() {
                        each(*number, tree)?;
                    }
                }
            }
            Self::Few(few) if few.is_empty() => {}
            _ => {
                for number in topic.known_among(places) {
                    if let Some(tree) = self.get(number) {
                        each(number, tree)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    pub(super) fn get(&self, number: u32) -> Option<&PatternTree> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                Some(&few[at].1)
            }
            Self::Many(many) => many.get(&number).map(Box::as_ref),
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Box<PatternTree>> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by_key(&number, |(number, _)| *number).ok()?;
                Some(&mut few[at].1)
            }
            Self::Many(many) => many.get_mut(&number),
        }
    }

    /// Adds one that is not there.
    pub(super) fn insert(&mut self, number: u32, child: Box<PatternTree>) {
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

    pub(super) fn remove(&mut self, number: u32) {
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
    pub(super) fn new(
        topic: &'a SpreadTopic<u32, W>,
        has: Demands,
        marks: &'a mut Vec<u16>,
        end: usize,
    ) -> Self {
        if marks.len() < end {
            marks.resize(end, 0);
        }
        let mut places = smallvec![Places::NONE, topic.before_any()];
        marks[ANY as usize] = 1;
        for (number, of_it) in topic.known() {
            marks[*number as usize] = places.len() as u16;
            places.push(*of_it);
        }
        Self { topic, has, places, marks }
    }

    /// The places before segments that patterns name.
    pub(super) fn before_known(&self) -> Places<W> {
        self.topic.before_known(self.topic.before_any())
    }

    /// The segments that stand behind these places, in order, each once.
    fn known_among(&self, mut places: Places<W>) -> SmallVec<[u32; 8]> {
        let mut numbers = SmallVec::new();
        while let Some(place) = places.lowest() {
            let (number, of_it) = self.topic.known_at(place);
            places = places.without(of_it);
            numbers.push(number);
        }
        numbers.sort_unstable();
        numbers
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
        let mut visit =
            |members: &Members| all.extend(members.keys().iter().map(|key| key.entry()));
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
        fn a_tree_disagrees_with_its_patterns(
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
        fn a_walk_that_stops_misses_a_pattern_or_meets_it_twice(
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
    fn an_event_is_held_against_every_pattern_that_begins_alike() {
        let (mut tree, mut segments) = tree_of((0..1000).map(|n| format!("*/user/{n}")));
        let topic = Topic::parse("eu/user/7").unwrap();
        let (all, work) = found(&mut tree, &mut segments, &topic, usize::MAX);
        assert!(all.len() == 1 && work < 5 * TreeWalk::NODE, "{all:?} of {work}");
        let elsewhere = Topic::parse("eu/order/7").unwrap();
        let (all, work) = found(&mut tree, &mut segments, &elsewhere, usize::MAX);
        assert!(all.is_empty() && work < 5 * TreeWalk::NODE, "{all:?} of {work}");
    }

    #[test]
    fn a_deep_pattern_is_walked_again_from_each_segment() {
        let word =
            |n: usize| (0..10).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
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
    fn a_pattern_is_met_again_when_its_node_has_grown_meanwhile() {
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
    fn patterns_that_ask_what_a_topic_lacks_are_walked() {
        let word =
            |n: usize| (0..10).map(|bit| ["a", "*"][n >> bit & 1]).collect::<Vec<_>>().join("/");
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
}
