//! What the log knows of itself in memory: its segments, its topics, what was trimmed or lost.
//!
//! What must hold: everything here is memory work, done under one lock; whoever reads a file does
//! so outside it. Only the writer changes it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fanfare_event::{Position, Timestamp, Topic, TopicSelector};

use super::segment::{Run, Segment, before};
use crate::{ReadFrom, TopicId, TopicTable};

/// The log, in memory.
pub(super) struct State {
    closed: VecDeque<Arc<Segment>>,
    growing: Option<Segment>,
    /// What is missing behind the last closed segment, while no other follows it.
    lost_tail: Option<Position>,
    topics: TopicTable,
    /// What was trimmed up to here may have been of any topic.
    of_any: Position,
    /// Everything up to here is gone.
    through: Position,
    head: Position,
    per_topic: Option<PerTopic>,
    events: u64,
    bytes: u64,
}

/// What is kept of each topic where their events are counted.
struct PerTopic {
    limit: u64,
    /// By [`TopicId::index`].
    kept: Vec<Kept>,
}

#[derive(Clone, Copy)]
struct Kept {
    visible: u64,
    /// What stands up to here is no longer shown; its segment may be retained all the same.
    hidden: Position,
}

impl Kept {
    const NONE: Self = Self { visible: 0, hidden: Position::ORIGIN };
}

/// What a state begins with.
pub(super) struct Restored {
    pub segments: Vec<Segment>,
    pub lost_tail: Option<Position>,
    pub topics: TopicTable,
    pub of_any: Position,
    pub through: Position,
    pub head: Position,
}

/// An event that the disk has accepted.
pub(super) struct Admitted<'a> {
    pub topic: &'a Topic,
    /// Of its record, in bytes.
    pub length: u32,
    pub time: Timestamp,
}

/// What a reader does next.
pub(super) enum Step {
    /// There is nothing more.
    End,
    /// Something wanted up to here is no longer retained.
    Trimmed(Position),
    /// Something is missing up to here.
    Hole(Position),
    /// These records of a closed segment are to be looked through.
    Closed(Arc<Segment>, Range<u32>),
    /// This is to be read of the growing segment.
    Growing(Run),
}

impl State {
    pub(super) fn new(restored: Restored, topic_count: Option<u64>) -> Self {
        let Restored { segments, lost_tail, topics, of_any, through, head } = restored;
        let per_topic = topic_count.map(|limit| PerTopic { limit: limit.max(1), kept: Vec::new() });
        let mut state = Self {
            closed: VecDeque::new(),
            growing: None,
            lost_tail,
            topics,
            of_any,
            through,
            head,
            per_topic,
            events: 0,
            bytes: 0,
        };
        for mut segment in segments {
            state.events += u64::from(segment.index.count());
            state.bytes += u64::from(segment.index.end());
            let mut counted = Vec::new();
            segment.index.topics(|topic, ordinals| counted.push((topic.clone(), ordinals.len())));
            let mut names = counted.iter().map(|(topic, events)| {
                // Never none: a topic is in the index because it has a record.
                let mut name = topic.clone();
                for _ in 0..*events {
                    let id;
                    (id, name) = state.topics.retain(topic);
                    if let Some(per_topic) = &mut state.per_topic {
                        per_topic.of(id).visible += 1;
                    }
                }
                name
            });
            segment.index.share_names(|topic| names.next().unwrap_or_else(|| topic.clone()));
            state.closed.push_back(Arc::new(segment));
            if state.per_topic.is_some() {
                for (topic, _) in counted {
                    state.hide_excess(&topic);
                }
            }
        }
        state
    }

    // What the writer does.

    /// Adds a segment that is to grow.
    pub(super) fn begin_segment(&mut self, mut segment: Segment) {
        segment.lost_before = self.lost_tail.take();
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
        for Admitted { topic, length, time } in events {
            let (id, topic) = self.topics.retain(topic);
            let Some(segment) = &mut self.growing else { return };
            segment.index.push(&topic, length, time);
            self.head = segment.index.last();
            self.events += 1;
            self.bytes += u64::from(length);
            if let Some(per_topic) = &mut self.per_topic {
                per_topic.of(id).visible += 1;
                self.hide_excess(&topic);
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
        self.through = self.through.max(segment.reaches());
        for lost in index.lost() {
            self.of_any = self.of_any.max(index.position(lost.end - 1));
        }
        self.of_any = self.of_any.max(segment.lost_before.unwrap_or(Position::ORIGIN));
        let (topics, per_topic) = (&mut self.topics, &mut self.per_topic);
        index.topics(|topic, ordinals| {
            let (Some(&last), Some(id)) = (ordinals.last(), topics.id(topic)) else { return };
            let events = ordinals.len();
            if let Some(per_topic) = per_topic {
                let kept = per_topic.of(id);
                let hidden = ordinals.partition_point(|&o| index.position(o) <= kept.hidden);
                kept.visible = kept.visible.saturating_sub((events - hidden) as u64);
                if kept.visible == 0 {
                    // The place may become another topic's.
                    *kept = Kept::NONE;
                }
            }
            topics.trim(id, events as u64, index.position(last));
        });
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

    /// What is to be written down of what was trimmed: everything up to the first position is
    /// gone, of any topic up to the second, of these up to theirs.
    pub(super) fn trims(&self) -> (Position, Position, impl Iterator<Item = (&Topic, Position)>) {
        let of_any = self.of_any.max(self.topics.forgotten()).min(self.through);
        (self.through, of_any, self.topics.trims())
    }

    fn hide_excess(&mut self, topic: &Topic) {
        let (Some(per_topic), Some(id)) = (&mut self.per_topic, self.topics.id(topic)) else {
            return;
        };
        let limit = per_topic.limit;
        let kept = per_topic.of(id);
        let excess = kept.visible.saturating_sub(limit);
        if excess == 0 {
            return;
        }
        let mut rest = excess;
        let hidden = kept.hidden;
        let from = self.closed.partition_point(|segment| segment.index.last() <= hidden);
        let closed = self.closed.iter().skip(from).map(|segment| &segment.index);
        for index in closed.chain(self.growing.as_ref().map(|segment| &segment.index)) {
            let ordinals = index.of(topic);
            let start = ordinals.partition_point(|&o| index.position(o) <= kept.hidden);
            let shown = &ordinals[start..];
            let hiding = rest.min(shown.len() as u64);
            if let Some(&last) = hiding.checked_sub(1).and_then(|n| shown.get(n as usize)) {
                kept.hidden = index.position(last);
            }
            rest -= hiding;
            if rest == 0 {
                break;
            }
        }
        kept.visible = limit;
    }

    // What readers ask.

    /// Where a reader begins.
    pub(super) fn start(&self, from: ReadFrom) -> Position {
        match from {
            ReadFrom::Earliest => {
                let lost = self.closed.front().and_then(|oldest| oldest.lost_before);
                self.through.max(lost.unwrap_or(self.through))
            }
            ReadFrom::After(after) => after,
        }
    }

    /// Whether something wanted after a position is no longer retained; if so, up to where. All
    /// of it that lies before what is retained, and what single topics no longer show as far as
    /// none of those wanted shows anything.
    fn trimmed_after(&self, after: Position, wanted: &TopicSelector) -> Option<Position> {
        let mut trimmed = None;
        if after < self.through {
            let of_any = (self.of_any > after).then_some(self.of_any);
            trimmed = self.topics.trimmed_after(wanted, after).max(of_any);
            trimmed = trimmed.map(|trimmed| trimmed.min(self.through));
        }
        if self.per_topic.is_some() && wanted.patterns().is_empty() {
            let hidden = wanted.topics().iter().map(|topic| self.hidden(topic)).min();
            trimmed = trimmed.max(hidden.filter(|&hidden| hidden > after));
        }
        trimmed
    }

    /// What to read of what is wanted after one position and up to another.
    pub(super) fn step(
        &self,
        after: Position,
        until: Position,
        wanted: &TopicSelector,
        most: usize,
    ) -> Step {
        if let Some(trimmed) = self.trimmed_after(after, wanted) {
            return Step::Trimmed(trimmed);
        }
        let at = self.closed.partition_point(|segment| segment.reaches() <= after);
        let segment = self.closed.get(at).map(|segment| &**segment);
        let growing = self.growing.as_ref().filter(|segment| segment.reaches() > after);
        let Some(next) = segment.or(growing) else {
            let lost = self.lost_tail.filter(|&lost| lost > after && lost <= until);
            return lost.map_or(Step::End, Step::Hole);
        };
        if let Some(lost) = next.lost_before.filter(|&lost| lost > after && lost <= until) {
            return Step::Hole(lost);
        }
        let range = next.range(after, until);
        if range.is_empty() {
            return Step::End;
        }
        match self.closed.get(at) {
            Some(segment) => Step::Closed(segment.clone(), range),
            None => Step::Growing(next.run(wanted, range, most)),
        }
    }

    /// Whether events of single topics are counted, and may therefore be hidden.
    pub(super) fn hides(&self) -> bool {
        self.per_topic.is_some()
    }

    /// Up to where events of a topic are no longer shown.
    pub(super) fn hidden(&self, topic: &Topic) -> Position {
        let kept =
            self.topics.id(topic).and_then(|id| self.per_topic.as_ref()?.kept.get(id.index()));
        kept.map_or(Position::ORIGIN, |kept| kept.hidden)
    }
}

impl PerTopic {
    fn of(&mut self, id: TopicId) -> &mut Kept {
        if self.kept.len() <= id.index() {
            self.kept.resize(id.index() + 1, Kept::NONE);
        }
        &mut self.kept[id.index()]
    }
}

/// The last position that is missing where a segment that ends at `last` is followed by what
/// begins at `next`, if any is; `ends` says where epochs ended.
pub(super) fn lost_between(
    last: Position,
    next: Position,
    ends: impl Iterator<Item = Position>,
) -> Option<Position> {
    let follows = last.epoch == next.epoch && last.seq + 1 == next.seq;
    if follows {
        return None;
    }
    if next.seq > 1 {
        return Some(before(next));
    }
    let missing = |end: &Position| end.seq > 0 && *end > last && *end < next;
    ends.filter(missing).max()
}
