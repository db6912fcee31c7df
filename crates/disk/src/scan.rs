//! Reading a segment from end to end: what is whole, what is lost, where it was torn.
//!
//! What must hold: no bytes make it panic, loop or allocate beyond the file's size; a record that
//! does not check is never returned; what may have been acknowledged and cannot be read counts as
//! lost, so that those who would have received it get a gap. Of a batch that was not synced and is
//! not whole nothing is returned: a power cut may have left any part of it, and whoever published
//! it was not answered and may publish it again.

use std::io;
use std::ops::Range;

use crate::index::{Index, KeyMark};
use crate::segment::{START, SegmentIdentity};
use crate::storage::{StoredFile, read_full};
use fanfare_event::Topic;
use fanfare_log::IdempotencyKey;
use fanfare_log::record::{self, Body, Header};

/// What was found in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Everything up to where the segment was torn.
    pub index: Index,
    /// Where the file stops making sense, if it does so before its end.
    pub end: SegmentEnd,
    /// Where records were lost, in the order of the file.
    pub damage: Vec<UnreadableBytes>,
    /// Records that can be read and count as lost, because others of their batch cannot.
    pub dropped: Vec<UnreadableBytes>,
    /// The record with which a batch begins whose end is missing.
    pub unfinished: Option<u32>,
}

/// A batch of which records are found.
struct OpenBatch {
    /// The first that is found.
    start: u32,
    /// The place in the batch that comes next.
    next: u32,
    /// Whether its first record is missing.
    headless: bool,
    /// Whether its records say where they stand in it.
    marked: bool,
    key: Option<KeyMark>,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentEnd {
    /// With a whole record.
    Whole,
    /// With the beginning of a record, or with zeros: a write that was cut off, and therefore
    /// never acknowledged. The offset is where it begins.
    Torn(u32),
    /// With bytes that no cut-off write leaves behind.
    Damaged(u32),
}

/// Bytes that should be records and are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnreadableBytes {
    /// Where they begin in the file.
    pub offset: u32,
    /// How many records they held.
    pub records: u32,
}

/// Reads the segment behind its header.
pub(crate) fn scan(file: &dyn StoredFile, identity: &SegmentIdentity) -> io::Result<Scan> {
    let size = file.size()?.min(u32::MAX.into()) as u32;
    let mut found = Scan {
        index: Index::new(identity.first, START),
        end: SegmentEnd::Whole,
        damage: Vec::new(),
        dropped: Vec::new(),
        unfinished: None,
    };
    let mut buffer = ReadBuffer { file, size, start: 0, bytes: Vec::new() };
    let mut open: Option<OpenBatch> = None;
    let mut incomplete: Vec<Range<u32>> = Vec::new();
    // Everything before this record was synced.
    let mut synced = 0;
    loop {
        let at = found.index.end();
        let expected = identity.first.seq + u64::from(found.index.count());
        if at >= size {
            break;
        }
        let Some(bytes) = buffer.get(at, record::HEADER)? else {
            found.end = SegmentEnd::Torn(at);
            break;
        };
        let header = match Header::parse(bytes, identity.salt) {
            Some(header) if header.seq == expected => header,
            _ => {
                match buffer.next_header(at, identity.salt, expected)? {
                    Some((next, header)) => {
                        let records = (header.seq - expected) as u32;
                        found.damage.push(UnreadableBytes { offset: at, records });
                        incomplete.extend(open.take().and_then(|open| open.cut_off(&found.index)));
                        found.index.push_lost(records, next - at);
                        continue;
                    }
                    None if buffer.is_zero(at)? => found.end = SegmentEnd::Torn(at),
                    None => found.end = SegmentEnd::Damaged(at),
                }
                break;
            }
        };
        let Some(record) = buffer.get(at, header.record_length() as usize)? else {
            found.end = SegmentEnd::Torn(at);
            break;
        };
        let ordinal = found.index.count();
        let (body, length) = (&record[record::HEADER..], record.len() as u32);
        let body = Some(body).filter(|body| header.matches(body)).and_then(Body::parse);
        let body = body.and_then(|body| {
            let topic = Topic::parse(body.topic).ok()?;
            let extras = body.extras(&topic).ok()?;
            Some((body, topic, extras))
        });
        let Some((body, topic, extras)) = body else {
            found.damage.push(UnreadableBytes { offset: at, records: 1 });
            incomplete.extend(open.take().and_then(|open| open.cut_off(&found.index)));
            found.index.push_lost(1, length);
            continue;
        };
        if body.synced_before {
            synced = ordinal;
        }
        let goes_on = |open: &OpenBatch| !body.marked || open.next == body.place;
        let mut batch = match open.take() {
            Some(open) if goes_on(&open) => open,
            other => {
                incomplete.extend(other.and_then(|open| open.cut_off(&found.index)));
                OpenBatch::at(ordinal, &body)
            }
        };
        found.index.push(&topic, length, body.time);
        if let Some(extras) = extras {
            found.index.push_extras(extras.others(), extras.id());
        }
        batch.next = body.place + 1;
        if body.batch_goes_on {
            open = Some(batch);
        } else if batch.headless {
            incomplete.push(batch.start..ordinal + 1);
        } else if let Some(mark) = batch.key {
            found.index.keys.push(KeyMark { count: ordinal - batch.start + 1, ..mark });
        }
    }
    match (open, found.end) {
        (Some(open), SegmentEnd::Damaged(_)) => incomplete.extend(open.cut_off(&found.index)),
        (open, _) => found.unfinished = open.map(|open| open.start),
    }
    for records in incomplete.into_iter().filter(|records| records.start >= synced) {
        let offset = found.index.extent(records.start).start;
        found.dropped.push(UnreadableBytes { offset, records: records.len() as u32 });
        found.index.lose(records);
    }
    Ok(found)
}

impl OpenBatch {
    fn at(ordinal: u32, body: &Body<'_>) -> Self {
        let key = body.key.and_then(|text| IdempotencyKey::parse(text).ok());
        Self {
            start: ordinal,
            next: body.place,
            headless: body.place > 0,
            marked: body.marked,
            key: key.map(|key| KeyMark { ordinal, count: 0, time: body.time, key }),
        }
    }

    /// What is found of it, where what comes next is not. An older version's records do not say
    /// whether they were synced, and stay.
    fn cut_off(self, index: &Index) -> Option<Range<u32>> {
        self.marked.then(|| self.start..index.count())
    }
}

/// A stretch of the file in memory.
struct ReadBuffer<'a> {
    file: &'a dyn StoredFile,
    size: u32,
    start: u32,
    bytes: Vec<u8>,
}

impl ReadBuffer<'_> {
    /// How much is read at once, unless a record is longer.
    const LENGTH: usize = 1 << 20;

    /// `length` bytes from `at`; `None` where the file is shorter.
    fn get(&mut self, at: u32, length: usize) -> io::Result<Option<&[u8]>> {
        let rest = (self.size - at.min(self.size)) as usize;
        if length > rest {
            return Ok(None);
        }
        let have = at >= self.start && (at - self.start) as usize + length <= self.bytes.len();
        if !have {
            self.start = at;
            self.bytes.resize(length.max(Self::LENGTH).min(rest), 0);
            let read = read_full(self.file, &mut self.bytes, at.into())?;
            self.bytes.truncate(read);
        }
        let from = (at - self.start) as usize;
        Ok(self.bytes.get(from..from + length))
    }

    /// The next place behind `damaged` at which a record begins that fits the file.
    fn next_header(
        &mut self,
        damaged: u32,
        salt: u64,
        expected: u64,
    ) -> io::Result<Option<(u32, Header)>> {
        let most = u64::from(self.size) / record::SHORTEST as u64;
        let size = self.size;
        for at in damaged + 1..size {
            let Some(bytes) = self.get(at, record::HEADER)? else { break };
            // Nearly every place is ruled out by its length alone.
            let Some(length) = bytes.first_chunk().map(|&b| u32::from_le_bytes(b)) else { break };
            if length > size - at {
                continue;
            }
            if let Some(header) = Header::parse(bytes, salt) {
                let plausible = header.seq > expected && header.seq - expected <= most;
                if plausible && u64::from(at) + header.record_length() <= size.into() {
                    return Ok(Some((at, header)));
                }
            }
        }
        Ok(None)
    }

    /// Whether nothing but zeros follows.
    fn is_zero(&mut self, from: u32) -> io::Result<bool> {
        let mut at = from;
        while at < self.size {
            let length = ((self.size - at) as usize).min(Self::LENGTH);
            let zero = self.get(at, length)?.is_some_and(|bytes| bytes.iter().all(|&b| b == 0));
            if !zero {
                return Ok(false);
            }
            at += length as u32;
        }
        Ok(true)
    }
}
