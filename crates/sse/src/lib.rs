//! The Server-Sent Events wire format (WHATWG HTML, 9.2): encode an event once, parse a stream
//! incrementally. No I/O.
//!
//! What must hold: no byte of a message can forge a field or an event; whatever is encoded parses
//! back to the same id, type and data.

mod encode;
mod parse;

pub use encode::{Encoded, Fields, LAST_CHUNK, comment, encode, encode_with_retry, opening, retry};
pub use parse::{EventTooLarge, Parsed, ParsedEvent, Parser};
