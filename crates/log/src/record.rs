//! A record: one event as it stands in a segment, or is handed to the process that goes on with the log.
//!
//! ```text
//! header  length of the body  u32     all numbers little-endian
//!         seq                 u64
//!         checksum of the body u32    crc32c
//!         checksum of the header u32  crc32c of the segment's salt and the 16 bytes above
//! body    time                u64     milliseconds since the Unix epoch
//!         flags               u8      1: the next record belongs to the same batch
//!                                     2: it is not the first of its batch, and says which it is
//!                                     4: whatever stands before it was synced before it was written
//!                                     8: the two above are meant; older records have neither
//!                                     16: it has extras; a segment whose records may is marked
//!         lengths             u8 u8 u16  idempotency key, event type, topic; 0 where there is none
//!         place in the batch  u32     only with flag 2; the first has place 0
//!         extras                      only with flag 16:
//!           flags             u8      1: private; 2: a time to come back
//!           number of topics  u8      beside the one above
//!           length of the id  u16     0 where there is none
//!           lengths           u16     of each of these topics
//!           time to come back u64     in milliseconds; only with flag 2 of these
//!           id, topics
//!         key, type, topic, message
//! ```
//!
//! What must hold: of any records that survive it can be told whether their batch is whole. A header that checks says
//! how long the record is even where the body is damaged, so damage costs one event. The salt is random and known to
//! the segment only: what a publisher puts into a message can never pass for a record.

use fanfare_event::{Draft, Event, EventId, EventType, Extras, Position, Timestamp, Topic};

use crate::IdempotencyKey;
use crate::bytes::ByteReader;

/// The length of a header, in bytes.
pub const HEADER: usize = 20;

/// The length of a body without key, type, topic and message, in bytes.
const FIXED: usize = 13;

/// The length of the shortest record, in bytes.
pub const SHORTEST: usize = HEADER + FIXED;

const SAME_BATCH_FOLLOWS: u8 = 1;
const HAS_PLACE: u8 = 2;
const SYNCED_BEFORE: u8 = 4;
const MARKED: u8 = 8;
const HAS_EXTRAS: u8 = 16;

const PRIVATE: u8 = 1;
const HAS_RETRY: u8 = 2;

/// The length of a time to come back, in bytes.
const RETRY: usize = 8;

/// The length of a record's place in its batch, in bytes.
const PLACE: usize = 4;

/// A header that checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The length of the body, in bytes.
    pub length: u32,
    /// The event's number in its epoch.
    pub seq: u64,
    body_sum: u32,
}

impl Header {
    /// Reads a header; `None` where there is none, or a damaged one.
    pub fn parse(bytes: &[u8], salt: u64) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let mut cut = ByteReader(header);
        let (length, seq, body_sum) = (cut.u32()?, cut.u64()?, cut.u32()?);
        (cut.u32()? == header_sum(salt, &header[..16])).then_some(Self { length, seq, body_sum })
    }

    /// Whether this is the body the header was written for.
    pub fn matches(&self, body: &[u8]) -> bool {
        crc32c::crc32c(body) == self.body_sum
    }

    /// The length of the whole record, in bytes.
    pub fn record_length(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }
}

fn header_sum(salt: u64, fields: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), fields)
}

/// A body, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// When the event was accepted.
    pub time: Timestamp,
    /// Whether the next record belongs to the same batch.
    pub batch_goes_on: bool,
    /// Which record of its batch it is, from 0.
    pub place: u32,
    /// Whether all records before it were synced before it was written.
    pub synced_before: bool,
    /// Whether the two above are known; they are not of records that an older version wrote.
    pub marked: bool,
    /// The batch's idempotency key, on its first record.
    pub key: Option<&'a str>,
    event_type: Option<&'a str>,
    /// The event's first topic, which nobody has checked yet.
    pub topic: &'a str,
    message: &'a str,
    extras: Option<ExtrasText<'a>>,
}

/// The extras of a record, borrowed.
#[derive(Debug, Clone, Copy)]
struct ExtrasText<'a> {
    flags: u8,
    retry: Option<u64>,
    id: &'a str,
    /// The lengths of the topics, and behind them the topics.
    lengths: &'a [u8],
    topics: &'a [u8],
}

impl<'a> ExtrasText<'a> {
    fn cut(cut: &mut ByteReader<'a>) -> Option<Self> {
        let (flags, count, id) = (cut.u8()?, cut.u8()?, cut.u16()?);
        let lengths = cut.take(2 * usize::from(count))?;
        let retry = if flags & HAS_RETRY != 0 { Some(cut.u64()?) } else { None };
        let id = cut.str(id.into())?;
        let (pairs, _) = lengths.as_chunks();
        let total = pairs.iter().map(|&length| usize::from(u16::from_le_bytes(length))).sum();
        Some(Self { flags, retry, id, lengths, topics: cut.take(total)? })
    }

    fn topics(&self) -> Option<Vec<Topic>> {
        let (mut lengths, mut topics) = (ByteReader(self.lengths), ByteReader(self.topics));
        let mut all = Vec::with_capacity(self.lengths.len() / 2);
        while !lengths.0.is_empty() {
            let length = lengths.u16()?;
            all.push(Topic::parse(topics.str(length.into())?).ok()?);
        }
        Some(all)
    }

    fn id(&self) -> Option<Option<EventId>> {
        if self.id.is_empty() { Some(None) } else { EventId::read_back(self.id).ok() }
    }
}

impl<'a> Body<'a> {
    /// Reads a body whose checksum holds; `None` where it says nothing all the same, which only
    /// a fault in the program that wrote it can bring about.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut cut = ByteReader(bytes);
        let (time, flags) = (Timestamp(cut.u64()?), cut.u8()?);
        let (key, event_type, topic) = (cut.u8()?, cut.u8()?, cut.u16()?);
        let place = if flags & HAS_PLACE != 0 { cut.u32()? } else { 0 };
        let extras = match flags & HAS_EXTRAS {
            0 => None,
            _ => Some(ExtrasText::cut(&mut cut)?),
        };
        let key = cut.str(key.into())?;
        let event_type = cut.str(event_type.into())?;
        let topic = cut.str(topic.into())?;
        Some(Self {
            time,
            batch_goes_on: flags & SAME_BATCH_FOLLOWS != 0,
            place,
            synced_before: flags & SYNCED_BEFORE != 0,
            marked: flags & MARKED != 0,
            key: Some(key).filter(|key| !key.is_empty()),
            event_type: Some(event_type).filter(|name| !name.is_empty()),
            topic,
            message: cut.str(cut.0.len())?,
            extras,
        })
    }

    /// What few events have; an error where it is not to be understood.
    pub fn extras(&self, topic: &Topic) -> Result<Option<Box<Extras>>, NotExtras> {
        let Some(text) = &self.extras else { return Ok(None) };
        let (topics, id) = (text.topics().ok_or(NotExtras)?, text.id().ok_or(NotExtras)?);
        let extras = Extras::new(topic, topics, text.flags & PRIVATE != 0, id);
        Ok(Extras::with_retry(extras.map_err(|_| NotExtras)?, text.retry))
    }

    /// The event it holds, at `position`.
    pub fn event(&self, position: Position) -> Option<Event> {
        let topic = Topic::parse(self.topic).ok()?;
        Some(Event {
            position,
            extras: self.extras(&topic).ok()?,
            topic,
            event_type: self.event_type.map(EventType::parse).transpose().ok()?,
            published_at: self.time,
            message: self.message.into(),
        })
    }
}

/// The extras of a record whose checksum holds say nothing: a fault in the program that wrote them.
#[derive(Debug)]
pub struct NotExtras;

/// What a record says beside its draft.
#[derive(Debug, Clone, Copy)]
pub struct RecordMeta<'a> {
    /// What the checksum of its header begins with, so that a record of another file is none here.
    pub salt: u64,
    /// The event's number in its epoch.
    pub seq: u64,
    /// When it was accepted.
    pub time: Timestamp,
    /// Whether the next record belongs to the same batch.
    pub batch_goes_on: bool,
    /// Which record of its batch it is, from 0.
    pub place: u32,
    /// Whether all records before it were synced before it was written.
    pub synced_before: bool,
    /// The batch's idempotency key, for its first record.
    pub key: Option<&'a IdempotencyKey>,
}

/// How long a draft's record is at most without a key, in bytes.
pub fn length(draft: &Draft) -> usize {
    let event_type = draft.event_type.as_ref().map_or(0, |name| name.as_str().len());
    let extras = extras_length(draft.extras.as_deref());
    SHORTEST + PLACE + extras + draft.message.len() + draft.topic.as_str().len() + event_type
}

/// How long the record of an event is that is so far into its batch, without a key, in bytes.
pub fn length_of(event: &Event, place: usize) -> usize {
    let event_type = event.event_type.as_ref().map_or(0, |name| name.as_str().len());
    let place = if place > 0 { PLACE } else { 0 };
    let extras = extras_length(event.extras.as_deref());
    SHORTEST + place + extras + event.message.len() + event.topic.as_str().len() + event_type
}

fn extras_length(extras: Option<&Extras>) -> usize {
    extras.map_or(0, |extras| {
        let topics = extras.others().iter().map(|topic| 2 + topic.as_str().len());
        let retry = extras.retry().map_or(0, |_| RETRY);
        4 + retry + extras.id().map_or(0, |id| id.as_str().len()) + topics.sum::<usize>()
    })
}

/// Their types bound the texts and their number: an id 256 bytes, 31 topics of 256 bytes each.
fn encode_extras(into: &mut Vec<u8>, extras: &Extras) {
    let id = extras.id().map_or("", EventId::as_str);
    let private = if extras.is_private() { PRIVATE } else { 0 };
    into.push(private | if extras.retry().is_some() { HAS_RETRY } else { 0 });
    into.push(extras.others().len() as u8);
    into.extend_from_slice(&(id.len() as u16).to_le_bytes());
    let topics = || extras.others().iter().map(Topic::as_str);
    topics().for_each(|topic| into.extend_from_slice(&(topic.len() as u16).to_le_bytes()));
    if let Some(retry) = extras.retry() {
        into.extend_from_slice(&retry.to_le_bytes());
    }
    into.extend_from_slice(id.as_bytes());
    topics().for_each(|topic| into.extend_from_slice(topic.as_bytes()));
}

/// What is published, whether or not it was accepted yet.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    topic: &'a Topic,
    event_type: Option<&'a EventType>,
    message: &'a str,
    extras: Option<&'a Extras>,
}

impl<'a> From<&'a Draft> for Content<'a> {
    fn from(draft: &'a Draft) -> Self {
        Self {
            topic: &draft.topic,
            event_type: draft.event_type.as_ref(),
            message: &draft.message,
            extras: draft.extras.as_deref(),
        }
    }
}

impl<'a> From<&'a Event> for Content<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            topic: &event.topic,
            event_type: event.event_type.as_ref(),
            message: &event.message,
            extras: event.extras.as_deref(),
        }
    }
}

/// Appends a record to `into`; its length must be less than 4 GiB.
pub fn encode<'a>(into: &mut Vec<u8>, frame: RecordMeta<'_>, content: impl Into<Content<'a>>) {
    let Content { topic, event_type, message, extras } = content.into();
    let key = frame.key.map_or("", IdempotencyKey::as_str);
    let event_type = event_type.map_or("", EventType::as_str);
    let topic = topic.as_str();
    let start = into.len();
    into.resize(start + HEADER, 0);
    into.extend_from_slice(&frame.time.as_millis().to_le_bytes());
    let flag = |is_set: bool, flag: u8| u8::from(is_set) * flag;
    into.push(
        MARKED
            | flag(frame.batch_goes_on, SAME_BATCH_FOLLOWS)
            | flag(frame.place > 0, HAS_PLACE)
            | flag(frame.synced_before, SYNCED_BEFORE)
            | flag(extras.is_some(), HAS_EXTRAS),
    );
    // Their types bound the texts: key 255, event type 128, topic 256 bytes.
    into.push(key.len() as u8);
    into.push(event_type.len() as u8);
    into.extend_from_slice(&(topic.len() as u16).to_le_bytes());
    if frame.place > 0 {
        into.extend_from_slice(&frame.place.to_le_bytes());
    }
    if let Some(extras) = extras {
        encode_extras(into, extras);
    }
    for text in [key, event_type, topic, message] {
        into.extend_from_slice(text.as_bytes());
    }
    let (header, body) = into[start..].split_at_mut(HEADER);
    header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[4..12].copy_from_slice(&frame.seq.to_le_bytes());
    header[12..16].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let sum = header_sum(frame.salt, &header[..16]);
    header[16..].copy_from_slice(&sum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(key: Option<&IdempotencyKey>) -> RecordMeta<'_> {
        RecordMeta {
            salt: 7,
            seq: 42,
            time: Timestamp(99),
            batch_goes_on: true,
            place: 0,
            synced_before: false,
            key,
        }
    }

    proptest! {
        #[test]
        fn a_record_survives_the_way_to_disk_and_back(
            topic in "[a-z/é]{1,80}",
            event_type in proptest::option::of("[a-z]{1,64}"),
            message in any::<String>(),
            key in proptest::option::of("[!-~]{1,255}"),
            place in 0_u32..3,
            synced_before: bool,
        ) {
            let draft = Draft {
                topic: Topic::parse(&topic).unwrap(),
                event_type: event_type.map(|name| EventType::parse(&name).unwrap()),
                message: message.into(),
                extras: None,
            };
            let key = key.map(|key| IdempotencyKey::parse(&key).unwrap());
            let mut bytes = b"before".to_vec();
            encode(&mut bytes, RecordMeta { place, synced_before, ..frame(key.as_ref()) }, &draft);
            let record = &bytes[6..];
            let key_length = key.as_ref().map_or(0, |key| key.as_str().len());
            prop_assert!(record.len() <= length(&draft) + key_length);
            let header = Header::parse(record, 7).unwrap();
            prop_assert_eq!(header.record_length(), record.len() as u64);
            prop_assert_eq!(header.seq, 42);
            prop_assert!(Header::parse(record, 8).is_none(), "another segment's record");
            prop_assert!(header.matches(&record[HEADER..]));
            let body = Body::parse(&record[HEADER..]).unwrap();
            prop_assert_eq!(body.key, key.as_ref().map(IdempotencyKey::as_str));
            prop_assert!(body.batch_goes_on && body.marked);
            prop_assert_eq!((body.place, body.synced_before), (place, synced_before));
            let event = body.event(Position::new(1, 42)).unwrap();
            prop_assert_eq!(record.len(), length_of(&event, place as usize) + key_length);
            prop_assert_eq!(&event.topic, &draft.topic);
            prop_assert_eq!(&event.event_type, &draft.event_type);
            prop_assert_eq!(&event.message, &draft.message);
            prop_assert_eq!(event.published_at, Timestamp(99));
        }

        #[test]
        fn no_flipped_bit_goes_unnoticed(bit in 0_usize..(SHORTEST + 3) * 8) {
            let draft = Draft {
                topic: Topic::parse("t").unwrap(),
                event_type: None,
                message: "hi".into(),
                extras: None,
            };
            let mut bytes = Vec::new();
            encode(&mut bytes, frame(None), &draft);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let whole = Header::parse(&bytes, 7)
                .is_some_and(|header| header.matches(&bytes[HEADER..]));
            prop_assert!(!whole);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes, 0);
            let _ = Body::parse(&bytes).map(|body| body.event(Position::ORIGIN));
        }
    }
}
