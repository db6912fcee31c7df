//! Pattern trees: the patterns with one literal beginning, by a segment behind it that few of them name.
//!
//! What must hold: each pattern is in one tree, that of a literal segment that it has, if it has a rare one; a topic
//! without that segment is not held against it. Those without share a tree, for what begins alike is walked once only
//! in one.

use std::ops::ControlFlow;

use super::members::Members;
use super::pattern_tree::{AskedTopic, Literals, PatternTree};
use super::segments::{ANY, DEEP};
use super::tree_walk::TreeWalk;
use crate::subscriber_key::SubscriberKey;

/// How often patterns name a segment that is rare.
const RARE: u32 = 16;

/// The patterns with one literal beginning.
#[derive(Debug, Default)]
pub(super) struct PatternTrees {
    /// Those that had no rare segment when they came.
    open: Option<Box<PatternTree>>,
    /// The others, by their rarest.
    anchored: Literals,
}

impl PatternTrees {
    /// The subscribers of the pattern with these segments, if it is there.
    pub(super) fn get_mut(&mut self, segments: &[u32]) -> Option<&mut Members> {
        let anchor = self.anchor_of(segments)?;
        self.tree_mut(anchor)?.get_mut(segments)
    }

    /// Adds a pattern that is not there; `uses` says how often patterns name a segment.
    pub(super) fn insert(&mut self, segments: &[u32], uses: impl Fn(u32) -> u32, members: Members) {
        let rarest = literals(segments).min_by_key(|number| (uses(*number), *number));
        let anchor = rarest.filter(|number| uses(*number) <= RARE).unwrap_or(ANY);
        if let Some(tree) = self.tree_mut(anchor) {
            return tree.insert(segments, members);
        }
        let mut tree = Box::<PatternTree>::default();
        tree.insert(segments, members);
        match anchor {
            ANY => self.open = Some(tree),
            anchor => self.anchored.insert(anchor, tree),
        }
    }

    /// Notes that a subscriber of a pattern has left; true when nobody remains, and the pattern has gone.
    pub(super) fn leave(
        &mut self,
        segments: &[u32],
        is_member: impl Fn(SubscriberKey) -> bool,
    ) -> bool {
        let Some(anchor) = self.anchor_of(segments) else { return false };
        let Some(tree) = self.tree_mut(anchor) else { return false };
        if !tree.get_mut(segments).is_some_and(|members| members.leave(is_member)) {
            return false;
        }
        if tree.prune(segments) {
            match anchor {
                ANY => self.open = None,
                anchor => self.anchored.remove(anchor),
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.anchored.is_empty()
    }

    /// Calls `visit` for the subscribers of each pattern that matches, behind so many segments of the topic, until the
    /// walk is to stop.
    pub(super) fn visit<const W: usize>(
        &self,
        topic: &AskedTopic<'_, W>,
        behind: usize,
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        if let Some(tree) = &self.open {
            tree.visit(topic, behind, ANY, walk, visit)?;
        }
        self.anchored.each_among(topic, topic.before_known(), ANY, walk, |anchor, tree, walk| {
            tree.visit(topic, behind, anchor, walk, visit)
        })
    }

    /// In which tree a pattern is.
    fn anchor_of(&self, segments: &[u32]) -> Option<u32> {
        let mut anchors: smallvec::SmallVec<[u32; 16]> = literals(segments).collect();
        anchors.sort_unstable();
        anchors.dedup();
        let holds = |anchor: &u32| self.anchored.get(*anchor).is_some_and(|t| t.holds(segments));
        let is_open = || self.open.as_ref().is_some_and(|tree| tree.holds(segments));
        anchors.into_iter().find(holds).or_else(|| is_open().then_some(ANY))
    }

    fn tree_mut(&mut self, anchor: u32) -> Option<&mut PatternTree> {
        match anchor {
            ANY => self.open.as_deref_mut(),
            anchor => self.anchored.get_mut(anchor).map(Box::as_mut),
        }
    }
}

fn literals(segments: &[u32]) -> impl Iterator<Item = u32> {
    segments.iter().copied().filter(|segment| !matches!(*segment, ANY | DEEP))
}
