//! What a log in memory hands to the process that goes on with it.
//!
//! What must hold: to go on with it is to go on as if nothing had happened: the same epoch, the same
//! events at the same positions, the same keys and trims. To write it down changes nothing.

use std::io::{self, Read, Write};
use std::sync::Arc;

use fanfare_event::{Event, Position, Topic};

use fanfare_log::IdempotencyState;
use fanfare_log::bytes::ByteReader;
use fanfare_log::record::{self, Body, HEADER, Header, RecordMeta};
use fanfare_log::state_stream::{
    BLOCK, Magic, StateError, StateReader, StateWriter, put_position, put_trim, read_trim,
};

const MAGIC: Magic = *b"FFMEMLG1";

/// All that a log in memory holds at one moment: see [`MemoryLog::state`](crate::MemoryLog::state). Its
/// events are shared with the log, not copied.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryState {
    /// The latest position that was assigned.
    pub(crate) last: Position,
    /// What is retained, dense up to `last`.
    pub(crate) events: Vec<Arc<Event>>,
    /// The watermark of the topics that are no longer known.
    pub(crate) forgotten: Position,
    /// Up to where everything was trimmed.
    pub(crate) trimmed: Position,
    /// Up to where each known topic was trimmed.
    pub(crate) trims: Vec<(Topic, Position)>,
    pub(crate) keys: IdempotencyState,
}

impl MemoryState {
    /// How many events there are.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Where the log goes on: after this position.
    pub fn last(&self) -> Position {
        self.last
    }

    /// The state that was written down ahead, gone on with by what was left to be said then: `rest` is of the same
    /// log later, without the events that are here.
    ///
    /// # Errors
    ///
    /// The one does not go on where the other ends.
    pub fn followed_by(self, rest: Self) -> Result<Self, StateError> {
        let damaged = Err(StateError::Damaged("what was written ahead is of another log"));
        if rest.last.epoch != self.last.epoch {
            return damaged;
        }
        // Up to here nothing is retained any more.
        let trimmed = if rest.trimmed.epoch == rest.last.epoch { rest.trimmed.seq } else { 0 };
        let mut events = self.events;
        events.drain(..events.partition_point(|event| event.position.seq <= trimmed));
        events.extend(rest.events);
        let dense = events.iter().rev().map(|event| event.position.seq);
        let expected = (trimmed + 1..=rest.last.seq).rev();
        if !dense.eq(expected) {
            return damaged;
        }
        Ok(Self { events, ..rest })
    }

    /// How many bytes it has at most, written down.
    pub fn length(&self) -> usize {
        let events = self.events.iter().map(|event| record::length_of(event, 0)).sum::<usize>();
        let trims = self.trims.iter().map(|(topic, _)| topic.as_str().len() + 18).sum::<usize>();
        let whole = events + trims + self.keys.length() + 256;
        // Each block has a length and a checksum.
        whole + 8 * (whole / BLOCK + 2)
    }

    /// Writes it down.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut to = StateWriter::begin(to, MAGIC);
        to.entry(|into| {
            [self.last, self.forgotten, self.trimmed].iter().for_each(|at| put_position(into, *at));
            into.extend_from_slice(&(self.events.len() as u64).to_le_bytes());
            into.extend_from_slice(&(self.trims.len() as u64).to_le_bytes());
        })?;
        for (topic, trimmed) in &self.trims {
            to.entry(|into| put_trim(into, topic, *trimmed))?;
        }
        self.keys.write_to(&mut to)?;
        for event in &self.events {
            to.entry(|into| record::encode(into, meta(event), &**event))?;
        }
        to.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not whole, contradicts itself, or is of a version that is not understood. Whatever is read,
    /// no more memory is taken than a small multiple of its length.
    pub fn read(from: &mut dyn Read) -> Result<Self, StateError> {
        let mut from = StateReader::begin(from, &[MAGIC])?;
        let (last, forgotten, trimmed, events, trims) = from.entry(|cut| {
            let (last, forgotten, trimmed) = (cut.position()?, cut.position()?, cut.position()?);
            Some((last, forgotten, trimmed, cut.u64()?, cut.u64()?))
        })?;
        // More epochs and more events follow: a number near the end of its range is a fault.
        let plausible = (1..1 << 63).contains(&last.epoch)
            && last.seq < 1 << 63
            && events <= last.seq
            && trimmed.max(forgotten) <= Position::new(last.epoch, last.seq - events);
        if !plausible {
            return Err(StateError::Damaged("its positions contradict each other"));
        }
        let trims = (0..trims).map(|_| from.entry(read_trim)).collect::<Result<_, _>>()?;
        let keys = IdempotencyState::read_from(&mut from)?;
        let positions =
            (last.seq - events + 1..=last.seq).map(|seq| Position::new(last.epoch, seq));
        let events = positions.map(|position| from.entry(|cut| event(cut, position)));
        let events = events.collect::<Result<_, _>>()?;
        from.finish()?;
        Ok(Self { last, events, forgotten, trimmed, trims, keys })
    }
}

/// What is said beside an event: a log in memory has no batches any more, and keeps its keys elsewhere.
fn meta(event: &Event) -> RecordMeta<'static> {
    RecordMeta {
        salt: 0,
        seq: event.position.seq,
        time: event.published_at,
        batch_goes_on: false,
        place: 0,
        synced_before: false,
        key: None,
    }
}

/// The next event, which must stand here.
fn event(cut: &mut ByteReader<'_>, position: Position) -> Option<Arc<Event>> {
    let header = Header::parse(cut.take(HEADER)?, 0)?;
    let body = cut.take(header.length as usize)?;
    let whole = header.seq == position.seq && header.matches(body);
    whole.then(|| Body::parse(body)?.event(position).map(Arc::new))?
}

#[cfg(test)]
mod tests {
    use fanfare_event::{Draft, EventId, EventType, Extras, Timestamp};

    use super::*;
    use fanfare_log::{Fingerprint, Remembered};

    fn keys(remembered: Vec<Remembered>) -> IdempotencyState {
        IdempotencyState::new([9; 16], Timestamp(1_007), remembered)
    }

    fn state() -> MemoryState {
        let topic = |name: &str| Topic::parse(name).unwrap();
        let event = |seq: u64, private: bool| {
            let topic = topic("orders/17");
            let id = EventId::parse("urn:uuid:1").ok().filter(|_| private);
            Arc::new(
                Draft {
                    extras: Extras::new(&topic, [Topic::default()], private, id).unwrap(),
                    topic,
                    event_type: EventType::parse("tick").ok().filter(|_| !private),
                    message: "päid".into(),
                }
                .accepted(Position::new(7, seq), Timestamp(1_000 + seq)),
            )
        };
        let key = Remembered {
            fingerprint: Fingerprint([1, 2]),
            first: Position::new(7, 5),
            count: 1,
            at: Timestamp(1_005),
            owner: Fingerprint([3, 4]),
            content: Some(Fingerprint([5, 6])),
        };
        MemoryState {
            last: Position::new(7, 6),
            events: vec![event(5, false), event(6, true)],
            forgotten: Position::new(7, 1),
            trimmed: Position::new(7, 4),
            trims: vec![(topic("chat"), Position::new(7, 3)), (topic("é"), Position::new(7, 4))],
            keys: keys(vec![Remembered { content: None, ..key }, key]),
        }
    }

    fn bytes(state: &MemoryState) -> Vec<u8> {
        let mut bytes = Vec::new();
        state.write(&mut bytes).unwrap();
        assert!(bytes.len() <= state.length());
        bytes
    }

    #[test]
    fn the_golden_state_is_read_as_it_was() {
        let golden = include_bytes!("golden/memory-1.state");
        assert_eq!(MemoryState::read(&mut &golden[..]).unwrap(), state());
        assert_eq!(bytes(&state()), golden, "a change of the format needs a new version");
    }

    #[test]
    fn a_state_without_events_is_read() {
        let empty = MemoryState {
            last: Position::new(7, 0),
            events: Vec::new(),
            forgotten: Position::ORIGIN,
            trimmed: Position::ORIGIN,
            trims: Vec::new(),
            keys: keys(Vec::new()),
        };
        assert_eq!(MemoryState::read(&mut &bytes(&empty)[..]).unwrap(), empty);
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = bytes(&state());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            MemoryState::read(&mut &flipped[..]).unwrap_err();
        }
        for end in 0..bytes.len() {
            MemoryState::read(&mut &bytes[..end]).unwrap_err();
        }
    }

    #[test]
    fn what_was_written_ahead_must_join_the_rest() {
        let ahead = state();
        let rest = MemoryState { events: Vec::new(), ..ahead.clone() };
        assert_eq!(ahead.clone().followed_by(rest.clone()).unwrap(), ahead);
        for wrong in [
            MemoryState { last: Position::new(8, 6), ..rest.clone() },
            MemoryState { last: Position::new(7, 8), ..rest.clone() },
            MemoryState { trimmed: Position::new(7, 3), ..rest },
            ahead.clone(),
        ] {
            ahead.clone().followed_by(wrong).unwrap_err();
        }
    }

    #[test]
    fn contradictory_positions_are_refused() {
        let sound = state();
        for unsound in [
            MemoryState { last: Position::new(0, 6), ..sound.clone() },
            MemoryState { last: Position::new(7, u64::MAX), ..sound.clone() },
            MemoryState { last: Position::new(7, 1), ..sound.clone() },
            MemoryState { last: Position::new(7, 7), ..sound.clone() },
            MemoryState { trimmed: Position::new(7, 5), ..sound },
        ] {
            MemoryState::read(&mut &bytes(&unsound)[..]).unwrap_err();
        }
    }
}
