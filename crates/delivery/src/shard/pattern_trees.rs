//! Pattern trees: the patterns with one literal beginning, by a segment behind it that few of them name.
//!
//! What must hold: each pattern is in one tree, that of one of its literal segments, so that a topic without that segment
//! is not held against it.

use std::ops::ControlFlow;

use super::members::Members;
use super::pattern_tree::{AskedTopic, Literals, PatternTree};
use super::segments::{ANY, DEEP};
use super::tree_walk::TreeWalk;

/// The patterns with one literal beginning.
#[derive(Debug, Default)]
pub(super) struct PatternTrees {
    /// Those of wildcards alone.
    open: Option<Box<PatternTree>>,
    /// The others, by that of their segments that the fewest patterns named when they came.
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
        let anchor = literals(segments).min_by_key(|number| (uses(*number), *number));
        let anchor = anchor.unwrap_or(ANY);
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

    /// Tidies up behind a pattern of which nobody is left; whether nothing is left of the whole.
    pub(super) fn prune(&mut self, segments: &[u32]) -> bool {
        if let Some(anchor) = self.anchor_of(segments)
            && self.tree_mut(anchor).is_some_and(|tree| tree.prune(segments))
        {
            match anchor {
                ANY => self.open = None,
                anchor => self.anchored.remove(anchor),
            }
        }
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
        self.anchored.each_among(topic, topic.before_known(), |anchor, tree| {
            tree.visit(topic, behind, anchor, walk, visit)
        })
    }

    /// In which tree a pattern is.
    fn anchor_of(&self, segments: &[u32]) -> Option<u32> {
        let mut anchors: smallvec::SmallVec<[u32; 16]> = literals(segments).collect();
        anchors.sort_unstable();
        anchors.dedup();
        let holds = |anchor: &u32| self.anchored.get(*anchor).is_some_and(|t| t.holds(segments));
        if anchors.is_empty() { Some(ANY) } else { anchors.into_iter().find(holds) }
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
