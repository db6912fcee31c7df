//! A gap: telling a subscriber that something it wanted is gone; and its opposite, a fresh cursor.

use fanfare_event::Position;
use fanfare_sse::{Encoded, Fields, encode};

use crate::reasons;

/// What a subscriber may have missed, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The cursor that could not be honoured, as the client sent it.
    pub requested: String,
    /// Everything retained after this position follows. It is also the gap event's id, so that a
    /// client that reconnects with it meets no second gap.
    pub resumed_from: Position,
}

reasons! {
    /// Why there is a gap.
    pub enum GapReason {
        /// Something after the cursor has outlived retention.
        Trimmed = "trimmed",
        /// The cursor names a position that the engine no longer knows: it lost writes.
        EngineLostWrites = "engine_lost_writes",
        /// The cursor belongs to another log, or to one that is gone.
        UnknownEpoch = "unknown_epoch",
        /// No event that is retained has the id that its publisher is said to have given it.
        UnknownId = "unknown_id",
        /// The cursor is not an event id.
        BadId = "bad_id",
    }
}

impl Gap {
    /// How much of a client's cursor is repeated back to it, in characters.
    pub const MAX_REQUESTED: usize = 128;

    /// The `fanfare.gap` event.
    pub fn encode(&self) -> Encoded {
        let id = self.resumed_from.to_string();
        let requested: String = self.requested.chars().take(Self::MAX_REQUESTED).collect();
        let data = format!(
            r#"{{"reason":"{}","requested":{},"resumed_from":"{id}"}}"#,
            self.reason.as_str(),
            serde_json::Value::from(requested),
        );
        encode(Fields { id: Some(&id), event: Some("fanfare.gap"), data: &data })
    }
}

/// The `fanfare.cursor` event: a newer id for a subscriber whose topics are quiet, so that the one
/// it holds does not age out of retention while nothing was missed.
pub fn fresh_cursor(position: Position) -> Encoded {
    encode(Fields { id: Some(&position.to_string()), event: Some("fanfare.cursor"), data: "{}" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_cursor_cannot_forge_fields_in_the_gap_event() {
        let gap = Gap {
            reason: GapReason::BadId,
            requested: "\"\r\ndata: x\u{0}".repeat(100),
            resumed_from: Position::new(7, 0),
        };
        let encoded = gap.encode();
        let text = std::str::from_utf8(encoded.bare()).unwrap();
        let lines: Vec<_> = text.split('\n').collect();
        assert_eq!(lines.len(), 5, "id, event, data, and the blank line: {text}");
        assert!(lines[2].starts_with(r#"data: {"reason":"bad_id","requested":"\"\r\ndata: x"#));
        assert!(text.len() < 1_000);
    }
}
