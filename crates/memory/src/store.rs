//! The state of the log in memory: plain data, no lock, no clock.

use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Draft, Event, EventId, Position, Selector, Timestamp, Topic};

use crate::settings::MemorySettings;
use crate::state::MemoryState;
use crate::stats::MemoryStats;
use fanfare_log::{
    AppendError, Appended, Batch, Durability, IdTable, IdempotencyTable, Page, PageLimit, ReadFrom,
    Retention, TopicId, TopicTable,
};

/// What bounds the work and the memory that no setting names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many topics without retained events are remembered.
    pub(crate) quiet_topics: usize,
    /// How many events one read looks at. The lock is held meanwhile: tens of microseconds.
    pub(crate) examined: usize,
}

impl Bounds {
    pub(crate) const DEFAULT: Self =
        Self { quiet_topics: TopicTable::QUIET_LIMIT, examined: 1_024 };
}

/// Everything retained, in order, with an index by topic.
#[derive(Debug)]
pub(crate) struct Store {
    retention: Retention,
    bounds: Bounds,
    /// The latest position assigned.
    last: Position,
    /// Dense: the last of them stands at `last`.
    events: VecDeque<Entry>,
    bytes: u64,
    topics: TopicTable,
    /// By [`TopicId::index`]: the `seq`s of the topic's retained events, ascending.
    index: Vec<VecDeque<u64>>,
    /// The ids that publishers chose.
    ids: IdTable,
    keys: IdempotencyTable,
}

#[derive(Debug)]
struct Entry {
    event: Arc<Event>,
    topic: TopicId,
}

/// What time it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreTime {
    /// By the wall clock: what events are dated by, and trimmed.
    pub(crate) wall: Timestamp,
    /// By a clock that does not step: how old keys are.
    pub(crate) steady: Timestamp,
}

#[cfg(test)]
impl StoreTime {
    /// Where no clock has stepped yet.
    pub(crate) fn of_both(now: u64) -> Self {
        Self { wall: Timestamp(now), steady: Timestamp(now) }
    }
}

/// What became of a batch, and what the tail is to hear.
#[derive(Debug)]
pub(crate) struct AppendResult {
    pub(crate) answer: Appended,
    /// Empty for a repeated batch.
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) trimmed: Option<Position>,
}

/// A stretch of the log as the lock gave it: nothing wanted is missing, but more may be in it.
#[derive(Debug)]
pub(crate) struct StoreStretch {
    trimmed: Option<Position>,
    events: Vec<Arc<Event>>,
    /// Up to where nothing wanted is missing.
    reaches: Position,
}

impl Store {
    pub(crate) fn new(epoch: u64, settings: MemorySettings, bounds: Bounds) -> Self {
        Self {
            retention: settings.retention,
            bounds,
            last: Position::new(epoch, 0),
            events: VecDeque::new(),
            bytes: 0,
            topics: TopicTable::new(bounds.quiet_topics),
            index: Vec::new(),
            ids: IdTable::default(),
            keys: IdempotencyTable::new(settings.key_window, settings.key_capacity),
        }
    }

    /// A store that goes on where another was when it was written down.
    pub(crate) fn resumed(state: MemoryState, settings: MemorySettings, bounds: Bounds) -> Self {
        let MemoryState { last, events, forgotten, trimmed, trims, keys } = state;
        // Every known topic has a place, also one of which nothing is retained.
        let places = trims.len();
        let topics = TopicTable::restored(bounds.quiet_topics, forgotten, trimmed, trims);
        let keys = IdempotencyTable::resumed(keys, settings.key_window, settings.key_capacity);
        let first = last.seq - events.len() as u64;
        let mut store = Self {
            last: Position::new(last.epoch, first),
            events: VecDeque::with_capacity(events.len()),
            topics,
            index: vec![VecDeque::new(); places],
            keys,
            ..Self::new(last.epoch, settings, bounds)
        };
        for event in events {
            store.keep(Arc::unwrap_or_clone(event));
        }
        if first > 0 {
            store.ids.doubt_repeated();
        }
        store
    }

    /// All that is held, and what time it is by a clock that does not step. Copies no event.
    pub(crate) fn state(&self, steady: Timestamp) -> MemoryState {
        self.state_after(Position::ORIGIN, steady)
    }

    /// The same, without the events up to this position.
    pub(crate) fn state_after(&self, position: Position, steady: Timestamp) -> MemoryState {
        let trims = self.topics.trims().map(|(topic, trimmed)| (topic.clone(), trimmed));
        MemoryState {
            last: self.last,
            events: self.retained(self.seq(position), self.last.seq).cloned().collect(),
            forgotten: self.topics.forgotten(),
            trimmed: self.topics.trimmed(),
            trims: trims.collect(),
            keys: self.keys.state(steady),
        }
    }

    pub(crate) fn last(&self) -> Position {
        self.last
    }

    /// Up to where everything was trimmed.
    pub(crate) fn trimmed(&self) -> Position {
        self.topics.trimmed()
    }

    pub(crate) fn append(
        &mut self,
        batch: Batch,
        now: StoreTime,
    ) -> Result<AppendResult, AppendError> {
        let answer = Appended {
            first: self.last.next(),
            count: batch.drafts.len(),
            repeated: false,
            durability: Durability::Memory,
        };
        if let Some(key) = &batch.key {
            if let Some((first, count)) = self.keys.get(key, now.steady)? {
                let answer = Appended { first, count, repeated: true, ..answer };
                return Ok(AppendResult { answer, events: Vec::new(), trimmed: None });
            }
            self.keys.insert(key, answer.first, answer.count, now.steady)?;
        }
        let events = batch.drafts.into_iter().map(|draft| self.push(draft, now.wall)).collect();
        let trimmed = self.trim(now.wall, usize::MAX);
        Ok(AppendResult { answer, events, trimmed })
    }

    /// Trims what has outlived its age, `at_most` so many events; call again until it returns
    /// `None`.
    pub(crate) fn expire(&mut self, now: StoreTime, at_most: usize) -> Option<Position> {
        self.keys.expire(now.steady);
        self.trim(now.wall, at_most)
    }

    /// Collects, in order, whatever `selector` may want up to `until`: a bounded number, and no
    /// more than `events` where it is certain to want them all. Checks in the same breath what was
    /// trimmed.
    pub(crate) fn stretch(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        events: usize,
    ) -> StoreStretch {
        let (asked, trimmed) = match from {
            ReadFrom::Earliest => (self.topics.trimmed(), None),
            ReadFrom::After(after) => (after, self.topics.trimmed_after(&selector.topics, after)),
        };
        let start = trimmed.unwrap_or(asked);
        let until = until.min(self.last);
        let scans = !selector.topics.patterns().is_empty();
        let wants_all =
            !selector.filters_types() && (!scans || selector.topics.matches_everything());
        let room =
            if wants_all { events.clamp(1, self.bounds.examined) } else { self.bounds.examined };
        let (after, through) = (self.seq(start), self.seq(until));
        let events: Vec<_> = if scans {
            self.retained(after, through).take(room).cloned().collect()
        } else {
            self.merged(selector.topics.topics(), after, through).take(room).cloned().collect()
        };
        let cut = events.last().filter(|_| events.len() == room).map(|event| event.position);
        let reaches = cut.unwrap_or(start.max(until));
        StoreStretch { trimmed, events, reaches }
    }

    /// The first event that its publisher gave this id, if it is retained.
    pub(crate) fn find(&self, id: &EventId) -> Option<Position> {
        self.ids.first(id)
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        MemoryStats {
            events: self.events.len(),
            bytes: self.bytes,
            topics: self.topics.len(),
            keys: self.keys.len(),
            oldest: self.events.front().map(|entry| entry.event.position),
            last: self.last,
        }
    }

    /// The watermark of the topics that are no longer known.
    #[cfg(test)]
    pub(crate) fn forgotten(&self) -> Position {
        self.topics.forgotten()
    }

    fn push(&mut self, draft: Draft, now: Timestamp) -> Arc<Event> {
        self.keep(draft.accepted(self.last.next(), now))
    }

    /// Keeps the next event.
    fn keep(&mut self, mut event: Event) -> Arc<Event> {
        self.last = event.position;
        let (id, topic) = self.topics.retain(&event.topic);
        event.topic = topic;
        enter(&mut self.index, id, self.last.seq);
        if let Some(extras) = &mut event.extras {
            extras.share_names(|topic| {
                let (id, topic) = self.topics.retain(topic);
                enter(&mut self.index, id, self.last.seq);
                topic
            });
            if let Some(id) = extras.id() {
                self.ids.enter(id, self.last);
            }
        }
        self.bytes += event.weight() as u64;
        let event = Arc::new(event);
        self.events.push_back(Entry { event: event.clone(), topic: id });
        event
    }

    fn trim(&mut self, now: Timestamp, at_most: usize) -> Option<Position> {
        let mut through = None;
        for _ in 0..at_most {
            let Some(oldest) = self.events.front() else { break };
            let age = now.as_millis().saturating_sub(oldest.event.published_at.as_millis());
            let exceeds = self.events.len() as u64 > self.retention.count
                || self.bytes > self.retention.bytes
                || Duration::from_millis(age) > self.retention.age;
            if !exceeds {
                break;
            }
            through = self.pop();
        }
        through
    }

    fn pop(&mut self) -> Option<Position> {
        let Entry { event, topic } = self.events.pop_front()?;
        self.bytes -= event.weight() as u64;
        self.leave(topic, event.position);
        for other in event.others() {
            // It is known for as long as something of it is retained.
            if let Some(other) = self.topics.id(other) {
                self.leave(other, event.position);
            }
        }
        if let Some(id) = event.id() {
            self.ids.leave(id, event.position);
        }
        Some(event.position)
    }

    /// The oldest retained event of a topic goes.
    fn leave(&mut self, topic: TopicId, position: Position) {
        self.topics.trim(topic, 1, position);
        let seqs = &mut self.index[topic.index()];
        seqs.pop_front();
        // What a burst has left behind is given back; every shrink is paid for by as many pops.
        if seqs.is_empty() || seqs.capacity() > 16 + 4 * seqs.len() {
            seqs.shrink_to(2 * seqs.len());
        }
    }

    /// A position as a place in this epoch, where it stands before or behind it too.
    fn seq(&self, position: Position) -> u64 {
        match position.epoch.cmp(&self.last.epoch) {
            Ordering::Less => 0,
            Ordering::Equal => position.seq.min(self.last.seq),
            Ordering::Greater => self.last.seq,
        }
    }

    /// How many events have been trimmed: the retained ones follow.
    fn base(&self) -> u64 {
        self.last.seq - self.events.len() as u64
    }

    /// The retained events with `after` < seq ≤ `until`.
    fn retained(&self, after: u64, until: u64) -> impl Iterator<Item = &Arc<Event>> {
        let end = until.saturating_sub(self.base()) as usize;
        let begin = (after.saturating_sub(self.base()) as usize).min(end);
        self.events.range(begin..end).map(|entry| &entry.event)
    }

    /// The same, of these topics only, and without looking at any other's.
    fn merged(
        &self,
        topics: &[Topic],
        after: u64,
        until: u64,
    ) -> impl Iterator<Item = &Arc<Event>> {
        let mut rests = Vec::with_capacity(topics.len());
        let mut heads = BinaryHeap::with_capacity(topics.len());
        for id in topics.iter().filter_map(|topic| self.topics.id(topic)) {
            let seqs = &self.index[id.index()];
            let mut rest = seqs.range(seqs.partition_point(|&seq| seq <= after)..);
            if let Some(&seq) = rest.next() {
                heads.push(Reverse((seq, rests.len())));
                rests.push(rest);
            }
        }
        let oldest = self.base() + 1;
        let mut next = move || {
            let mut head = heads.peek_mut()?;
            let Reverse((seq, which)) = *head;
            if seq > until {
                return None;
            }
            match rests[which].next() {
                Some(&following) => *head = Reverse((following, which)),
                None => {
                    PeekMut::pop(head);
                }
            }
            Some(seq)
        };
        // One of several of these topics comes up for each, in turn.
        let mut before = 0;
        let once = std::iter::from_fn(move || {
            loop {
                let seq = next()?;
                if std::mem::replace(&mut before, seq) != seq {
                    return Some(seq);
                }
            }
        });
        once.map(move |seq| &self.events[(seq - oldest) as usize].event)
    }
}

/// Notes that the event at `seq` is of this topic.
fn enter(index: &mut Vec<VecDeque<u64>>, topic: TopicId, seq: u64) {
    if index.len() <= topic.index() {
        index.resize_with(topic.index() + 1, VecDeque::new);
    }
    index[topic.index()].push_back(seq);
}

impl StoreStretch {
    /// Leaves what the selector wants, as much as fits a page. Needs no lock.
    pub(crate) fn select(self, selector: &Selector, limit: PageLimit) -> Page {
        let mut page = Page { trimmed: self.trimmed, events: Vec::new(), next: self.reaches };
        let mut bytes = 0;
        for event in self.events {
            if !selector.matches(&event) {
                continue;
            }
            bytes += event.weight();
            let full = page.events.len() >= limit.events || bytes > limit.bytes;
            if full && !page.events.is_empty() {
                let Position { epoch, seq } = event.position;
                page.next = Position::new(epoch, seq - 1);
                break;
            }
            page.events.push(event);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(count: u64, bounds: Bounds) -> Store {
        let age = Duration::from_secs(3600);
        let retention = Retention { count, bytes: 1 << 30, age };
        let key_window = Duration::from_secs(60);
        Store::new(1, MemorySettings { retention, key_window, key_capacity: 1 }, bounds)
    }

    fn publish(store: &mut Store, topic: &str, count: usize) -> AppendResult {
        let topic = || Topic::parse(topic).unwrap();
        let draft =
            || Draft { topic: topic(), event_type: None, message: "m".into(), extras: None };
        let drafts = std::iter::repeat_with(draft).take(count).collect();
        store.append(Batch { drafts, key: None }, StoreTime::of_both(0)).unwrap()
    }

    fn seqs(page: &Page) -> Vec<u64> {
        page.events.iter().map(|event| event.position.seq).collect()
    }

    const LIMIT: PageLimit = PageLimit { events: 10_000, bytes: 1 << 30 };
    const END: Position = Position::new(u64::MAX, 0);

    #[test]
    fn a_batch_larger_than_the_whole_retention_is_accepted_and_its_loss_told() {
        let mut store = store(10, Bounds::DEFAULT);
        let accepted = publish(&mut store, "burst", 1_000);
        assert_eq!(accepted.events.len(), 1_000, "the tail hears all of it");
        assert_eq!(accepted.trimmed, Some(Position::new(1, 990)));
        let selector = Selector::parse(["burst"], []).unwrap();
        let from = ReadFrom::After(Position::new(1, 0));
        let page = store.stretch(from, END, &selector, LIMIT.events).select(&selector, LIMIT);
        assert_eq!(page.trimmed, accepted.trimmed);
        assert_eq!(seqs(&page), (991..=1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_topic_gives_back_what_a_burst_has_left_behind() {
        let mut store = store(100, Bounds::DEFAULT);
        publish(&mut store, "burst", 1_000);
        assert!(store.index[0].capacity() <= 16 + 4 * 100);
        publish(&mut store, "other", 99);
        assert!(store.index[0].capacity() <= 16 + 4);
        publish(&mut store, "other", 1);
        assert_eq!(store.index[0].capacity(), 0);
    }

    #[test]
    fn events_of_one_topic_do_not_each_carry_its_name() {
        let mut store = store(100, Bounds::DEFAULT);
        publish(&mut store, "t", 2);
        publish(&mut store, "t", 1);
        let names = store.events.iter().map(|entry| entry.event.topic.as_str().as_ptr());
        assert_eq!(names.collect::<std::collections::HashSet<_>>().len(), 1);
    }

    #[test]
    fn a_rare_type_does_not_make_one_read_look_at_the_whole_log() {
        let mut store = store(100, Bounds { examined: 8, ..Bounds::DEFAULT });
        publish(&mut store, "t", 20);
        for topic in ["t", "*"] {
            let selector = Selector::parse([topic], ["rare"]).unwrap();
            let stretch = store.stretch(ReadFrom::Earliest, END, &selector, 1);
            assert_eq!(stretch.events.len(), 8);
            let page = stretch.select(&selector, LIMIT);
            assert_eq!((page.events.len(), page.next), (0, Position::new(1, 8)));
        }
    }

    #[test]
    fn an_event_larger_than_a_page_is_returned_alone() {
        let mut store = store(100, Bounds::DEFAULT);
        publish(&mut store, "t", 3);
        let selector = Selector::parse(["t"], []).unwrap();
        let tiny = PageLimit { events: 0, bytes: 0 };
        let from = ReadFrom::After(Position::new(1, 1));
        let page = store.stretch(from, END, &selector, 9).select(&selector, tiny);
        assert_eq!((seqs(&page), page.next), (vec![2], Position::new(1, 2)));
    }
}
