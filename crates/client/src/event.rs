//! What a subscriber receives.

use fanfare_sse::ParsedEvent;
use serde::Deserialize;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its id, opaque; a subscriber that begins after it gets what follows.
    pub id: String,
    /// Its type, if it has one.
    pub event: Option<String>,
    /// The topic it was published to.
    pub topic: String,
    /// When the hub accepted it, as RFC 3339 in UTC; `None` from a hub that knows no envelopes.
    pub published_at: Option<String>,
    /// The message.
    pub data: String,
}

/// Something that was asked for is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedGap {
    /// Why, in the hub's words: `trimmed`, `engine_lost_writes`, `unknown_epoch`, `unknown_id`, `bad_id`.
    pub reason: String,
    /// The id that could not be resumed after.
    pub requested: String,
    /// What is retained after this id follows.
    pub resumed_from: String,
}

/// The data of an event in a sealed envelope. All its fields must be there: a hub that knows no
/// envelopes sends messages as they are, and some are JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct EnvelopeData {
    pub(crate) topic: String,
    // Which may be null, but not absent.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) event: Option<String>,
    pub(crate) published_at: String,
    pub(crate) message: String,
}

/// The type of the event that tells of a gap.
pub(crate) const GAP: &str = "fanfare.gap";

impl ReceivedGap {
    /// Reads a gap event. A gap is never passed over because its data is not as expected.
    pub(crate) fn read(event: ParsedEvent) -> Self {
        let said: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
        let field = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let reason = if said["reason"].is_string() { field("reason") } else { event.data };
        Self { reason, requested: field("requested"), resumed_from: event.id }
    }
}
