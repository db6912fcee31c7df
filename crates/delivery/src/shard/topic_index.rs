//! The topic index: which of a shard's subscribers an event concerns.

use std::ops::ControlFlow;

use fanfare_event::{Pattern, Places, SpreadTopic, Topic, TopicSelector};

use super::demands::Demands;
use super::expression_index::ExpressionIndex;
use super::members::Members;
use super::name_map::NameMap;
use super::pattern_tree::AskedTopic;
use super::pattern_trees::PatternTrees;
use super::segments::{Numbers, Segments, is_named, named};
use super::tree_walk::TreeWalk;
use crate::listing::TopicCount;
use crate::subscriber_key::SubscriberKey;

/// What asking an expression costs, measured by what visiting a subscriber does.
const EXPRESSION_WORK: usize = 8;

/// Subscribers by topic and by pattern.
///
/// What a topic costs to look up does not depend on how many topics there are; patterns are found
/// by their literal beginning, and behind it in a tree, so that `user/7/*` and `user/*/7` cost nothing to events of
/// user 8. Whom an event concerns comes in the same order each time, so that a run can be repeated.
#[derive(Debug, Default)]
pub(crate) struct TopicIndex {
    topics: NameMap<Topic, Members>,
    /// By the segments before the first wildcard, joined by `/`.
    patterns: NameMap<Box<str>, Box<PatternTrees>>,
    segments: Segments,
    /// Room for what trees are asked by.
    marks: Vec<u16>,
    /// Those that are not written with wildcards.
    expressions: ExpressionIndex,
}

impl TopicIndex {
    pub(crate) fn insert(&mut self, selector: &TopicSelector, key: SubscriberKey) {
        for topic in selector.topics() {
            match self.topics.get_mut(topic.as_str()) {
                Some(members) => members.join(key),
                None => self.topics.insert(topic.clone(), Members::of(key)),
            }
        }
        for pattern in selector.patterns() {
            if let Some(beginning) = pattern.beginning() {
                self.expressions.insert(pattern, &beginning, key);
                continue;
            }
            let prefix = literal_prefix(pattern);
            if let Some((trees, segments)) = self.trees_of(pattern, prefix)
                && let Some(members) = trees.get_mut(&segments)
            {
                members.join(key);
                continue;
            }
            let segments = self.segments.take(rest(pattern, prefix));
            if self.patterns.get(prefix).is_none() {
                self.patterns.insert(prefix.into(), Box::default());
            }
            let uses = |number| self.segments.uses(number);
            if let Some(trees) = self.patterns.get_mut(prefix) {
                trees.insert(&segments, uses, Members::of(key));
            }
        }
    }

    /// Takes out a subscriber that `is_member` already denies.
    pub(crate) fn remove(
        &mut self,
        selector: &TopicSelector,
        is_member: impl Fn(SubscriberKey) -> bool,
    ) {
        for topic in selector.topics() {
            let topic = topic.as_str();
            if self.topics.get_mut(topic).is_some_and(|members| members.leave(&is_member)) {
                self.topics.remove(topic);
            }
        }
        for pattern in selector.patterns() {
            if let Some(beginning) = pattern.beginning() {
                self.expressions.remove(pattern, &beginning, &is_member);
                continue;
            }
            let prefix = literal_prefix(pattern);
            let Some((trees, segments)) = self.trees_of(pattern, prefix) else { continue };
            if trees.leave(&segments, &is_member) {
                if trees.is_empty() {
                    self.patterns.remove(prefix);
                }
                self.segments.forget(rest(pattern, prefix));
            }
        }
    }

    /// The trees in which a pattern would be, and by which segments.
    fn trees_of(
        &mut self,
        pattern: &Pattern,
        prefix: &str,
    ) -> Option<(&mut PatternTrees, Numbers)> {
        let trees = self.patterns.get_mut(prefix)?;
        Some((trees, self.segments.known(rest(pattern, prefix))?))
    }

    /// Calls `visit` for each subscriber that an event of `topic` concerns, and perhaps for some
    /// who have left; for one with several matching topics and patterns more than once. Returns how
    /// much work that was: each of these calls, and what was compared to find them.
    #[cfg(test)]
    pub(crate) fn visit(&mut self, topic: &Topic, mut visit: impl FnMut(SubscriberKey)) -> usize {
        let mut walk = TreeWalk::default();
        walk.go_on(usize::MAX);
        let mut found = Vec::new();
        let _ = self.walk(topic, &mut walk, &mut found);
        found.iter().copied().for_each(&mut visit);
        walk.work() + self.visit_others(topic, visit)
    }

    /// Calls `visit` for each subscriber that an event of `topic` concerns for other reasons than patterns in trees, as
    /// [`Self::visit`] does.
    pub(crate) fn visit_others(
        &mut self,
        topic: &Topic,
        mut visit: impl FnMut(SubscriberKey),
    ) -> usize {
        let mut calls = 0;
        let compared = self.visit_other_members(topic, |members| {
            calls += members.keys().len();
            members.keys().iter().copied().for_each(&mut visit);
        });
        calls + compared
    }

    /// Goes on with a walk through the trees, and adds whom it finds; whether it stopped before the end.
    pub(crate) fn walk(
        &mut self,
        topic: &Topic,
        walk: &mut TreeWalk,
        found: &mut Vec<SubscriberKey>,
    ) -> ControlFlow<()> {
        self.walk_trees(topic, walk, &mut |members| found.extend_from_slice(members.keys()))
    }

    /// How many subscribers an event of `topic` concerns, of those that a walk finds which takes no more than `limit`;
    /// one with several matching topics and patterns counts for each.
    pub(crate) fn count(&mut self, topic: &Topic, limit: usize) -> TopicCount {
        let (mut others, mut count) = (0, 0);
        self.visit_other_members(topic, |members| others += members.count());
        let mut walk = TreeWalk::default();
        walk.go_on(limit);
        let stopped =
            self.walk_trees(topic, &mut walk, &mut |members| count += members.count()).is_break();
        TopicCount { subscribers: others + count, more: stopped }
    }

    /// Returns how much was compared.
    fn visit_other_members(&mut self, topic: &Topic, mut visit: impl FnMut(&Members)) -> usize {
        if let Some(members) = self.topics.get(topic.as_str()) {
            visit(members);
        }
        self.expressions.visit(topic, &mut visit) * EXPRESSION_WORK
    }

    fn walk_trees(
        &mut self,
        topic: &Topic,
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        if self.patterns.is_empty() {
            return ControlFlow::Continue(());
        }
        let segments = self.segments.of_topic(topic);
        // Each is looked up, and what ends with it.
        walk.look_up(2 * segments.len());
        // Each has one place more than segments; the last is for the longest topic there can be.
        match segments.len() {
            ..Places::<1>::MANY => self.walk_spread::<1>(topic, &segments, walk, visit),
            Places::<1>::MANY..Places::<3>::MANY => {
                self.walk_spread::<3>(topic, &segments, walk, visit)
            }
            _ => self.walk_spread::<{ Topic::PLACE_WORDS }>(topic, &segments, walk, visit),
        }
    }

    fn walk_spread<const W: usize>(
        &mut self,
        topic: &Topic,
        segments: &Numbers,
        walk: &mut TreeWalk,
        visit: &mut impl FnMut(&Members),
    ) -> ControlFlow<()> {
        let spread = SpreadTopic::<_, W>::new(named(segments));
        let has = Demands::of_topic(segments, is_named);
        let asked = AskedTopic::new(&spread, has, &mut self.marks, self.segments.end());
        let name = topic.as_str();
        // A leading slash ends an empty segment: the prefix "" is there already.
        let ends =
            name.match_indices('/').map(|(at, _)| at).chain([name.len()]).filter(|at| *at > 0);
        for prefix in std::iter::once("").chain(ends.map(|end| &name[..end])) {
            let Some(trees) = self.patterns.get(prefix) else { continue };
            trees.visit(&asked, count(prefix), walk, visit)?;
        }
        ControlFlow::Continue(())
    }
}

/// The whole segments before the first wildcard: `a/b` of `a/b/*/c`, nothing of `*`.
fn literal_prefix(pattern: &Pattern) -> &str {
    let text = pattern.as_str();
    let wildcard = text.find('*').unwrap_or(text.len());
    text[..wildcard].strip_suffix('/').unwrap_or("")
}

/// How many segments a literal beginning has.
fn count(prefix: &str) -> usize {
    if prefix.is_empty() { 0 } else { prefix.split('/').count() }
}

/// The segments of a pattern behind its literal beginning.
fn rest<'a>(pattern: &'a Pattern, prefix: &str) -> impl Iterator<Item = &'a str> {
    pattern.segments().skip(count(prefix))
}

#[cfg(test)]
mod tests;
