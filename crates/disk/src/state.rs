//! What the log knows of itself in memory: its segments, its topics, what was trimmed or lost.
//!
//! What must hold: everything here is memory work, done under one lock; whoever reads a file does
//! so outside it. Only the writer changes it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fanfare_event::{EventId, Extras, Position, Timestamp, Topic, TopicSelector};

use crate::closed_segment::ClosedSegment;
use crate::index::Index;
use crate::index_file::{FoundIndex, IndexHead};
use crate::keys_file::KeptKey;
use crate::name_table::NameTable;
use crate::segment::{Segment, SegmentFile, SegmentRun, Unmatched, before};
use crate::summary::{Summary, TopicShare};
use crate::topic_limit::TopicLimit;
use crate::trims::Trims;
use fanfare_log::{Ended, IdTable, Lineage, ReadFrom, TopicId, TopicTable};

/// The log, in memory.
pub(crate) struct LogState {
    closed: VecDeque<Arc<ClosedSegment>>,
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

/// A segment that was found, and what its index says of it.
pub(crate) struct FoundSegment {
    pub file: SegmentFile,
    /// With its index where that is to be kept.
    pub found: FoundIndex,
}

impl FoundSegment {
    /// What is known of it.
    pub(crate) fn summary(&self) -> &Summary {
        &self.found.head.summary
    }
}

/// What a state begins with.
pub(crate) struct Restored {
    pub segments: Vec<FoundSegment>,
    /// What the topics of the segments are called.
    pub names: NameTable,
    pub lineage: Lineage,
    pub topics: TopicTable,
    pub any_topic: Position,
    pub through: Position,
    pub head: Position,
}

/// A segment that was closed.
pub(crate) struct JustClosed {
    /// It keeps its index until that is written.
    pub segment: Arc<ClosedSegment>,
    pub index: Arc<Index>,
    pub keys: Vec<KeptKey>,
}

/// An event that the disk has accepted.
pub(crate) struct Admitted<'a> {
    pub topic: &'a Topic,
    pub extras: Option<&'a Extras>,
    /// Of its record, in bytes.
    pub length: u32,
    pub time: Timestamp,
}

/// What a reader does next.
pub(crate) struct ReadStep {
    /// To be asked first, outside the lock, whether something wanted is no longer retained: there
    /// are patterns to compare.
    pub trims: Option<Arc<Trims>>,
    pub next: NextRecords,
}

/// What comes next for a reader.
pub(crate) enum NextRecords {
    /// There is nothing more.
    End,
    /// Something wanted up to here is no longer retained.
    Trimmed(Position),
    /// Something is missing up to here.
    Hole(Position),
    /// These records of a closed segment are to be looked through.
    Closed(Arc<ClosedSegment>, Range<u32>),
    /// This is to be read of the growing segment.
    Growing(SegmentRun),
    /// Of this of the growing segment, what is wanted is to be read.
    Unmatched(Unmatched),
}

/// How many records are picked out of the growing segment at once: some ten microseconds, in which
/// the writer may wait.
const GROWING_AT_ONCE: usize = 1024;

impl LogState {
    pub(crate) fn new(restored: Restored, topic_count: Option<u64>) -> Self {
        let Restored { segments, names, lineage, topics, any_topic, through, head } = restored;
        let mut state = Self {
            closed: VecDeque::with_capacity(segments.len()),
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
        let topics = state.enter_topics(&segments, names.names());
        for FoundSegment { file, found: FoundIndex { head, index } } in segments {
            let IndexHead { summary, topics: mut shares, .. } = head;
            state.events += u64::from(summary.count);
            state.bytes += u64::from(summary.end);
            for (ordinal, id) in &summary.ids {
                state.ids.enter(id, summary.position(*ordinal));
            }
            let index = index.map(|mut index| {
                let shared = |share: &TopicShare<u32>| &names.names()[share.topic as usize];
                index.share_names(|topic| {
                    let at = shares.binary_search_by(|share| shared(share).cmp(topic));
                    at.map_or(topic, |at| shared(&shares[at])).clone()
                });
                Arc::new(index)
            });
            for share in &mut shares {
                share.topic = topics[share.topic as usize];
            }
            let (file, shares) = (Arc::new(file), shares.into_boxed_slice());
            let segment = Arc::new(ClosedSegment::new(file, summary, shares, index));
            state.closed.push_back(segment.clone());
            if let Some(limit) = &mut state.limit {
                for share in &segment.topics {
                    limit.count(TopicId::at(share.topic), share.events.into());
                }
                for share in &segment.topics {
                    state.hide_over_limit(TopicId::at(share.topic));
                }
            }
        }
        if !state.is_whole() {
            state.ids.doubt_repeated();
        }
        state.note_trims();
        state
    }

    /// Whether all that was ever published is in the segments: nothing was trimmed, damaged or lost.
    fn is_whole(&self) -> bool {
        let mut at = Position::ORIGIN;
        let joins = |segment: &Arc<ClosedSegment>| {
            let Summary { first, lost, .. } = &segment.summary;
            let last = std::mem::replace(&mut at, segment.summary.last());
            lost.is_empty() && self.lineage.missing(last, before(*first)).is_none()
        };
        let is_lossy = |ended: Ended| ended.lossy;
        self.through == Position::ORIGIN
            && !self.lineage.ends().any(is_lossy)
            && self.closed.iter().all(joins)
    }

    /// Counts what segments hold of each topic. Returns where each name stands in the table of topics; of
    /// those that nothing is held of, nowhere in particular.
    fn enter_topics(&mut self, segments: &[FoundSegment], names: &[Topic]) -> Vec<u32> {
        let mut events = vec![0_u64; names.len()];
        for share in segments.iter().flat_map(|segment| &segment.found.head.topics) {
            events[share.topic as usize] += u64::from(share.events);
        }
        let enter = |(name, events): (&Topic, u64)| match events {
            0 => u32::MAX,
            _ => self.topics.retain_many(name, events).0.index() as u32,
        };
        names.iter().zip(events).map(enter).collect()
    }

    // What the writer does.

    /// Adds a segment that is to grow.
    pub(crate) fn begin_segment(&mut self, segment: Segment) {
        self.bytes += u64::from(segment.index.end());
        self.growing = Some(segment);
    }

    /// Ends the growing segment and returns it, now closed, with its index and what its keys were answered.
    pub(crate) fn close_segment(&mut self) -> Option<JustClosed> {
        let Segment { file, mut index } = self.growing.take()?;
        index.close();
        let keys = index.take_keys();
        let summary = Summary::of(&mut index);
        let mut shares = Vec::with_capacity(index.names().len());
        index.topics(|topic, ordinals| {
            if let (Some(id), Some(&last)) = (self.topics.id(topic), ordinals.last()) {
                let (topic, events) = (id.index() as u32, ordinals.len() as u32);
                shares.push(TopicShare { topic, events, last });
            }
        });
        let index = Arc::new(index);
        let kept = Some(index.clone());
        let segment = Arc::new(ClosedSegment::new(file, summary, shares.into(), kept));
        self.closed.push_back(segment.clone());
        Some(JustClosed { segment, index, keys })
    }

    /// Takes in what was written to the growing segment.
    pub(crate) fn admit<'a>(&mut self, events: impl Iterator<Item = Admitted<'a>>) {
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
                self.hide_over_limit(place);
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
        for (place, _) in retained {
            if let Some(limit) = &mut self.limit {
                limit.count(place, 1);
                self.hide_over_limit(place);
            }
        }
    }

    /// The growing segment.
    pub(crate) fn growing(&mut self) -> Option<&mut Segment> {
        self.growing.as_mut()
    }

    /// The oldest segment, if it may be unlinked: the newest one of the current epoch never is,
    /// since after a crash it tells where the epoch ended.
    pub(crate) fn oldest(&self) -> Option<&Arc<ClosedSegment>> {
        let newest = self.growing.is_none() && self.closed.len() == 1;
        let oldest = self.closed.front()?;
        (!newest || oldest.summary.first.epoch < self.head.epoch).then_some(oldest)
    }

    /// Forgets the oldest segment.
    pub(crate) fn trim_oldest(&mut self) {
        if self.oldest().is_none() {
            return;
        }
        let Some(segment) = self.closed.pop_front() else { return };
        let summary = &segment.summary;
        self.events -= u64::from(summary.count);
        self.bytes -= u64::from(summary.end);
        if let Some(missing) = self.lineage.missing(self.through, before(summary.first)) {
            self.any_topic = self.any_topic.max(missing);
        }
        for lost in &summary.lost {
            self.any_topic = self.any_topic.max(summary.position(lost.end - 1));
        }
        self.through = self.through.max(summary.last());
        for (ordinal, id) in &summary.ids {
            self.ids.leave(id, summary.position(*ordinal));
        }
        let kept = if self.limit.is_some() { segment.kept() } else { None };
        for share in &segment.topics {
            let id = TopicId::at(share.topic);
            if let (Some(limit), Some(topic)) = (&mut self.limit, self.topics.name(id)) {
                let ordinals = kept.as_ref().map_or(&[][..], |index| index.of(topic));
                limit.trim(id, summary, ordinals);
            }
            self.topics.trim(id, share.events.into(), summary.position(share.last));
        }
        segment.leave();
    }

    /// To be called after trimming, under the same lock: what readers are told from now on, and what
    /// is to be written down.
    pub(crate) fn note_trims(&mut self) -> Arc<Trims> {
        let topics = self.topics.trims().map(|(topic, trimmed)| (topic.clone(), trimmed));
        self.trims = Arc::new(Trims {
            through: self.through,
            any_topic: self.any_topic.max(self.topics.forgotten()).min(self.through),
            topics: topics.collect(),
        });
        self.trims.clone()
    }

    /// The segments that grow no more, oldest first.
    pub(crate) fn closed(&self) -> impl Iterator<Item = &Arc<ClosedSegment>> {
        self.closed.iter()
    }

    /// What a closed segment holds of each topic, in the order of names.
    pub(crate) fn shares<'a>(
        &'a self,
        segment: &'a ClosedSegment,
    ) -> impl Iterator<Item = TopicShare<&'a Topic>> {
        segment.topics.iter().filter_map(|&TopicShare { topic, events, last }| {
            let topic = self.topics.name(TopicId::at(topic))?;
            Some(TopicShare { topic, events, last })
        })
    }

    /// Where epochs ended.
    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// What was trimmed, whole: also what readers are not told.
    pub(crate) fn all_trims(&self) -> Trims {
        let topics = self.topics.trims().map(|(topic, trimmed)| (topic.clone(), trimmed));
        Trims { through: self.through, any_topic: self.any_topic, topics: topics.collect() }
    }

    /// The watermark of the topics that are no longer known.
    pub(crate) fn forgotten(&self) -> Position {
        self.topics.forgotten()
    }

    /// How many events there are.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// How many bytes the segments have.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last position that was accepted.
    pub(crate) fn head(&self) -> Position {
        self.head
    }

    /// Hides the oldest events of a topic beyond the limit. The indices of all segments are kept for it.
    fn hide_over_limit(&mut self, id: TopicId) {
        let (Some(limit), Some(topic)) = (&mut self.limit, self.topics.name(id)) else { return };
        let Some((hidden, mut rest)) = limit.excess(id) else { return };
        let from = self.closed.partition_point(|segment| segment.summary.last() <= hidden);
        for index in self.closed.range(from..).filter_map(|segment| segment.kept()) {
            rest -= limit.hide(id, topic, &index, rest);
            if rest == 0 {
                return;
            }
        }
        if let Some(growing) = &self.growing {
            limit.hide(id, topic, &growing.index, rest);
        }
    }

    // What readers ask.

    /// Where the first event stands that its publisher gave this id, if it is retained.
    pub(crate) fn find(&self, id: &EventId) -> Option<Position> {
        self.ids.first(id)
    }

    /// Where a reader begins.
    pub(crate) fn start(&self, from: ReadFrom) -> Position {
        match from {
            ReadFrom::Earliest => {
                let closed = self.closed.front().map(|oldest| oldest.summary.first);
                let first = closed.or(self.growing.as_ref().map(|growing| growing.index.first()));
                let first = first.map_or(self.head, before);
                self.lineage.missing(self.through, first).unwrap_or(self.through)
            }
            ReadFrom::After(after) => after,
        }
    }

    /// What to read of what is wanted after one position and up to another, all of one moment.
    /// Compares no patterns.
    pub(crate) fn step(
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
            Some(trimmed) => NextRecords::Trimmed(trimmed),
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

    fn next(
        &self,
        after: Position,
        until: Position,
        wanted: &TopicSelector,
        most: usize,
    ) -> NextRecords {
        let at = self.closed.partition_point(|segment| segment.summary.last() <= after);
        let closed = self.closed.get(at);
        let growing = self.growing.as_ref().filter(|segment| segment.index.last() > after);
        let next = closed.map(|segment| segment.summary.first);
        let next = next.or(growing.map(|segment| segment.index.first()));
        let begins = next.map_or(self.head, before);
        // What was trimmed is another question, which has been asked.
        let has = after.max(self.through);
        if let Some(missing) = self.lineage.missing(has, begins.min(until)) {
            return NextRecords::Hole(missing);
        }
        let range = match (closed, growing) {
            (Some(segment), _) => segment.range(after, until),
            (None, Some(segment)) => segment.range(after, until),
            (None, None) => return NextRecords::End,
        };
        if range.is_empty() {
            return NextRecords::End;
        }
        let most_of_growing = most.min(GROWING_AT_ONCE);
        match (closed, growing) {
            (Some(segment), _) => NextRecords::Closed(segment.clone(), range),
            (None, Some(Segment { file, index }))
                if wanted.patterns().is_empty() || wanted.matches_everything() =>
            {
                let bounds = (most_of_growing, 0);
                NextRecords::Growing(SegmentRun::of(file, index, wanted, range, bounds))
            }
            (None, Some(segment)) => {
                NextRecords::Unmatched(segment.unmatched(range, GROWING_AT_ONCE))
            }
            (None, None) => NextRecords::End,
        }
    }

    /// Whether events of single topics are counted, and may therefore be hidden.
    pub(crate) fn hides(&self) -> bool {
        self.limit.is_some()
    }

    /// Up to where events of a topic are no longer shown.
    pub(crate) fn hidden(&self, topic: &Topic) -> Position {
        let id = self.topics.id(topic);
        let hidden = id.and_then(|id| Some(self.limit.as_ref()?.hidden(id)));
        hidden.unwrap_or(Position::ORIGIN)
    }
}
