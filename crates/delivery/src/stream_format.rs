//! A stream format: what a stream says, in bytes. One is Fanfare's own; another protocol brings another,
//! and delivery need not know of it.

use std::fmt;

use fanfare_event::Position;
use fanfare_hub::{Envelope, Gap, fresh_cursor};
use fanfare_sse::{Encoded, Fields, comment, encode, opening, retry};

/// How a protocol writes what a stream says. What it returns is sent as it is, in the framing of each
/// connection.
pub trait StreamFormat: fmt::Debug + Send + Sync {
    /// By which a subscription that was written down finds it again, and what it says of a loss is kept for all.
    fn name(&self) -> &'static str;

    /// Which of a frame's encodings its events are sent in. They are encoded once, for all.
    fn envelope(&self) -> Envelope;

    /// Tells of a loss. Its id is where the gap resumes from.
    fn gap(&self, gap: &Gap) -> Encoded;

    /// Whether it has words for a loss. Where it has none, a stream ends before one: its client comes back, and is
    /// told in the head of the next.
    fn tells_gaps(&self) -> bool {
        true
    }

    /// Gives a client an id to resume with: it has been sent everything up to `position`.
    fn cursor(&self, position: Position) -> Encoded;

    /// Says that the right to listen has ended. `position` is up to where the client has been sent
    /// everything; `None` where there is no such id, and then the notice must not carry one either.
    fn expired(&self, position: Option<Position>) -> Encoded;

    /// Whether a client is given an id at once, before any event.
    fn begins_with_cursor(&self) -> bool {
        false
    }

    /// What a stream begins with; `retry` is in milliseconds.
    fn opening(&self, retry: u64) -> Encoded {
        opening(retry)
    }

    /// When to come back, in milliseconds; the last of a stream that the hub ends.
    fn retry(&self, milliseconds: u64) -> Encoded {
        retry(milliseconds)
    }

    /// What keeps a quiet stream open.
    fn keepalive(&self) -> Encoded {
        comment()
    }
}

/// Fanfare's own format, in one of its envelopes.
#[derive(Debug)]
struct NativeFormat(Envelope);

/// Fanfare's own format.
pub fn native(envelope: Envelope) -> &'static dyn StreamFormat {
    static PLAIN: NativeFormat = NativeFormat(Envelope::None);
    static JSON: NativeFormat = NativeFormat(Envelope::Json);
    static SEALED: NativeFormat = NativeFormat(Envelope::Sealed);
    match envelope {
        // A native id is a position.
        Envelope::None | Envelope::OwnId => &PLAIN,
        Envelope::Json => &JSON,
        Envelope::Sealed => &SEALED,
    }
}

impl StreamFormat for NativeFormat {
    fn name(&self) -> &'static str {
        match self.0 {
            Envelope::None | Envelope::OwnId => "native",
            Envelope::Json => "native-json",
            Envelope::Sealed => "native-sealed",
        }
    }

    fn envelope(&self) -> Envelope {
        self.0
    }

    fn gap(&self, gap: &Gap) -> Encoded {
        gap.encode()
    }

    fn cursor(&self, position: Position) -> Encoded {
        fresh_cursor(position)
    }

    fn expired(&self, position: Option<Position>) -> Encoded {
        let id = position.map(|position| position.to_string());
        encode(Fields { id: id.as_deref(), event: Some("fanfare.expired"), data: "{}" })
    }

    /// Whoever opens a sealed envelope keeps ids, and need not wait for a heartbeat to have one.
    fn begins_with_cursor(&self) -> bool {
        self.0 == Envelope::Sealed
    }
}
