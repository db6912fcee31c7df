//! What the log on disk hands to the process that goes on with it, beside its directory and the lock.
//!
//! What must hold: with it, nothing need be read of the files to go on, and nothing written: the same
//! epoch, the same segments, keys and trims.

use std::io::{self, Read, Write};

use fanfare_event::{Position, Timestamp, Topic};

use crate::keys_file;
use crate::lineage_file;
use crate::reclaim::TrimmedFiles;
use crate::trims::Trims;
use fanfare_log::IdempotencyState;
use fanfare_log::bytes::ByteReader;
use fanfare_log::state_stream::{
    Magic, StateError, StateReader, StateWriter, put_position, put_trim, read_trim,
};
use fanfare_log::{Ended, Lineage};

const MAGIC: Magic = *b"FFDSKLG2";

/// What it began with before an index could be without its places.
const MAGIC_WITH_WHOLE_INDICES: Magic = *b"FFDSKLG1";

/// All that a frozen log knows, and its files may not: see [`DiskLog::freeze`](crate::DiskLog::freeze).
#[derive(Debug, Clone, PartialEq)]
pub struct DiskState {
    pub(crate) lineage: Lineage,
    /// Whether the current epoch is written down.
    pub(crate) recorded: bool,
    /// Whether it is noted that acknowledgements may be ahead of the disk.
    pub(crate) ahead: bool,
    /// When something was written last.
    pub(crate) written: Timestamp,
    /// How the epoch before the current one ended.
    pub(crate) parent: Ended,
    /// The last position that was written.
    pub(crate) head: Position,
    pub(crate) trims: Trims,
    /// The watermark of the topics that are no longer known.
    pub(crate) forgotten: Position,
    /// The head of each segment's index, as an index file has it, oldest first; all of the index where no
    /// file may have it.
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) keys: IdempotencyState,
    /// What was trimmed and is still there.
    pub(crate) trimmed: Vec<TrimmedFiles>,
}

impl DiskState {
    /// Where the log goes on: after this position.
    pub fn last(&self) -> Position {
        self.head
    }

    /// Writes it down.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut to = StateWriter::begin(to, MAGIC);
        let lineage = lineage_file::encode(&self.lineage);
        to.entry(|into| {
            let flags = [self.recorded, self.ahead, self.parent.lossy];
            into.extend(flags.map(u8::from));
            u64(into, self.written.as_millis());
            let positions = [self.parent.end, self.head, self.trims.through, self.trims.any_topic];
            positions.iter().for_each(|at| put_position(into, *at));
            put_position(into, self.forgotten);
            u64(into, self.trims.topics.len() as u64);
            u64(into, self.segments.len() as u64);
            u64(into, self.trimmed.len() as u64);
            put_bytes(into, &lineage);
        })?;
        for (topic, trimmed) in &self.trims.topics {
            to.entry(|into| put_trim(into, topic, *trimmed))?;
        }
        for segment in &self.segments {
            to.entry(|into| put_bytes(into, segment))?;
        }
        for trimmed in &self.trimmed {
            let (first, bytes, keys) = trimmed.parts();
            to.entry(|into| {
                put_position(into, first);
                bytes.iter().for_each(|bytes| u64(into, *bytes));
                u64(into, keys.len() as u64);
            })?;
            keys.iter().try_for_each(|key| to.entry(|into| keys_file::encode(into, key)))?;
        }
        self.keys.write_to(&mut to)?;
        to.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not whole, or is of a version that is not understood. Whatever is read, no more memory is taken
    /// than a small multiple of its length.
    pub fn read(from: &mut dyn Read) -> Result<Self, StateError> {
        let mut from = StateReader::begin(from, &[MAGIC, MAGIC_WITH_WHOLE_INDICES])?;
        let first = from.entry(First::read)?;
        let First { lineage, head, parent, .. } = &first;
        let plausible = lineage.current() == head.epoch
            && head.seq < 1 << 63
            && parent.end.epoch < head.epoch
            && first.through <= *head;
        if !plausible {
            return Err(StateError::Damaged("its positions contradict each other"));
        }
        let topics: Vec<(Topic, Position)> =
            (0..first.topics).map(|_| from.entry(read_trim)).collect::<Result<_, _>>()?;
        let segment = |cut: &mut ByteReader<'_>| bytes(cut).map(<[u8]>::to_vec);
        let segments =
            (0..first.segments).map(|_| from.entry(segment)).collect::<Result<_, _>>()?;
        let mut trimmed = Vec::new();
        for _ in 0..first.trimmed {
            let (at, bytes, keys) =
                from.entry(|cut| Some((cut.position()?, [cut.u64()?, cut.u64()?], cut.u64()?)))?;
            let key = |cut: &mut ByteReader<'_>| {
                let (key, length) = keys_file::decode(cut.0)?;
                cut.take(length).map(|_| key)
            };
            let keys = (0..keys).map(|_| from.entry(key)).collect::<Result<_, _>>()?;
            trimmed.push(TrimmedFiles::from_parts(at, bytes, keys));
        }
        let keys = IdempotencyState::read_from(&mut from)?;
        from.finish()?;
        let First { recorded, ahead, written, parent, head, through, any_topic, .. } = first;
        Ok(Self {
            lineage: first.lineage,
            recorded,
            ahead,
            written,
            parent,
            head,
            trims: Trims { through, any_topic, topics },
            forgotten: first.forgotten,
            segments,
            keys,
            trimmed,
        })
    }
}

/// What comes first.
struct First {
    recorded: bool,
    ahead: bool,
    written: Timestamp,
    parent: Ended,
    head: Position,
    through: Position,
    any_topic: Position,
    forgotten: Position,
    topics: u64,
    segments: u64,
    trimmed: u64,
    lineage: Lineage,
}

impl First {
    fn read(cut: &mut ByteReader<'_>) -> Option<Self> {
        let (recorded, ahead, lossy) = (flag(cut)?, flag(cut)?, flag(cut)?);
        let written = Timestamp(cut.u64()?);
        Some(Self {
            recorded,
            ahead,
            written,
            parent: Ended { end: cut.position()?, lossy },
            head: cut.position()?,
            through: cut.position()?,
            any_topic: cut.position()?,
            forgotten: cut.position()?,
            topics: cut.u64()?,
            segments: cut.u64()?,
            trimmed: cut.u64()?,
            lineage: lineage_file::decode(bytes(cut)?)?,
        })
    }
}

fn flag(cut: &mut ByteReader<'_>) -> Option<bool> {
    match cut.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn u64(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    u64(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn bytes<'a>(cut: &mut ByteReader<'a>) -> Option<&'a [u8]> {
    let length = cut.u64()?.try_into().ok()?;
    cut.take(length)
}
