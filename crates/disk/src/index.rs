//! The index of one segment, in memory: where its records lie, which belong to which topic, and by what
//! ids their publishers call them. A record with several topics belongs to each of them.
//!
//! What must hold: an ordinal is a record's number within its segment, so `seq` is the first
//! record's plus the ordinal, whether or not the records between can still be read. What was lost
//! to damage keeps its ordinals.
//!
//! Memory: 8 bytes per event, 12 while its segment grows, and 20 bytes per topic of a closed segment beside the topic's
//! name. That of a closed segment is read when somebody asks for it ([`IndexCache`](crate::index_cache::IndexCache)).

use std::collections::HashMap;
use std::ops::Range;

use fanfare_event::{EventId, Position, Timestamp, Topic};

use crate::keys_file::KeptKey;
use fanfare_log::IdempotencyKey;

/// Where the records of one segment lie.
#[derive(Debug)]
pub(crate) struct Index {
    first: Position,
    offsets: Vec<u32>,
    end: u32,
    lost: Vec<Range<u32>>,
    postings: Postings,
    times: Option<(Timestamp, Timestamp)>,
    /// The batches that were published with a key.
    pub keys: Vec<KeyMark>,
    /// The records whose publishers chose an id, ascending.
    ids: Vec<(u32, EventId)>,
}

/// A batch that was published with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyMark {
    pub ordinal: u32,
    pub count: u32,
    pub time: Timestamp,
    pub key: IdempotencyKey,
}

impl KeyMark {
    /// Whether its batch is within a segment of so many records.
    pub(crate) fn is_within(&self, records: u32) -> bool {
        let end = self.ordinal.checked_add(self.count);
        end.is_some_and(|end| self.count > 0 && end <= records)
    }

    /// What it was answered, in the segment that begins here.
    pub(crate) fn kept(&self, first: Position) -> KeptKey {
        KeptKey {
            key: self.key.as_str().as_bytes().into(),
            first: first.plus(self.ordinal.into()),
            count: self.count,
            time: self.time,
        }
    }
}

/// The ordinals of each topic, ascending.
#[derive(Debug)]
enum Postings {
    /// Of a segment that still grows.
    Growing(GrowingPostings),
    /// Of a closed one: the ordinals of `topics[n]` end at `ends[n]`. Topics are sorted.
    Closed { topics: Box<[Topic]>, ends: Box<[u32]>, ordinals: Box<[u32]> },
}

/// What is known of topics while records are still added.
#[derive(Debug, Default)]
struct GrowingPostings {
    /// Each topic's place in `topics`.
    places: HashMap<Topic, u32>,
    /// A topic stays though its records are lost.
    topics: Vec<(Topic, Vec<u32>)>,
    /// The place of each record's topic; [`GrowingPostings::LOST`] of those that are lost,
    /// [`GrowingPostings::SEVERAL`] of those that have several.
    of_record: Vec<u32>,
}

impl GrowingPostings {
    const LOST: u32 = u32::MAX;
    /// Stands for the topics of a record that has several.
    const SEVERAL: u32 = u32::MAX - 1;

    fn push(&mut self, topic: &Topic, ordinal: u32) {
        let place = self.enter(topic, ordinal);
        self.of_record.push(place);
    }

    fn push_others(&mut self, others: &[Topic], ordinal: u32) {
        for topic in others {
            self.enter(topic, ordinal);
        }
        if let Some(place) = self.of_record.last_mut() {
            *place = Self::SEVERAL;
        }
    }

    /// Returns the topic's place.
    fn enter(&mut self, topic: &Topic, ordinal: u32) -> u32 {
        let place = match self.places.get(topic) {
            Some(&place) => place,
            None => {
                let place = self.topics.len() as u32;
                self.places.insert(topic.clone(), place);
                self.topics.push((topic.clone(), Vec::new()));
                place
            }
        };
        self.topics[place as usize].1.push(ordinal);
        place
    }

    fn lose(&mut self, ordinals: &Range<u32>) {
        for (_, of_topic) in &mut self.topics {
            of_topic.retain(|ordinal| !ordinals.contains(ordinal));
        }
        self.of_record[ordinals.start as usize..ordinals.end as usize].fill(Self::LOST);
    }

    fn truncate(&mut self, ordinal: u32) {
        for (_, of_topic) in &mut self.topics {
            of_topic.truncate(of_topic.partition_point(|&o| o < ordinal));
        }
        self.of_record.truncate(ordinal as usize);
    }

    fn of(&self, topic: &Topic) -> &[u32] {
        self.places.get(topic).map_or(&[], |&place| &self.topics[place as usize].1)
    }
}

impl Index {
    /// Of a segment without records, the first of which will stand at `first` in the log and at
    /// `end` in the file.
    pub(crate) fn new(first: Position, end: u32) -> Self {
        Self {
            first,
            offsets: Vec::new(),
            end,
            lost: Vec::new(),
            postings: Postings::Growing(GrowingPostings::default()),
            times: None,
            keys: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// From its parts as they were written down. `topics` are sorted, each with the end of its
    /// ordinals. `None` where the parts contradict each other.
    pub(crate) fn closed(parts: Parts) -> Option<Self> {
        let Parts { first, offsets, end, lost, topics, ordinals, times, keys, ids } = parts;
        let count = u32::try_from(offsets.len()).ok()?;
        let ascending = |numbers: &[u32]| numbers.is_sorted_by(|a, b| a < b);
        let offsets_fit = offsets.is_sorted() && offsets.last().is_none_or(|&last| last <= end);
        let lost_fit = lost.iter().all(|lost| lost.start < lost.end && lost.end <= count)
            && lost.is_sorted_by(|a, b| a.end <= b.start);
        let (topics, ends): (Vec<_>, Vec<_>) = topics.into_iter().unzip();
        let mut start = 0;
        let postings_fit = topics.is_sorted_by(|a, b| a < b)
            && ends.iter().all(|&end| {
                let fits = ordinals.get(start as usize..end as usize).is_some_and(ascending);
                start = end;
                fits
            })
            && start as usize == ordinals.len()
            && ordinals.iter().all(|&ordinal| ordinal < count);
        let keys_fit = keys.iter().all(|mark| mark.is_within(count));
        let ids_fit = ids.is_sorted_by(|(a, _), (b, _)| a < b)
            && ids.last().is_none_or(|(ordinal, _)| *ordinal < count);
        let fits = offsets_fit && lost_fit && postings_fit && keys_fit && ids_fit;
        fits.then(|| Self {
            first,
            offsets,
            end,
            lost,
            postings: Postings::Closed { topics: topics.into(), ends: ends.into(), ordinals },
            times,
            keys,
            ids,
        })
    }

    /// Notes the next record: its topic, its length in bytes, its time.
    pub(crate) fn push(&mut self, topic: &Topic, length: u32, time: Timestamp) {
        let ordinal = self.count();
        self.offsets.push(self.end);
        self.end += length;
        self.times = Some(match self.times {
            Some((oldest, newest)) => (oldest.min(time), newest.max(time)),
            None => (time, time),
        });
        let Postings::Growing(postings) = &mut self.postings else {
            debug_assert!(false, "a closed segment does not grow");
            return;
        };
        postings.push(topic, ordinal);
    }

    /// Notes what few records have, of the one that was pushed last: further topics, and an id.
    pub(crate) fn push_extras(&mut self, others: &[Topic], id: Option<&EventId>) {
        let Some(ordinal) = self.count().checked_sub(1) else { return };
        if let Postings::Growing(postings) = &mut self.postings
            && !others.is_empty()
        {
            postings.push_others(others, ordinal);
        }
        self.ids.extend(id.map(|id| (ordinal, id.clone())));
    }

    /// Notes that `records` records cannot be read, in a stretch of `length` bytes.
    pub(crate) fn push_lost(&mut self, records: u32, length: u32) {
        let start = self.count();
        self.offsets.extend((0..records).map(|_| self.end));
        if let Postings::Growing(postings) = &mut self.postings {
            postings.of_record.resize(self.offsets.len(), GrowingPostings::LOST);
        }
        self.end += length;
        match self.lost.last_mut() {
            Some(before) if before.end == start => before.end += records,
            _ => self.lost.push(start..start + records),
        }
    }

    /// Counts records that can be read as lost all the same; only while the segment grows.
    pub(crate) fn lose(&mut self, ordinals: Range<u32>) {
        if ordinals.is_empty() {
            return;
        }
        self.keys.retain(|mark| !ordinals.contains(&mark.ordinal));
        self.ids.retain(|(ordinal, _)| !ordinals.contains(ordinal));
        if let Postings::Growing(postings) = &mut self.postings {
            postings.lose(&ordinals);
        }
        self.lost.push(ordinals);
        self.lost.sort_unstable_by_key(|lost| lost.start);
        self.lost.dedup_by(|next, before| {
            let meets = next.start <= before.end;
            before.end = if meets { before.end.max(next.end) } else { before.end };
            meets
        });
    }

    /// Forgets the records from `ordinal` on, which then can be pushed again.
    pub(crate) fn truncate(&mut self, ordinal: u32) {
        let Some(&end) = self.offsets.get(ordinal as usize) else { return };
        self.offsets.truncate(ordinal as usize);
        self.end = end;
        self.keys.retain(|mark| mark.ordinal < ordinal);
        self.ids.retain(|(of, _)| *of < ordinal);
        self.lost.retain(|lost| lost.start < ordinal);
        if let Postings::Growing(postings) = &mut self.postings {
            postings.truncate(ordinal);
        }
    }

    /// Makes it compact, once its segment grows no more.
    pub(crate) fn close(&mut self) {
        self.offsets.shrink_to_fit();
        self.ids.shrink_to_fit();
        let Postings::Growing(postings) = &mut self.postings else { return };
        let mut sorted = std::mem::take(&mut postings.topics);
        sorted.retain(|(_, of_topic)| !of_topic.is_empty());
        sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut ordinals = Vec::with_capacity(self.offsets.len());
        let mut ends = Vec::with_capacity(sorted.len());
        let mut topics = Vec::with_capacity(sorted.len());
        for (topic, of_topic) in sorted {
            ordinals.extend(of_topic);
            ends.push(ordinals.len() as u32);
            topics.push(topic);
        }
        self.postings = Postings::Closed {
            topics: topics.into(),
            ends: ends.into(),
            ordinals: ordinals.into(),
        };
    }

    /// Where the segment begins in the log.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// The position of its last record; the one before its first where it has none.
    pub(crate) fn last(&self) -> Position {
        Position::new(self.first.epoch, self.first.seq - 1 + u64::from(self.count()))
    }

    /// The position of a record.
    pub(crate) fn position(&self, ordinal: u32) -> Position {
        self.first.plus(ordinal.into())
    }

    /// How many records there are, the lost ones included.
    pub(crate) fn count(&self) -> u32 {
        self.offsets.len() as u32
    }

    /// Where the last record ends in the file, in bytes.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// Where a record lies in the file. Short of its record only where that was lost.
    pub(crate) fn extent(&self, ordinal: u32) -> Range<u32> {
        let at = |ordinal: usize| self.offsets.get(ordinal).copied().unwrap_or(self.end);
        at(ordinal as usize)..at(ordinal as usize + 1)
    }

    /// What the keys of its batches were answered, which it then no longer has.
    pub(crate) fn take_keys(&mut self) -> Vec<KeptKey> {
        let keys = std::mem::take(&mut self.keys);
        keys.iter().map(|mark| mark.kept(self.first)).collect()
    }

    /// The ids that publishers chose, each with its record, ascending; which it then no longer has.
    pub(crate) fn take_ids(&mut self) -> Vec<(u32, EventId)> {
        std::mem::take(&mut self.ids)
    }

    /// Forgets what readers do not ask for: keys and ids.
    pub(crate) fn drop_keys_and_ids(&mut self) {
        (self.keys, self.ids) = (Vec::new(), Vec::new());
    }

    /// How much memory it takes, in bytes; of a closed one.
    pub(crate) fn footprint(&self) -> usize {
        // Of a name: its place, its end, what counts who shares it and what the allocator adds.
        const NAME: usize = 52;
        let Postings::Closed { topics, ordinals, .. } = &self.postings else { return usize::MAX };
        let names: usize = topics.iter().map(|topic| NAME + topic.as_str().len()).sum();
        size_of::<Self>() + (self.offsets.len() + ordinals.len()) * 4 + names
    }

    /// The stretches of ordinals that cannot be read.
    pub(crate) fn lost(&self) -> &[Range<u32>] {
        &self.lost
    }

    /// The stretch of records that cannot be read to which a record is known to belong.
    pub(crate) fn lost_with(&self, ordinal: u32) -> Option<Range<u32>> {
        let at = self.lost.partition_point(|lost| lost.end <= ordinal);
        self.lost.get(at).filter(|lost| lost.start <= ordinal).cloned()
    }

    /// The times of its oldest and newest record.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    /// Where each record begins in the file.
    pub(crate) fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// The ordinals of one topic.
    pub(crate) fn of(&self, topic: &Topic) -> &[u32] {
        match &self.postings {
            Postings::Growing(postings) => postings.of(topic),
            Postings::Closed { topics, ends, ordinals } => match topics.binary_search(topic) {
                Ok(at) => slice(ends, ordinals, at),
                Err(_) => &[],
            },
        }
    }

    /// Calls `each` with every topic and its ordinals; in the order of names where closed.
    pub(crate) fn topics<'a>(&'a self, mut each: impl FnMut(&'a Topic, &'a [u32])) {
        match &self.postings {
            Postings::Growing(postings) => {
                let known = postings.topics.iter().filter(|(_, of_topic)| !of_topic.is_empty());
                known.for_each(|(topic, ordinals)| each(topic, ordinals));
            }
            Postings::Closed { topics, ends, ordinals } => {
                for (at, topic) in topics.iter().enumerate() {
                    each(topic, slice(ends, ordinals, at));
                }
            }
        }
    }

    /// Lets `name` replace equal topics, so that indices that are kept share one name.
    pub(crate) fn share_names(&mut self, mut name: impl FnMut(&Topic) -> Topic) {
        if let Postings::Closed { topics, .. } = &mut self.postings {
            topics.iter_mut().for_each(|topic| *topic = name(topic));
        }
    }

    /// The topics of a closed segment, in the order of names; empty while it grows.
    pub(crate) fn names(&self) -> &[Topic] {
        match &self.postings {
            Postings::Growing(_) => &[],
            Postings::Closed { topics, .. } => topics,
        }
    }

    /// The ordinals of the topic at this place among [`Index::names`].
    pub(crate) fn at(&self, place: usize) -> &[u32] {
        match &self.postings {
            Postings::Growing(_) => &[],
            Postings::Closed { ends, ordinals, .. } => slice(ends, ordinals, place),
        }
    }

    /// The topic of a record of a segment that grows; `None` where it is lost, or has several.
    pub(crate) fn topic_of(&self, ordinal: u32) -> Option<&Topic> {
        let Postings::Growing(postings) = &self.postings else { return None };
        let place = *postings.of_record.get(ordinal as usize)?;
        postings.topics.get(place as usize).map(|(topic, _)| topic)
    }
}

/// What an index consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub first: Position,
    pub offsets: Vec<u32>,
    pub end: u32,
    pub lost: Vec<Range<u32>>,
    pub topics: Vec<(Topic, u32)>,
    pub ordinals: Box<[u32]>,
    pub times: Option<(Timestamp, Timestamp)>,
    pub keys: Vec<KeyMark>,
    pub ids: Vec<(u32, EventId)>,
}

fn slice<'a>(ends: &[u32], ordinals: &'a [u32], at: usize) -> &'a [u32] {
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &ordinals[start as usize..ends[at] as usize]
}
