//! What a benchmark's message says: which run it belongs to, its number, and when it was due.
//!
//! Fixed width, so that a receiver finds each part without a search:
//! `RRRRRRRR.PPTTTTTT.SSSSSSSS.NNNNNNNNNNNNNNNN`, hexadecimal, then `x` up to the wanted size: run,
//! publisher and topic, sequence number (of this publisher on this topic, from 0), nanoseconds
//! on the run's clock. None of its characters is escaped in JSON, in a URL or in a form.

use std::io::Write as _;

/// The parts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BenchMessage {
    /// Sets this run's messages apart from those of another, or of a log's past.
    pub(crate) run: u32,
    /// Which publisher sent it: only what comes from one publisher has an order.
    pub(crate) publisher: u8,
    /// Which topic it was published to; below [`BenchMessage::MAX_TOPICS`].
    pub(crate) topic: u32,
    /// Its number among this publisher's messages on this topic.
    pub(crate) sequence: u32,
    /// When it was due, or sent where nothing is due.
    pub(crate) stamp: u64,
}

impl BenchMessage {
    /// The shortest message, in bytes.
    pub(crate) const MIN_BYTES: usize = 8 + 1 + 8 + 1 + 8 + 1 + 16;
    /// The most topics it can tell apart.
    pub(crate) const MAX_TOPICS: u32 = 1 << 24;

    /// Appends the message, `size` bytes and at least [`BenchMessage::MIN_BYTES`].
    pub(crate) fn write(self, out: &mut Vec<u8>, size: usize) {
        let Self { run, publisher, topic, sequence, stamp } = self;
        let end = out.len() + size;
        // Writing to a vector cannot fail.
        let _ = write!(out, "{run:08x}.{publisher:02x}{topic:06x}.{sequence:08x}.{stamp:016x}");
        debug_assert!(out.len() <= end, "sizes are checked by the plan");
        out.resize(end, b'x');
    }

    /// How every message of a run begins.
    pub(crate) fn beginning(run: u32) -> Vec<u8> {
        format!("{run:08x}.").into()
    }

    /// Reads the message that begins with `text`; `None` where it is not one of ours.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; Self::MIN_BYTES] = text.first_chunk()?;
        if [text[8], text[17], text[26]] != [b'.'; 3] {
            return None;
        }
        let (run, lane) = (hex(&text[..8])?, hex(&text[9..17])?);
        let (sequence, high, low) = (hex(&text[18..26])?, hex(&text[27..35])?, hex(&text[35..])?);
        Some(Self {
            run,
            publisher: (lane >> 24) as u8,
            topic: lane & (Self::MAX_TOPICS - 1),
            sequence,
            stamp: u64::from(high) << 32 | u64::from(low),
        })
    }
}

/// Eight lower-case hexadecimal digits at once, in the bytes of one word. Text that is not such
/// digits gives some number: the run's number, which 32 bits of it must match, finds that out.
fn hex(digits: &[u8]) -> Option<u32> {
    let word = u64::from_le_bytes(*digits.first_chunk()?);
    let nibbles = (word & 0x0f0f_0f0f_0f0f_0f0f) + 9 * ((word >> 6) & 0x0101_0101_0101_0101);
    let bytes = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes << 8 | bytes >> 16) & 0x0000_ffff_0000_ffff;
    Some((halves << 16 | halves >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            run: u32, publisher: u8, topic in 0..BenchMessage::MAX_TOPICS, sequence: u32, stamp: u64,
            size in BenchMessage::MIN_BYTES..300,
        ) {
            let payload = BenchMessage { run, publisher, topic, sequence, stamp };
            let mut text = b"before".to_vec();
            payload.write(&mut text, size);
            prop_assert_eq!(text.len(), 6 + size);
            prop_assert_eq!(BenchMessage::read(&text[6..]), Some(payload));
        }
    }

    #[test]
    fn other_messages_are_not_taken_for_ours() {
        assert_eq!(BenchMessage::read(b""), None);
        assert_eq!(BenchMessage::read(b"{\"reason\":\"trimmed\",\"requested\":\"1-1\"}"), None);
        assert_eq!(BenchMessage::read(&[b'0'; BenchMessage::MIN_BYTES]), None);
    }
}
