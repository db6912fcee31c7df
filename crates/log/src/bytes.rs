//! Reading little-endian numbers and texts out of bytes that may be anything.

use fanfare_event::Position;

/// What is left to read. Every step answers `None` where the bytes end too early.
#[derive(Debug, Clone, Copy)]
pub struct ByteReader<'a>(pub &'a [u8]);

impl<'a> ByteReader<'a> {
    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// An epoch and a sequence number.
    pub fn position(&mut self) -> Option<Position> {
        Some(Position::new(self.u64()?, self.u64()?))
    }

    /// A text of so many bytes.
    pub fn str(&mut self, length: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// `count` numbers. Checks that they are there before it allocates.
    pub fn u32s(&mut self, count: usize) -> Option<Box<[u32]>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        let (numbers, _) = bytes.as_chunks();
        Some(numbers.iter().map(|&n| u32::from_le_bytes(n)).collect())
    }
}

/// Appends a checksum of everything before it.
pub fn seal(bytes: &mut Vec<u8>) {
    let sum = crc32c::crc32c(bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
}

/// What [`seal`] was given, if the checksum holds.
pub fn unseal(bytes: &[u8]) -> Option<ByteReader<'_>> {
    let (content, sum) = bytes.split_last_chunk()?;
    (crc32c::crc32c(content) == u32::from_le_bytes(*sum)).then_some(ByteReader(content))
}
