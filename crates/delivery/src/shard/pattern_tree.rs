//! A pattern tree: the patterns that are found in one place, by their segments behind it.
//!
//! What must hold: it finds the patterns for which [`Pattern::matches`](fanfare_event::Pattern::matches) says yes, and
//! goes through each of its nodes at most once for an event, however the patterns are written: a node is met with all
//! places of the topic at once up to which the segments before it may reach, and not at all where the topic lacks what
//! all patterns below it ask. A walk can stop before any node, and go on there later. Nodes are as many as patterns, or
//! twice as many.

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

/// How many times as many as there are a table may have room for.
const SPARE: usize = 4;

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
        walk.count_node();
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
            walk.find(self.members.keys().len());
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
        self.literals.each_among(topic, before, first, walk, |number, child, walk| {
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

    /// Calls `each` for those whose segments stand behind one of these places, in the order of their numbers, from
    /// `first` on.
    pub(super) fn each_among<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        places: Places<W>,
        first: u32,
        walk: &mut TreeWalk,
        mut each: impl FnMut(u32, &PatternTree, &mut TreeWalk) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Few(few) if few.len() < places.count() => {
                walk.compare(few.len());
                for (number, tree) in few.iter().filter(|(number, _)| *number >= first) {
                    if !places.and(topic.places_of(*number)).is_empty() {
                        each(*number, tree, walk)?;
                    }
                }
            }
            Self::Few(few) if few.is_empty() => {}
            _ => {
                for number in topic.known_among(places).into_iter().filter(|it| *it >= first) {
                    match self {
                        Self::Few(_) => walk.compare(1),
                        Self::Many(_) => walk.look_up(1),
                    }
                    if let Some(tree) = self.get(number) {
                        each(number, tree, walk)?;
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
            Self::Few(few) => {
                few.retain(|(other, _)| *other != number);
                if few.capacity() > 2 * few.len() {
                    few.shrink_to_fit();
                }
            }
            Self::Many(many) => {
                many.remove(&number);
                // Not at once, for the next may be here soon.
                if many.len() <= FEW / 2 {
                    let mut few: Vec<_> = many.drain().collect();
                    few.sort_unstable_by_key(|(number, _)| *number);
                    *self = Self::Few(few);
                } else if many.capacity() > SPARE * many.len() {
                    // Half as much again may come before it grows, and half may go before it shrinks.
                    many.shrink_to(SPARE / 2 * many.len());
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
mod tests;
