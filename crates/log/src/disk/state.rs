//! What the log knows of itself in memory: its segments, its topics, what was trimmed or lost.
//!
//! What must hold: everything here is memory work, done under one lock; whoever reads a file does
//! so outside it. Only the writer changes it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fanfare_event::{EventId, Extras, Position, Timestamp, Topic, TopicSelector};

use super::segment::{Segment, SegmentRun, Unmatched, before};
use super::topic_limit::TopicLimit;
use super::trims::Trims;
use crate::ids::IdTable;
use crate::{Lineage, ReadFrom, TopicTable};

/// The log, in memory.
pub(super) struct LogState {
    closed: VecDeque<Arc<Segment>>,
    growing: Option<Segment>,
    /// Judges whether anything is missing between what segments hold.
    lineage: Lineage,
    topics: TopicTable,
    /// What was trimmed up to here may have been of any topic.
    any_topic: Position,
    /// Everything up to here is gone.
    through: Position,
    /// The same as readers are given it: with every trim a new one.
    trims: Arc<Trims>,
    head: Position,
    limit: Option<TopicLimit>,
    /// The ids that publishers chose.
    ids: IdTable,
    events: u64,
    bytes: u64,
}

/// What a state begins with.
pub(super) struct Restored {
    pub segments: Vec<Segment>,
    pub lineage: Lineage,
    pub topics: TopicTable,
    pub any_topic: Position,
    pub through: Position,
    pub head: Position,
}

/// An event that the disk has accepted.
pub(super) struct Admitted<'a> {
    pub topic: &'a Topic,
    pub extras: Option<&'a Extras>,
    /// Of its record, in bytes.
    pub length: u32,
    pub time: Timestamp,
}

/// What a reader does next.
pub(super) struct ReadStep {
    /// To be asked first, outside the lock, whether something wanted is no longer retained: there
    /// are patterns to compare.
    pub trims: Option<Arc<Trims>>,
    pub next: Next,
}

/// What comes next for a reader.
pub(super) enum Next {
    /// There is nothing more.
    End,
    /// Something wanted up to here is no longer retained.
    Trimmed(Position),
    /// Something is missing up to here.
    Hole(Position),
    /// These records of a closed segment are to be looked through.
    Closed(Arc<Segment>, Range<u32>),
    /// This is to be read of the growing segment.
    Growing(SegmentRun),
    /// Of this of the growing segment, what is wanted is to be read.
    Unmatched(Unmatched),
}

/// How many records are picked out of the growing segment at once: some ten microseconds, in which
/// the writer may wait.
const GROWING_AT_ONCE: usize = 1024;

impl LogState {
    pub(super) fn new(restored: Restored, topic_count: Option<u64>) -> Self {
        let Restored { segments, lineage, topics, any_topic, through, head } = restored;
        let mut state = Self {
            closed: VecDeque::new(),
            growing: None,
            lineage,
            topics,
            any_topic,
            through,
            trims: Arc::new(Trims::none()),
            head,
            limit: topic_count.map(TopicLimit::new),
            ids: IdTable::default(),
            events: 0,
            bytes: 0,
        };
        for mut segment in segments {
            state.events += u64::from(segment.index.count());
            state.bytes += u64::from(segment.index.end());
            for (ordinal, id) in segment.index.ids() {
                state.ids.enter(id, segment.index.position(*ordinal));
            }
            let mut counted = Vec::new();
            segment.index.topics(|topic, ordinals| counted.push((topic.clone(), ordinals.len())));
            let mut names = counted.iter().map(|(topic, events)| {
                let (id, name) = state.topics.retain_many(topic, *events as u64);
                if let Some(limit) = &mut state.limit {
                    limit.count(id, *events as u64);
                }
                name
            });
            segment.index.share_names(|topic| names.next().unwrap_or_else(|| topic.clone()));
            state.closed.push_back(Arc::new(segment));
            if state.limit.is_some() {
                for (topic, _) in counted {
                    state.hide_excess(&topic);
                }
            }
        }
        state.note_trims();
        state
    }

    // What the writer does.

    /// Adds a segment that is to grow.
    pub(super) fn begin_segment(&mut self, segment: Segment) {
        self.bytes += u64::from(segment.index.end());
        self.growing = Some(segment);
    }

    /// Ends the growing segment and returns it, now closed.
    pub(super) fn close_segment(&mut self) -> Option<Arc<Segment>> {
        let mut segment = self.growing.take()?;
        segment.index.close();
        let segment = Arc::new(segment);
        self.closed.push_back(segment.clone());
        Some(segment)
    }

    /// Takes in what was written to the growing segment.
    pub(super) fn admit<'a>(&mut self, events: impl Iterator<Item = Admitted<'a>>) {
        for Admitted { topic, extras, length, time } in events {
            let (place, topic) = self.topics.retain(topic);
            let Some(segment) = &mut self.growing else { return };
            segment.index.push(&topic, length, time);
            self.head = segment.index.last();
            self.events += 1;
            self.bytes += u64::from(length);
            if let Some(extras) = extras {
                self.admit_extras(extras);
            }
            if let Some(limit) = &mut self.limit {
                limit.count(place, 1);
                self.hide_excess(&topic);
            }
        }
    }

    /// Of the event that was admitted last.
    fn admit_extras(&mut self, extras: &Extras) {
        let retained: Vec<_> = extras.others().iter().map(|it| self.topics.retain(it)).collect();
        let others: Vec<_> = retained.iter().map(|(_, topic)| topic.clone()).collect();
        if let Some(segment) = &mut self.growing {
            segment.index.push_extras(&others, extras.id());
        }
        if let Some(id) = extras.id() {
            self.ids.enter(id, self.head);
        }
        for (place, topic) in &retained {
            if let Some(limit) = &mut self.limit {
                limit.count(*place, 1);
                self.hide_excess(topic);
            }
        }
    }

    /// The growing segment.
    pub(super) fn growing(&mut self) -> Option<&mut Segment> {
        self.growing.as_mut()
    }

    /// The oldest segment, if it may be unlinked: the newest one of the current epoch never is,
    /// since after a crash it tells where the epoch ended.
    pub(super) fn oldest(&self) -> Option<&Arc<Segment>> {
        let newest = self.growing.is_none() && self.closed.len() == 1;
        let oldest = self.closed.front()?;
        (!newest || oldest.index.first().epoch < self.head.epoch).then_some(oldest)
    }

    /// Forgets the oldest segment.
    pub(super) fn trim_oldest(&mut self) {
        if self.oldest().is_none() {
            return;
        }
        let Some(segment) = self.closed.pop_front() else { return };
        let index = &segment.index;
        self.events -= u64::from(index.count());
        self.bytes -= u64::from(index.end());
        if let Some(missing) = self.lineage.missing(self.through, before(index.first())) {
            self.any_topic = self.any_topic.max(missing);
        }
        for lost in index.lost() {
            self.any_topic = self.any_topic.max(index.position(lost.end - 1));
        }
        self.through = self.through.max(index.last());
        for (ordinal, id) in index.ids() {
            self.ids.leave(id, index.position(*ordinal));
        }
        let (topics, limit) = (&mut self.topics, &mut self.limit);
        index.topics(|topic, ordinals| {
            let (Some(&last), Some(id)) = (ordinals.last(), topics.id(topic)) else { return };
            if let Some(limit) = limit {
                limit.trim(id, index, ordinals);
            }
            topics.trim(id, ordinals.len() as u64, index.position(last));
        });
    }

    /// To be called after trimming, under the same lock: what readers are told from now on, and what
    /// is to be written down.
    pub(super) fn note_trims(&mut self) -> Arc<Trims> {
        let topics = self.topics.trims().map(|(topic, trimmed)| (topic.clone(), trimmed));
        self.trims = Arc::new(Trims {
            through: self.through,
            any_topic: self.any_topic.max(self.topics.forgotten()).min(self.through),
            topics: topics.collect(),
        });
        self.trims.clone()
    }

    /// The segments that grow no more, oldest first.
    pub(super) fn closed(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.closed.iter()
    }

    /// Where epochs ended.
    pub(super) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// What was trimmed, whole: also what readers are not told.
    pub(super) fn all_trims(&self) -> Trims {
        let topics = self.topics.trims().map(|(topic, trimmed)| (topic.clone(), trimmed));
        Trims { through: self.through, any_topic: self.any_topic, topics: topics.collect() }
    }

    /// The watermark of the topics that are no longer known.
    pub(super) fn forgotten(&self) -> Position {
        self.topics.forgotten()
    }

    /// How many events there are.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// How many bytes the segments have.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last position that was accepted.
    pub(super) fn head(&self) -> Position {
        self.head
    }

    fn hide_excess(&mut self, topic: &Topic) {
        let (Some(limit), Some(id)) = (&mut self.limit, self.topics.id(topic)) else { return };
        let hidden = limit.hidden(id);
        let from = self.closed.partition_point(|segment| segment.index.last() <= hidden);
        let closed = self.closed.range(from..).map(|segment| &segment.index);
        limit.hide_excess(id, topic, closed.chain(self.growing.as_ref().map(|it| &it.index)));
    }

    // What readers ask.

    /// Where the earliest event stands that its publisher gave this id.
    pub(super) fn find(&self, id: &EventId) -> Option<Position> {
        self.ids.earliest(id)
    }

    /// Where a reader begins.
    pub(super) fn start(&self, from: ReadFrom) -> Position {
        match from {
            ReadFrom::Earliest => {
                let first = self.closed.front().map(|oldest| &**oldest).or(self.growing.as_ref());
                let first = first.map_or(self.head, |oldest| before(oldest.index.first()));
                self.lineage.missing(self.through, first).unwrap_or(self.through)
            }
            ReadFrom::After(after) => after,
        }
    }

    /// What to read of what is wanted after one position and up to another, all of one moment.
    /// Compares no patterns.
    pub(super) fn step(
        &self,
        after: Position,
        until: Position,
        wanted: &TopicSelector,
        most: usize,
    ) -> ReadStep {
        let compares = !wanted.patterns().is_empty();
        let trims = (compares && after < self.through).then(|| self.trims.clone());
        let trimmed = if compares { None } else { self.trimmed_after(after, wanted) };
        let next = match trimmed {
            Some(trimmed) => Next::Trimmed(trimmed),
            None => self.next(after, until, wanted, most),
        };
        ReadStep { trims, next }
    }

    /// Whether something of topics named outright is no longer retained after a position; if so, up
    /// to where. All of it that lies before what is retained, and what single topics no longer show
    /// as far as none of those wanted shows anything.
    fn trimmed_after(&self, after: Position, wanted: &TopicSelector) -> Option<Position> {
        let mut trimmed = None;
        if after < self.through {
            let any_topic = (self.any_topic > after).then_some(self.any_topic);
            trimmed = self.topics.trimmed_after(wanted, after).max(any_topic);
            trimmed = trimmed.map(|trimmed| trimmed.min(self.through));
        }
        if self.limit.is_some() {
            let hidden = wanted.topics().iter().map(|topic| self.hidden(topic)).min();
            trimmed = trimmed.max(hidden.filter(|&hidden| hidden > after));
        }
        trimmed
    }

    fn next(&self, after: Position, until: Position, wanted: &TopicSelector, most: usize) -> Next {
        let at = self.closed.partition_point(|segment| segment.index.last() <= after);
        let closed = self.closed.get(at);
        let growing = self.growing.as_ref().filter(|segment| segment.index.last() > after);
        let next = closed.map(|segment| &**segment).or(growing);
        let begins = next.map_or(self.head, |next| before(next.index.first()));
        // What was trimmed is another question, which has been asked.
        let has = after.max(self.through);
        if let Some(missing) = self.lineage.missing(has, begins.min(until)) {
            return Next::Hole(missing);
        }
        let Some(next) = next else { return Next::End };
        let range = next.range(after, until);
        if range.is_empty() {
            return Next::End;
        }
        let most_of_growing = most.min(GROWING_AT_ONCE);
        match closed {
            Some(segment) => Next::Closed(segment.clone(), range),
            None if wanted.patterns().is_empty() || wanted.matches_everything() => {
                Next::Growing(next.run(wanted, range, most_of_growing, 0))
            }
            None => Next::Unmatched(next.unmatched(range, GROWING_AT_ONCE)),
        }
    }

    /// Whether events of single topics are counted, and may therefore be hidden.
    pub(super) fn hides(&self) -> bool {
        self.limit.is_some()
    }

    /// Up to where events of a topic are no longer shown.
    pub(super) fn hidden(&self, topic: &Topic) -> Position {
        let id = self.topics.id(topic);
        let hidden = id.and_then(|id| Some(self.limit.as_ref()?.hidden(id)));
        hidden.unwrap_or(Position::ORIGIN)
    }
}
