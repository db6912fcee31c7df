//! A state stream: what a log hands to the process that goes on with it, written down in blocks.
//!
//! ```text
//! block   length of the content  u32    little-endian
//!         content                       entries, none of which goes on in the next block
//!         checksum of the content u32   crc32c
//! ```
//!
//! The first entry is a magic number that names the content and its version; the last block is empty.
//!
//! What must hold: nothing that is read makes it panic, or take more memory than a small multiple of what
//! there is to read. Where anything is missing, damaged or left over, there is no state.

use std::io::{self, Read, Write};

use fanfare_event::{Position, Topic};

use crate::bytes::ByteReader;

/// Names what is in a stream, and its version.
pub type Magic = [u8; 8];

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read.
    #[error("the state of the event log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is of another kind, or of a version that is not understood.
    #[error("the state of the event log is of a version that this program does not understand")]
    Version,
    /// It is not whole, or contradicts itself.
    #[error("the state of the event log is damaged: {0}")]
    Damaged(&'static str),
}

/// At this size a block is written, in bytes.
pub const BLOCK: usize = 1 << 20;

/// No block is larger, in bytes: an entry may be one event, however large.
const MAX_BLOCK: usize = i32::MAX as usize;

/// Writes entries.
pub struct StateWriter<'a> {
    to: &'a mut dyn Write,
    block: Vec<u8>,
}

impl<'a> StateWriter<'a> {
    /// Of a stream that begins with this.
    pub fn begin(to: &'a mut dyn Write, magic: Magic) -> Self {
        let mut block = Vec::with_capacity(BLOCK + BLOCK / 8);
        block.extend_from_slice(&magic);
        Self { to, block }
    }

    /// Writes what `encode` appends.
    pub fn entry(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        encode(&mut self.block);
        if self.block.len() < BLOCK { Ok(()) } else { self.flush() }
    }

    /// Writes what is left, and that it is the end.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len()).ok().filter(|&it| it as usize <= MAX_BLOCK);
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "an entry is too long");
        self.to.write_all(&length.ok_or_else(too_long)?.to_le_bytes())?;
        self.to.write_all(&self.block)?;
        self.to.write_all(&crc32c::crc32c(&self.block).to_le_bytes())?;
        self.block.clear();
        Ok(())
    }
}

/// Reads entries.
pub struct StateReader<'a> {
    from: &'a mut dyn Read,
    block: Vec<u8>,
    at: usize,
}

impl<'a> StateReader<'a> {
    /// Of a stream that begins with one of these.
    pub fn begin(from: &'a mut dyn Read, magics: &[Magic]) -> Result<Self, StateError> {
        let mut reader = Self { from, block: Vec::new(), at: 0 };
        let is_known = |found: &[u8]| magics.iter().any(|magic| found == magic);
        let found = reader.entry(|cut| cut.take(size_of::<Magic>()).map(is_known))?;
        if found { Ok(reader) } else { Err(StateError::Version) }
    }

    /// What `decode` makes of the next entry; an error where it is none.
    pub fn entry<T>(
        &mut self,
        decode: impl FnOnce(&mut ByteReader<'_>) -> Option<T>,
    ) -> Result<T, StateError> {
        if self.at == self.block.len() {
            self.fill()?;
        }
        let mut cut = ByteReader(&self.block[self.at..]);
        let entry = decode(&mut cut).ok_or(StateError::Damaged("an entry makes no sense"))?;
        self.at = self.block.len() - cut.0.len();
        Ok(entry)
    }

    /// Sees to it that nothing is left.
    pub fn finish(mut self) -> Result<(), StateError> {
        if self.at == self.block.len() {
            self.fill()?;
            if self.block.is_empty() {
                return Ok(());
            }
        }
        Err(StateError::Damaged("there is more than was announced"))
    }

    fn fill(&mut self) -> Result<(), StateError> {
        let mut number = [0; 4];
        self.from.read_exact(&mut number)?;
        let length = u32::from_le_bytes(number) as usize;
        if length > MAX_BLOCK {
            return Err(StateError::Damaged("a block is too long"));
        }
        // No more is taken than comes.
        self.block.clear();
        self.at = 0;
        let from = &mut *self.from;
        from.take(length as u64).read_to_end(&mut self.block)?;
        self.from.read_exact(&mut number)?;
        let whole =
            self.block.len() == length && crc32c::crc32c(&self.block) == u32::from_le_bytes(number);
        if whole { Ok(()) } else { Err(StateError::Damaged("a checksum does not hold")) }
    }
}

/// Appends a position.
pub fn put_position(into: &mut Vec<u8>, position: Position) {
    into.extend_from_slice(&position.epoch.to_le_bytes());
    into.extend_from_slice(&position.seq.to_le_bytes());
}

/// Appends up to where a topic was trimmed.
pub fn put_trim(into: &mut Vec<u8>, topic: &Topic, trimmed: Position) {
    put_position(into, trimmed);
    into.extend_from_slice(&(topic.as_str().len() as u16).to_le_bytes());
    into.extend_from_slice(topic.as_str().as_bytes());
}

/// See [`put_trim`].
pub fn read_trim(cut: &mut ByteReader<'_>) -> Option<(Topic, Position)> {
    let (trimmed, length) = (cut.position()?, cut.u16()?);
    Some((Topic::parse(cut.str(length.into())?).ok()?, trimmed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::IdempotencyState;

    const MAGIC: Magic = *b"FFTEST01";

    fn written(entries: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = StateWriter::begin(&mut bytes, MAGIC);
        for n in 0..entries {
            let entry = |into: &mut Vec<u8>| {
                into.extend_from_slice(&n.to_le_bytes());
                into.resize(into.len() + length, 7);
            };
            writer.entry(entry).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    fn read(mut bytes: &[u8], entries: u64, length: usize) -> Result<(), StateError> {
        let mut reader = StateReader::begin(&mut bytes, &[MAGIC])?;
        for n in 0..entries {
            let found = reader.entry(|cut| {
                let found = cut.u64()?;
                cut.take(length).map(|_| found)
            })?;
            if found != n {
                return Err(StateError::Damaged("another entry"));
            }
        }
        reader.finish()
    }

    #[test]
    fn entries_of_any_length_are_read_as_they_were_written() {
        for (entries, length) in [(0, 0), (1, 0), (1000, 5), (3, BLOCK), (5, BLOCK / 2 - 8)] {
            read(&written(entries, length), entries, length).unwrap();
        }
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
        let bytes = written(3, 2);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read(&flipped, 3, 2).unwrap_err();
        }
        for end in 0..bytes.len() {
            read(&bytes[..end], 3, 2).unwrap_err();
        }
        read(&bytes, 2, 2).unwrap_err();
        read(&bytes, 4, 2).unwrap_err();
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut bytes = Vec::new();
        StateWriter::begin(&mut bytes, *b"FFTEST02").finish().unwrap();
        assert!(matches!(read(&bytes, 0, 0), Err(StateError::Version)));
    }

    proptest! {
        #[test]
        fn no_content_of_remembered_keys_makes_a_reader_panic(
            content in prop::collection::vec(any::<u8>(), 0..400), zeros in 0_usize..200,
        ) {
            // Counts that are small, and texts that are short, lead further.
            let content = || content.iter().copied().chain(std::iter::repeat_n(0, zeros));
            let mut bytes = Vec::new();
            let mut writer = StateWriter::begin(&mut bytes, *b"FFIDEMP1");
            writer.entry(|into| into.extend(content())).unwrap();
            writer.finish().unwrap();
            let _ = IdempotencyState::read(&mut &bytes[..]);
        }
    }
}
