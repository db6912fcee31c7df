//! The index of a closed segment, as a file beside it: what spares a start the reading of the
//! whole log.
//!
//! ```text
//! head        magic 8 bytes, u32 length of the head, the segment's identity
//!             u64 u64 times, u32 whether there are any, u32 end, u32 count of records
//!             what is lost, of each topic how much, keys, ids: of each a u32 number, and so many
//!             u32 checksum
//! places      u32 for each record: where it begins
//!             u32 for each topic's records: their ordinals, by the topics of the head
//! u32         checksum of everything
//! ```
//!
//! What must hold: it only repeats what the segment says. Where it is missing, damaged or does not
//! fit, the segment is scanned instead. A start reads the head alone: its checksum is its own, and the size
//! of the file shows whether the rest is there.

use std::io;

use fanfare_event::{EventId, Position, Timestamp, Topic};

use crate::index::{Index, KeyMark, Parts};
use crate::keys_file::KeptKey;
use crate::name_table::NameTable;
use crate::segment::{INDEX, SegmentIdentity, name};
use crate::storage::{Storage, read_file, read_full, replace};
use crate::summary::{Summary, TopicShare};
use fanfare_log::IdempotencyKey;
use fanfare_log::bytes::{ByteReader, seal, unseal};

const MAGIC: &[u8; 8] = b"FFINDEX3";

/// What it began with before it had a head.
const MAGIC_WITHOUT_HEAD: &[u8; 8] = b"FFINDEX2";

/// What it began with before it named ids.
const MAGIC_WITHOUT_IDS: &[u8; 8] = b"FFINDEX1";

/// No more than this is read of it: some eight bytes for each record, the shortest of which has more
/// than thirty.
const LIMIT: u64 = 2 << 30;

/// How much is read of it at first: a head of some hundred topics.
const FIRST: u64 = 8 << 10;

/// What a start has to know of a segment.
#[derive(Debug)]
pub(crate) struct IndexHead {
    pub identity: SegmentIdentity,
    pub summary: Summary,
    /// By the places of a [`NameTable`], in the order of names.
    pub topics: Vec<TopicShare<u32>>,
    /// What the keys of its batches were answered, ascending.
    pub keys: Vec<KeptKey>,
}

/// What a file says, as far as it was asked.
#[derive(Debug)]
pub(crate) struct FoundIndex {
    pub head: IndexHead,
    /// The index itself, where all of the file had to be read.
    pub index: Option<Index>,
}

/// The file's name.
pub(crate) fn file_name(first: Position) -> String {
    format!("{}{INDEX}", name(first))
}

/// Reads the head of the index of the segment that begins here; all of it where an older version wrote it.
/// `None` where there is none, or a damaged one.
pub(crate) fn load_head(
    storage: &dyn Storage,
    first: Position,
    names: &mut NameTable,
) -> io::Result<Option<FoundIndex>> {
    let file = match storage.open(&file_name(first)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let size = file.size()?.min(LIMIT);
    let mut bytes = vec![0; size.min(FIRST) as usize];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    let length = length_of_head(&bytes);
    let needed = length.map_or(size, u64::from);
    if needed > size {
        return Ok(None);
    }
    let have = bytes.len();
    bytes.resize(needed as usize, 0);
    if let Some(rest) = bytes.get_mut(have..) {
        let read = read_full(&*file, rest, have as u64)?;
        bytes.truncate(have + read);
    }
    let found = if length.is_some() {
        decode_head(&bytes, names)
            .filter(|head| size == needed + head.length_of_places())
            .map(|head| FoundIndex { head, index: None })
    } else {
        decode(&bytes).map(|(identity, index)| FoundIndex::of(identity, index, names))
    };
    Ok(found.filter(|found| found.head.identity.first == first))
}

/// Reads the index of the segment that begins here; `None` where there is none, or a damaged one.
pub(crate) fn load(
    storage: &dyn Storage,
    first: Position,
) -> io::Result<Option<(SegmentIdentity, Index)>> {
    let bytes = match read_file(storage, &file_name(first), LIMIT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    Ok(decode(&bytes).filter(|(identity, _)| identity.first == first))
}

/// Writes the index of a closed segment, and says whether it could. Without it the next start only takes
/// longer.
pub(crate) fn store(storage: &dyn Storage, first: Position, content: &[u8]) -> bool {
    let file = file_name(first);
    let stored = replace(storage, &file, content);
    if let Err(error) = &stored {
        tracing::warn!(file, %error, "cannot write an index, the next start scans its segment");
    }
    stored.is_ok()
}

/// The content of the file. The index must be closed.
pub(crate) fn encode(
    identity: &SegmentIdentity,
    summary: &Summary,
    keys: &[KeptKey],
    index: &Index,
) -> Vec<u8> {
    let mut topics = Vec::with_capacity(index.names().len());
    let mut ordinals = Vec::with_capacity(index.count() as usize);
    index.topics(|topic, of_topic| {
        let Some(&last) = of_topic.last() else { return };
        topics.push(TopicShare { topic, events: of_topic.len() as u32, last });
        ordinals.extend_from_slice(of_topic);
    });
    let mut bytes = encode_head(identity, summary, topics.into_iter(), keys.iter());
    bytes.reserve((index.offsets().len() + ordinals.len()) * 4 + 4);
    u32s(&mut bytes, index.offsets());
    u32s(&mut bytes, &ordinals);
    seal(&mut bytes);
    bytes
}

/// The head alone. The topics are in the order of names.
pub(crate) fn encode_head<'a>(
    identity: &SegmentIdentity,
    summary: &Summary,
    topics: impl Iterator<Item = TopicShare<&'a Topic>>,
    keys: impl Iterator<Item = &'a KeptKey>,
) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let length = bytes.len()..bytes.len() + 4;
    u32s(&mut bytes, &[0]);
    identity.encode(&mut bytes);
    let (oldest, newest) = summary.times.unwrap_or((Timestamp(0), Timestamp(0)));
    u64s(&mut bytes, &[oldest.as_millis(), newest.as_millis()]);
    u32s(&mut bytes, &[summary.times.is_some().into(), summary.end, summary.count]);
    numbered(&mut bytes, summary.lost.iter(), |bytes, lost| u32s(bytes, &[lost.start, lost.end]));
    numbered(&mut bytes, topics, |bytes, share| {
        u32s(bytes, &[share.events, share.last]);
        text(bytes, share.topic.as_str().as_bytes());
    });
    numbered(&mut bytes, keys, |bytes, kept| {
        let ordinal = kept.first.seq.saturating_sub(summary.first.seq) as u32;
        u32s(bytes, &[ordinal, kept.count]);
        u64s(bytes, &[kept.time.as_millis()]);
        text(bytes, &kept.key);
    });
    numbered(&mut bytes, summary.ids.iter(), |bytes, (ordinal, id)| {
        u32s(bytes, &[*ordinal]);
        text(bytes, id.as_str().as_bytes());
    });
    let whole = bytes.len() as u32 + 4;
    bytes[length].copy_from_slice(&whole.to_le_bytes());
    seal(&mut bytes);
    bytes
}

/// What a whole file, or its head, says; `None` where it is neither, or damaged.
pub(crate) fn decode_any(bytes: &[u8], names: &mut NameTable) -> Option<FoundIndex> {
    if length_of_head(bytes).is_some_and(|length| length as usize == bytes.len()) {
        return decode_head(bytes, names).map(|head| FoundIndex { head, index: None });
    }
    decode(bytes).map(|(identity, index)| FoundIndex::of(identity, index, names))
}

/// What the file says; `None` where it is not such a file, or damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<(SegmentIdentity, Index)> {
    let content = unseal(bytes)?;
    let Some(length) = length_of_head(content.0) else { return decode_headless(content) };
    let (head, places) = content.0.split_at_checked(length as usize)?;
    let (mut topics, mut end, mut lasts) = (Vec::new(), 0_u32, Vec::new());
    let head = read_head(head, |share| {
        end = end.checked_add(share.events)?;
        topics.push((Topic::parse(share.topic).ok()?, end));
        lasts.push(share.last);
        Some(())
    })?;
    let mut places = ByteReader(places);
    let offsets = places.u32s(head.summary.count as usize)?.into_vec();
    let ordinals = places.u32s(end as usize)?;
    let ends = topics.iter().map(|(_, end)| *end);
    let lasts_fit = ends.zip(lasts).all(|(end, last)| {
        end.checked_sub(1).and_then(|at| ordinals.get(at as usize)) == Some(&last)
    });
    let Summary { first, end, times, lost, ids, .. } = head.summary;
    let keys = head.keys;
    let index =
        Index::closed(Parts { first, offsets, end, lost, topics, ordinals, times, keys, ids })?;
    (places.0.is_empty() && lasts_fit).then_some((head.identity, index))
}

/// The same of a file of an older version.
fn decode_headless(mut cut: ByteReader<'_>) -> Option<(SegmentIdentity, Index)> {
    let magic = cut.take(MAGIC.len())?;
    if magic != MAGIC_WITHOUT_HEAD && magic != MAGIC_WITHOUT_IDS {
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
    let keys = many(&mut cut, read_key)?;
    let ids = if magic == MAGIC_WITHOUT_HEAD { many(&mut cut, read_id)? } else { Vec::new() };
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

/// How long the head is, with its checksum; `None` where there is none.
fn length_of_head(bytes: &[u8]) -> Option<u32> {
    ByteReader(bytes.strip_prefix(MAGIC)?).u32()
}

fn decode_head(bytes: &[u8], names: &mut NameTable) -> Option<IndexHead> {
    let mut topics = Vec::new();
    let head = read_head(bytes, |TopicShare { topic, events, last }| {
        topics.push(TopicShare { topic: names.place(topic)?, events, last });
        Some(())
    })?;
    let Head { identity, summary, keys } = head;
    let kept = |mark: &KeyMark| mark.kept(summary.first);
    let keys = keys.iter().map(kept).collect();
    topics.shrink_to_fit();
    Some(IndexHead { identity, summary, topics, keys })
}

/// A head without its topics.
struct Head {
    identity: SegmentIdentity,
    summary: Summary,
    keys: Vec<KeyMark>,
}

/// Reads a head, and calls `each` with every topic, in the order of names.
fn read_head<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(TopicShare<&'a str>) -> Option<()>,
) -> Option<Head> {
    let mut cut = unseal(bytes)?;
    cut.take(MAGIC.len() + 4)?;
    let identity = SegmentIdentity::decode(&mut cut)?;
    let times = (Timestamp(cut.u64()?), Timestamp(cut.u64()?));
    let times = (cut.u32()? != 0).then_some(times);
    let (end, count) = (cut.u32()?, cut.u32()?);
    let lost = many(&mut cut, |cut| Some(cut.u32()?..cut.u32()?))?;
    let mut before = None;
    for _ in 0..cut.u32()? {
        let (events, last) = (cut.u32()?, cut.u32()?);
        let topic = read_text(&mut cut)?;
        let fits = events > 0 && events - 1 <= last && last < count && before < Some(topic);
        before = Some(topic);
        each(TopicShare { topic, events, last }).filter(|()| fits)?;
    }
    let keys = many(&mut cut, read_key)?;
    let ids = many(&mut cut, read_id)?;
    let summary = Summary { first: identity.first, count, end, times, lost, ids };
    let fits = cut.0.is_empty()
        && summary.is_consistent()
        && keys.iter().all(|mark| mark.is_within(count));
    fits.then_some(Head { identity, summary, keys })
}

impl IndexHead {
    /// Of a closed index, whose ids and keys it takes.
    pub(crate) fn of(identity: SegmentIdentity, index: &mut Index, names: &mut NameTable) -> Self {
        let keys = index.take_keys();
        let (summary, topics) = (Summary::of(index), shares(index, names));
        Self { identity, summary, topics, keys }
    }

    /// Fits it to an index that stands beside it: what that lacks, since it was made again of a damaged segment, is
    /// lost. Keys, ids and times stay, which the index need not have.
    pub(crate) fn fit(&mut self, index: &Index, names: &mut NameTable) {
        self.summary.lost = index.lost().to_vec();
        self.topics = shares(index, names);
    }

    /// How many bytes of the file follow the head.
    fn length_of_places(&self) -> u64 {
        let ordinals: u64 = self.topics.iter().map(|share| u64::from(share.events)).sum();
        (u64::from(self.summary.count) + ordinals) * 4 + 4
    }
}

impl FoundIndex {
    /// Of a closed index.
    pub(crate) fn of(identity: SegmentIdentity, mut index: Index, names: &mut NameTable) -> Self {
        let head = IndexHead::of(identity, &mut index, names);
        Self { head, index: Some(index) }
    }
}

/// What an index holds of each topic, in the order of names.
fn shares(index: &Index, names: &mut NameTable) -> Vec<TopicShare<u32>> {
    let mut topics = Vec::with_capacity(index.names().len());
    index.topics(|topic, ordinals| {
        let Some(&last) = ordinals.last() else { return };
        let (topic, events) = (names.place_of(topic), ordinals.len() as u32);
        topics.push(TopicShare { topic, events, last });
    });
    topics
}

fn read_key(cut: &mut ByteReader<'_>) -> Option<KeyMark> {
    Some(KeyMark {
        ordinal: cut.u32()?,
        count: cut.u32()?,
        time: Timestamp(cut.u64()?),
        key: IdempotencyKey::parse(read_text(cut)?).ok()?,
    })
}

/// Where a log holds an id that would be none today, its index is made again, without it.
fn read_id(cut: &mut ByteReader<'_>) -> Option<(u32, EventId)> {
    Some((cut.u32()?, EventId::parse(read_text(cut)?).ok()?))
}

/// As many as the number in front says. Allocates as it finds them.
fn many<T>(
    cut: &mut ByteReader<'_>,
    mut read: impl FnMut(&mut ByteReader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = cut.u32()?;
    (0..count).map(|_| read(cut)).collect()
}

/// Writes all of these, and how many they are in front.
fn numbered<T>(
    bytes: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    let number = bytes.len()..bytes.len() + 4;
    u32s(bytes, &[0]);
    let mut count = 0_u32;
    for item in items {
        write(bytes, item);
        count += 1;
    }
    bytes[number].copy_from_slice(&count.to_le_bytes());
}

fn u32s(bytes: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
}

fn u64s(bytes: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()));
}

/// Topics, keys and ids are at most a few hundred bytes long.
fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    bytes.extend_from_slice(text);
}

fn read_text<'a>(cut: &mut ByteReader<'a>) -> Option<&'a str> {
    let length = cut.u16()?;
    cut.str(length.into())
}
