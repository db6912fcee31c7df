//! Idempotency keys as they are handed to the process that goes on with a log.
//!
//! What must hold: a key that was promised an answer has it from either process, until the same moment.

use std::fmt;
use std::io::{self, Read, Write};

use fanfare_event::{Position, Timestamp};

use crate::bytes::ByteReader;
use crate::state_stream::{Magic, StateError, StateReader, StateWriter};
use crate::{Fingerprint, Remembered};

const MAGIC: Magic = *b"FFIDEMP1";

/// All that a table of keys knows. It holds the table's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyState {
    /// With which the fingerprints were made.
    pub(crate) secret: [u8; 16],
    /// The latest time that the table was told.
    pub(crate) latest: Timestamp,
    /// Oldest first.
    pub(crate) remembered: Vec<Remembered>,
}

impl IdempotencyState {
    /// What a table of this secret remembers, oldest first.
    pub fn new(secret: [u8; 16], latest: Timestamp, remembered: Vec<Remembered>) -> Self {
        Self { secret, latest, remembered }
    }

    /// The time from which on whoever goes on with it is to count.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Writes it down.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut to = StateWriter::begin(to, MAGIC);
        self.write_to(&mut to)?;
        to.finish()
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not whole, or is of a version that is not understood.
    pub fn read(from: &mut dyn Read) -> Result<Self, StateError> {
        let mut from = StateReader::begin(from, &[MAGIC])?;
        let state = Self::read_from(&mut from)?;
        from.finish()?;
        Ok(state)
    }

    /// How many bytes it has at most, without the blocks' own.
    pub fn length(&self) -> usize {
        32 + self.remembered.len() * 81
    }

    /// Writes it down.
    pub fn write_to(&self, to: &mut StateWriter<'_>) -> io::Result<()> {
        to.entry(|into| {
            into.extend_from_slice(&self.secret);
            u64s(into, [self.latest.as_millis(), self.remembered.len() as u64]);
        })?;
        self.remembered.iter().try_for_each(|it| to.entry(|into| encode(into, it)))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not whole, or contradicts itself.
    pub fn read_from(from: &mut StateReader<'_>) -> Result<Self, StateError> {
        let (secret, latest, count) = from.entry(|cut| {
            let secret = cut.take(16)?.try_into().ok()?;
            Some((secret, Timestamp(cut.u64()?), cut.u64()?))
        })?;
        let remembered = (0..count).map(|_| from.entry(decode)).collect::<Result<_, _>>()?;
        Ok(Self { secret, latest, remembered })
    }
}

impl fmt::Debug for IdempotencyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.remembered.len();
        f.debug_struct("IdempotencyState").field("keys", &keys).finish_non_exhaustive()
    }
}

fn encode(into: &mut Vec<u8>, key: &Remembered) {
    let &Remembered { fingerprint, first, count, at, owner, content } = key;
    u64s(into, fingerprint.0);
    u64s(into, [first.epoch, first.seq, count as u64, at.as_millis()]);
    u64s(into, owner.0);
    into.push(content.is_some().into());
    if let Some(content) = content {
        u64s(into, content.0);
    }
}

fn decode(cut: &mut ByteReader<'_>) -> Option<Remembered> {
    let fingerprint = fingerprint(cut)?;
    let first = Position::new(cut.u64()?, cut.u64()?);
    let (count, at) = (cut.u64()?.try_into().ok()?, Timestamp(cut.u64()?));
    let owner = self::fingerprint(cut)?;
    let content = match cut.u8()? {
        0 => None,
        1 => Some(self::fingerprint(cut)?),
        _ => return None,
    };
    Some(Remembered { fingerprint, first, count, at, owner, content })
}

fn fingerprint(cut: &mut ByteReader<'_>) -> Option<Fingerprint> {
    Some(Fingerprint([cut.u64()?, cut.u64()?]))
}

fn u64s<const N: usize>(into: &mut Vec<u8>, numbers: [u64; N]) {
    numbers.iter().for_each(|n| into.extend_from_slice(&n.to_le_bytes()));
}
