//! The messages between the old process and the new one, in the order in which they are sent.
//!
//! | from | message | then |
//! |---|---|---|
//! | new | [`UpgradeMessage::Hello`]: which formats it knows | |
//! | old | [`UpgradeMessage::Offer`]: the format, with the listening sockets | it has stopped nothing yet |
//! | new | [`UpgradeMessage::Ready`]: its settings are good | the old process lets no request in any more |
//! | old | [`UpgradeMessage::State`]: the sealed file | |
//! | old | [`UpgradeMessage::Descriptors`], as often as needed | each answered by [`UpgradeMessage::Received`] |
//! | new | [`UpgradeMessage::Prepared`]: it has everything, and has written nothing | |
//! | old | [`UpgradeMessage::Commit`] | it does nothing more before it is answered |
//! | new | [`UpgradeMessage::Committed`] | the new process is the hub, and begins to write |
//! | new | [`UpgradeMessage::Serving`] | the old process closes what could not move, and ends |
//!
//! The new process may send [`UpgradeMessage::Failed`] in place of any of its own messages.
//!
//! What must hold: the bytes of a message never change within a format, and what does not begin like a message is not
//! taken for one.

use std::ops::RangeInclusive;

use crate::codec::{Malformed, Reader, Writer};

/// The formats that this program can write and read: of messages, of the manifest and of sections. A newer
/// program keeps the one before, so that an upgrade can be taken back.
pub const FORMATS: Formats = Formats { oldest: 1, newest: 2 };

/// A range of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Formats {
    /// The oldest that is known.
    pub oldest: u16,
    /// The newest that is known.
    pub newest: u16,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpgradeMessage {
    /// The new process has started.
    Hello {
        /// Which formats it knows.
        formats: Formats,
        /// What program it is.
        version: String,
    },
    /// The old process will write in this format. With it come the listening sockets; from format 2 on, a sealed
    /// file of what was written ahead is the second descriptor.
    Offer {
        /// The format.
        format: u16,
    },
    /// The new process has whatever does not depend on state.
    Ready,
    /// With it comes the sealed file; so many descriptors follow.
    State {
        /// How many.
        descriptors: u32,
    },
    /// With it come so many of them, in the order in which the state names them.
    Descriptors {
        /// How many.
        count: u32,
    },
    /// One message of descriptors has been received.
    Received,
    /// The new process has everything, and has written nothing.
    Prepared,
    /// The old process does nothing more until it has the answer, or has shut the channel, after which there can be
    /// none.
    Commit,
    /// From here on, the new process is the hub. It has done nothing yet that others could see.
    Committed,
    /// The new process lets everyone in.
    Serving,
    /// The new process cannot take over.
    Failed {
        /// Why, for an operator to read.
        reason: String,
    },
}

impl Formats {
    /// The newest that both know.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }

    /// Whether this one is known.
    pub fn contains(self, format: u16) -> bool {
        RangeInclusive::new(self.oldest, self.newest).contains(&format)
    }
}

impl std::fmt::Display for Formats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.oldest == self.newest {
            write!(f, "{}", self.newest)
        } else {
            write!(f, "{} to {}", self.oldest, self.newest)
        }
    }
}

/// What every message begins with, so that what another program sends is not taken for one.
const MAGIC: [u8; 4] = *b"FFHO";

impl UpgradeMessage {
    /// The longest message, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// The longest text in one, in bytes.
    const MAX_TEXT: usize = 2048;

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        MAGIC.iter().for_each(|byte| writer.u8(*byte));
        match self {
            Self::Hello { formats, version } => {
                writer.u8(1);
                writer.u16(formats.oldest);
                writer.u16(formats.newest);
                writer.text(short(version));
            }
            Self::Offer { format } => {
                writer.u8(2);
                writer.u16(*format);
            }
            Self::Ready => writer.u8(3),
            Self::State { descriptors } => {
                writer.u8(4);
                writer.u32(*descriptors);
            }
            Self::Descriptors { count } => {
                writer.u8(5);
                writer.u32(*count);
            }
            Self::Received => writer.u8(6),
            Self::Prepared => writer.u8(7),
            Self::Commit => writer.u8(8),
            Self::Committed => writer.u8(9),
            Self::Serving => writer.u8(10),
            Self::Failed { reason } => {
                writer.u8(11);
                writer.text(short(reason));
            }
        }
        writer.finish()
    }

    /// The message of these bytes.
    ///
    /// # Errors
    ///
    /// They are not a message of a format that is known here.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let bytes = bytes.strip_prefix(&MAGIC).ok_or(Malformed("it is not a message of a hub"))?;
        let mut reader = Reader::new(bytes);
        let message = match reader.u8()? {
            1 => Self::Hello {
                formats: Formats { oldest: reader.u16()?, newest: reader.u16()? },
                version: reader.text()?.to_owned(),
            },
            2 => Self::Offer { format: reader.u16()? },
            3 => Self::Ready,
            4 => Self::State { descriptors: reader.u32()? },
            5 => Self::Descriptors { count: reader.u32()? },
            6 => Self::Received,
            7 => Self::Prepared,
            8 => Self::Commit,
            9 => Self::Committed,
            10 => Self::Serving,
            11 => Self::Failed { reason: reader.text()?.to_owned() },
            _ => return Err(Malformed("a message of an unknown kind")),
        };
        reader.end()?;
        Ok(message)
    }
}

/// As much of a text as a message may hold.
fn short(text: &str) -> &str {
    let end =
        (0..=text.len().min(UpgradeMessage::MAX_TEXT)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<UpgradeMessage> {
        vec![
            UpgradeMessage::Hello {
                formats: Formats { oldest: 1, newest: 2 },
                version: "0.1.0".to_owned(),
            },
            UpgradeMessage::Offer { format: 1 },
            UpgradeMessage::Ready,
            UpgradeMessage::State { descriptors: 15_000 },
            UpgradeMessage::Descriptors { count: 253 },
            UpgradeMessage::Received,
            UpgradeMessage::Prepared,
            UpgradeMessage::Commit,
            UpgradeMessage::Committed,
            UpgradeMessage::Serving,
            UpgradeMessage::Failed { reason: "é".repeat(10_000) },
        ]
    }

    #[test]
    fn each_message_is_read_as_it_was_written() {
        for message in all() {
            let bytes = message.encode();
            assert!(bytes.len() <= UpgradeMessage::MAX_BYTES, "{message:?}");
            let read = UpgradeMessage::decode(&bytes).unwrap();
            if matches!(message, UpgradeMessage::Failed { .. }) {
                assert_eq!(read, UpgradeMessage::Failed { reason: "é".repeat(1024) });
            } else {
                assert_eq!(read, message);
            }
            assert!(UpgradeMessage::decode(&bytes[..bytes.len() - 1]).is_err(), "{message:?}");
            assert!(UpgradeMessage::decode(&[&bytes[..], b"x"].concat()).is_err(), "{message:?}");
        }
        assert!(UpgradeMessage::decode(b"HTTP/1.1 200 OK").is_err());
    }

    /// Whoever changes these bytes makes a new format.
    #[test]
    fn the_bytes_of_format_1_never_change() {
        let bytes: Vec<_> = all()[..10].iter().map(UpgradeMessage::encode).collect();
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let written: Vec<_> = bytes.iter().map(hex).collect();
        let golden: Vec<_> = include_str!("../tests/golden/messages-1.hex").lines().collect();
        assert_eq!(written, golden);
    }

    #[test]
    fn the_newest_common_format_is_taken() {
        let range = |oldest, newest| Formats { oldest, newest };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(2, 5).common(range(1, 3)), Some(3));
        assert_eq!(range(1, 2).common(range(3, 4)), None);
        assert_eq!(range(3, 4).common(range(1, 2)), None);
        assert!(range(1, 2).contains(2) && !range(1, 2).contains(3));
    }
}
