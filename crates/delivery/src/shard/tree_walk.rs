//! A tree walk: how far a topic has been held against trees of patterns, where that is done a part at a time.
//!
//! What must hold: patterns are met tree after tree, and in the order of their segments' numbers. So what is left after
//! a stop is what comes behind that place, whichever patterns have come and gone meanwhile; each that was there all
//! along is met exactly once.

use super::segments::Numbers;

/// How far the walk has come, and what it may still take.
#[derive(Debug, Default)]
pub(super) struct TreeWalk {
    /// Where it stopped.
    stopped: Option<PatternNode>,
    /// How much this part of it has taken, and after how much it stops.
    work: usize,
    limit: usize,
    /// Whether this part has met a node.
    has_moved: bool,
}

/// A tree: behind how many segments of the topic it begins, and its anchor there.
type TreeName = (usize, u32);

/// A node of a tree, by the segments up to its end.
#[derive(Debug)]
struct PatternNode {
    tree: TreeName,
    segments: Numbers,
}

/// What of a node is left to be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left<'a> {
    Nothing,
    /// Not itself, and of what is below it what does not come before these segments.
    Below(&'a [u32]),
    All,
}

impl TreeWalk {
    /// What coming to a node takes, which is most often not in the cache, measured by comparing a segment.
    pub(super) const NODE: usize = 16;
    /// What looking a segment or a beginning up in a table takes, measured so.
    const LOOK_UP: usize = 4;

    /// Goes on, until it has taken so much. It moves on by a node at least.
    pub(super) fn go_on(&mut self, limit: usize) {
        self.work = 0;
        self.limit = limit;
        self.has_moved = false;
    }

    /// Where to begin in a tree; `None` where that has been walked.
    pub(super) fn begin(&mut self, tree: TreeName) -> Option<Numbers> {
        if self.stopped.as_ref().is_some_and(|place| tree < place.tree) {
            return None;
        }
        // It is of no use any more, also where its tree has gone: the next place is not below it.
        let here = self.stopped.take().filter(|place| place.tree == tree);
        Some(here.map_or_else(Numbers::new, |place| place.segments))
    }

    /// How much the part of it has taken that ends here, in segments that were compared; a subscriber who was found
    /// counts as one.
    pub(super) fn work(&self) -> usize {
        self.work
    }

    /// Counts a node.
    pub(super) fn count_node(&mut self) {
        self.work += Self::NODE;
    }

    /// Counts segments that were compared.
    pub(super) fn compare(&mut self, segments: usize) {
        self.work += segments;
    }

    /// Counts what was looked up in tables.
    pub(super) fn look_up(&mut self, times: usize) {
        self.work += times * Self::LOOK_UP;
    }

    /// Counts subscribers that were found.
    pub(super) fn find(&mut self, members: usize) {
        self.work += members;
    }

    /// Whether it stops before the next node.
    pub(super) fn is_due(&mut self) -> bool {
        let moved = std::mem::replace(&mut self.has_moved, true);
        moved && self.work >= self.limit
    }

    /// Notes where it stops: the segments of a node, then those of each above it.
    pub(super) fn stop_below(&mut self, label: &[u32]) {
        let place = self
            .stopped
            .get_or_insert_with(|| PatternNode { tree: (0, 0), segments: Numbers::new() });
        place.segments.insert_from_slice(0, label);
    }

    /// Notes in which tree it stops.
    pub(super) fn stop_in(&mut self, tree: TreeName) {
        if let Some(place) = &mut self.stopped {
            place.tree = tree;
        }
    }
}

impl<'a> Left<'a> {
    /// What is left of a node with this label, of a tree or of a part of it in which this is where to begin.
    pub(super) fn of(label: &[u32], from: &'a [u32]) -> Self {
        let same = label.iter().zip(from).take_while(|(a, b)| a == b).count();
        match (label.get(same), from.get(same)) {
            (_, None) => Self::All,
            (None, Some(_)) => Self::Below(&from[same..]),
            (Some(here), Some(there)) if here < there => Self::Nothing,
            (Some(_), Some(_)) => Self::All,
        }
    }
}
