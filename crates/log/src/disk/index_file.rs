//! The index of a closed segment, as a file beside it: what spares a start the reading of the
//! whole log.
//!
//! What must hold: it only repeats what the segment says. Where it is missing, damaged or does not
//! fit, the segment is scanned instead.

use std::io;

use fanfare_event::{EventId, Position, Timestamp, Topic};

use super::index::{Index, KeyMark, Parts};
use super::segment::{INDEX, SegmentIdentity, name};
use super::storage::{Storage, read_file, replace};
use crate::IdempotencyKey;
use crate::bytes::{ByteReader, seal, unseal};

const MAGIC: &[u8; 8] = b"FFINDEX2";

/// What it began with before it named ids.
const MAGIC_WITHOUT_IDS: &[u8; 8] = b"FFINDEX1";

/// No more than this is read of it: some eight bytes for each record, the shortest of which has more
/// than thirty.
const LIMIT: u64 = 2 << 30;

/// The file's name.
pub(super) fn file_name(first: Position) -> String {
    format!("{}{INDEX}", name(first))
}

/// Reads the index of the segment that begins here; `None` where there is none, or a damaged one.
pub(super) fn load(
    storage: &dyn Storage,
    first: Position,
) -> io::Result<Option<(SegmentIdentity, Index)>> {
    let bytes = match read_file(storage, &file_name(first), LIMIT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    Ok(decode(&bytes).filter(|(identity, _)| identity.first == first))
}

/// Writes the index of a closed segment. Without it the next start only takes longer.
pub(super) fn store(storage: &dyn Storage, identity: &SegmentIdentity, index: &Index) {
    let file = file_name(identity.first);
    if let Err(error) = replace(storage, &file, &encode(identity, index)) {
        tracing::warn!(file, %error, "cannot write an index, the next start scans its segment");
    }
}

/// The content of the file. The index must be closed.
pub(super) fn encode(identity: &SegmentIdentity, index: &Index) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(index.count() as usize * 8 + 4096);
    bytes.extend_from_slice(MAGIC);
    identity.encode(&mut bytes);
    let (oldest, newest) = index.times().unwrap_or((Timestamp(0), Timestamp(0)));
    u64s(&mut bytes, &[oldest.as_millis(), newest.as_millis()]);
    u32s(&mut bytes, &[index.times().is_some().into(), index.end(), index.count()]);
    u32s(&mut bytes, index.offsets());
    u32s(&mut bytes, &[index.lost().len() as u32]);
    for lost in index.lost() {
        u32s(&mut bytes, &[lost.start, lost.end]);
    }
    let (mut ordinals, mut topics) = (Vec::new(), Vec::new());
    index.topics(|topic, of_topic| {
        ordinals.extend_from_slice(of_topic);
        topics.push((topic, ordinals.len() as u32));
    });
    u32s(&mut bytes, &[topics.len() as u32]);
    for (topic, end) in topics {
        u32s(&mut bytes, &[end]);
        text(&mut bytes, topic.as_str());
    }
    u32s(&mut bytes, &[ordinals.len() as u32]);
    u32s(&mut bytes, &ordinals);
    u32s(&mut bytes, &[index.keys.len() as u32]);
    for mark in &index.keys {
        u32s(&mut bytes, &[mark.ordinal, mark.count]);
        u64s(&mut bytes, &[mark.time.as_millis()]);
        text(&mut bytes, mark.key.as_str());
    }
    u32s(&mut bytes, &[index.ids().len() as u32]);
    for (ordinal, id) in index.ids() {
        u32s(&mut bytes, &[*ordinal]);
        text(&mut bytes, id.as_str());
    }
    seal(&mut bytes);
    bytes
}

/// What the file says; `None` where it is not such a file, or damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<(SegmentIdentity, Index)> {
    let mut cut = unseal(bytes)?;
    let magic = cut.take(MAGIC.len())?;
    if magic != MAGIC && magic != MAGIC_WITHOUT_IDS {
        return None;
    }
    let identity = SegmentIdentity::decode(&mut cut)?;
    let times = (Timestamp(cut.u64()?), Timestamp(cut.u64()?));
    let has_times = cut.u32()? != 0;
    let end = cut.u32()?;
    let count = cut.u32()? as usize;
    let offsets = cut.u32s(count)?.into_vec();
    let lost = many(&mut cut, |cut| Some(cut.u32()?..cut.u32()?))?;
    let topics = many(&mut cut, |cut| {
        let end = cut.u32()?;
        Some((Topic::parse(read_text(cut)?).ok()?, end))
    })?;
    let count = cut.u32()? as usize;
    let ordinals = cut.u32s(count)?;
    let keys = many(&mut cut, |cut| {
        Some(KeyMark {
            ordinal: cut.u32()?,
            count: cut.u32()?,
            time: Timestamp(cut.u64()?),
            key: IdempotencyKey::parse(read_text(cut)?).ok()?,
        })
    })?;
    let ids = if magic == MAGIC {
        many(&mut cut, |cut| Some((cut.u32()?, EventId::parse(read_text(cut)?).ok()?)))?
    } else {
        Vec::new()
    };
    let index = Index::closed(Parts {
        first: identity.first,
        offsets,
        end,
        lost,
        topics,
        ordinals,
        times: has_times.then_some(times),
        keys,
        ids,
    })?;
    (cut.0.is_empty() && index.first() > Position::ORIGIN).then_some((identity, index))
}

/// As many as the number in front says. Allocates as it finds them.
fn many<T>(
    cut: &mut ByteReader<'_>,
    mut read: impl FnMut(&mut ByteReader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = cut.u32()?;
    (0..count).map(|_| read(cut)).collect()
}

fn u32s(bytes: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
}

fn u64s(bytes: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
}

/// Topics, keys and ids are at most 256 bytes long.
fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(cut: &mut ByteReader<'a>) -> Option<&'a str> {
    let length = cut.u16()?;
    cut.str(length.into())
}
