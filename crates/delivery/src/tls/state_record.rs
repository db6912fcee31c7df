//! The record of a [`TlsState`]: how it is written down for another process, and read there.
//!
//! What must hold: what is read is what was written, or an error; and its secrets are nowhere but in the record and in
//! the state. Whoever keeps the record has room for it beforehand ([`TlsState::record_length`]) and overwrites it.

use bytes::Bytes;
use fanfare_handover::{Malformed, Reader, Writer};

use super::record::{self, HEADER, MAX_RECORD};
use super::{CipherSuite, Direction, MAX_NUMBER, TlsState, TrafficSecret};

/// All of a record that is always as long: two directions, three lengths and flags, and what was counted.
const FIXED: usize = 2 * (2 + 8 + 8) + 2 * 8 + 4 + 3;

impl TlsState {
    /// How many bytes [`TlsState::write`] writes.
    pub fn record_length(&self) -> usize {
        let secrets = [&self.sending, &self.receiving].map(|it| it.secret.as_bytes().len());
        FIXED + secrets.iter().sum::<usize>() + self.unsent.len() + self.begun.len()
    }

    /// Writes it down, secrets and all.
    pub fn write(&self, writer: &mut Writer) {
        let Self { sending, receiving, unsent, begun, updates, update_due, heard_end, said_end } =
            self;
        for Direction { secret, next } in [sending, receiving] {
            writer.u16(secret.suite().number());
            writer.bytes(secret.as_bytes());
            writer.u64(*next);
        }
        writer.bytes(unsent);
        writer.bytes(begun);
        writer.u32(*updates);
        [update_due, heard_end, said_end].into_iter().for_each(|flag| writer.flag(*flag));
    }

    /// Reads one that was written down.
    ///
    /// # Errors
    ///
    /// It is none that a stream can be in.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (sending, receiving) = (read_direction(reader)?, read_direction(reader)?);
        if sending.secret.suite() != receiving.secret.suite() {
            return Err(Malformed("a stream has two cipher suites"));
        }
        let (unsent, begun) = (reader.bytes()?, reader.bytes()?);
        if unsent.len() > MAX_UNSENT || begun.len() >= HEADER + record::MAX_SEALED {
            return Err(Malformed("a stream has more than a record on the way"));
        }
        Ok(Self {
            sending,
            receiving,
            unsent: Bytes::copy_from_slice(unsent),
            begun: begun.to_vec(),
            updates: reader.u32()?,
            update_due: reader.flag()?,
            heard_end: reader.flag()?,
            said_end: reader.flag()?,
        })
    }
}

/// What may be left of what was sealed: a record, and a `KeyUpdate` before it.
const MAX_UNSENT: usize = 2 * MAX_RECORD;

fn read_direction(reader: &mut Reader<'_>) -> Result<Direction, Malformed> {
    let suite = CipherSuite::from_number(reader.u16()?);
    let suite = suite.ok_or(Malformed("a stream's cipher suite is not known here"))?;
    let secret = TrafficSecret::new(suite, reader.bytes()?);
    let secret = secret.ok_or(Malformed("a stream's secret is of another length"))?;
    let next = reader.u64()?;
    if next > MAX_NUMBER {
        return Err(Malformed("a stream has more records than there can be"));
    }
    Ok(Direction { secret, next })
}
