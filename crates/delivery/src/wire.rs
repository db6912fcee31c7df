//! The wire: everything that goes out on a stream, in the connection's format and framing.
//!
//! What must hold: this is the only place where framing is applied; an event's bytes are shared by
//! all who are sent it, however theirs are framed.

use bytes::Bytes;
use fanfare_event::Position;
use fanfare_hub::{Envelope, Frame, Gap};
use fanfare_sse::{Encoded, LAST_CHUNK};

use crate::stream_format::{StreamFormat, native};

/// Whether what is sent travels as HTTP/1.1 chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// With chunk framing.
    Chunked,
    /// As it is: HTTP/1.0, whose body ends with the connection, and bodies that another layer
    /// frames.
    Bare,
}

/// How one stream is written.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    format: &'static dyn StreamFormat,
    /// The format's, at hand for each event.
    envelope: Envelope,
    framing: Framing,
    gap_told: bool,
}

/// What a stream that the hub ends says before its `retry:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalEvent {
    /// Nothing.
    Silent,
    /// An id to come back with.
    Cursor(Position),
    /// That the right to listen has ended, and how far the client has come, if anywhere.
    Expired(Option<Position>),
}

impl Wire {
    /// A stream in this format, so framed.
    pub fn new(format: &'static dyn StreamFormat, framing: Framing) -> Self {
        Self { format, envelope: format.envelope(), framing, gap_told: false }
    }

    /// The same stream, whose head says that something may be missing.
    pub fn behind_gap(self) -> Self {
        Self { gap_told: true, ..self }
    }

    /// A stream in Fanfare's own format.
    pub fn native(envelope: Envelope, framing: Framing) -> Self {
        Self::new(native(envelope), framing)
    }

    /// The format.
    pub fn format(self) -> &'static dyn StreamFormat {
        self.format
    }

    /// The framing.
    pub fn framing(self) -> Framing {
        self.framing
    }

    /// Whether its head says that something may be missing.
    pub(crate) fn is_behind_gap(self) -> bool {
        self.gap_told
    }

    /// Which of a frame's encodings is sent.
    pub(crate) fn envelope(self) -> Envelope {
        self.envelope
    }

    /// The beginning of a stream: what comes before it, as an HTTP response head; its opening; a gap
    /// and an id to resume with, if there are any.
    pub(crate) fn beginning(
        self,
        head: &[u8],
        retry: u64,
        gap: Option<&Gap>,
        cursor: Option<Position>,
    ) -> Bytes {
        let mut bytes = head.to_vec();
        self.append(&mut bytes, &self.format.opening(retry));
        if let Some(gap) = gap {
            self.append(&mut bytes, &self.format.gap(gap));
        }
        if let Some(position) = cursor {
            self.append(&mut bytes, &self.format.cursor(position));
        }
        bytes.into()
    }

    /// A whole stream of nothing but its beginning and its end.
    pub fn turned_away(self, head: &[u8], retry: u64) -> Bytes {
        let mut bytes = self.beginning(head, retry, None, None).to_vec();
        bytes.extend_from_slice(self.end());
        bytes.into()
    }

    /// An event, or a notice of loss from the window.
    pub(crate) fn event<'a>(self, frame: &'a Frame) -> FramedEvent<'a> {
        // Events are encoded for all protocols, losses are told in the words of each.
        let words = |gap: &Gap| self.format.gap(gap);
        let gap = frame.gap().and_then(|_| frame.gap_in(self.format.name(), words));
        let encoded = gap.unwrap_or_else(|| frame.encoded(self.envelope));
        FramedEvent { encoded, framing: self.framing }
    }

    /// A notice of loss.
    pub(crate) fn gap(self, gap: &Gap) -> Bytes {
        self.framed(&self.format.gap(gap))
    }

    /// An id to resume with.
    pub(crate) fn cursor(self, position: Position) -> Bytes {
        self.framed(&self.format.cursor(position))
    }

    /// What keeps a quiet stream open, with an id to resume with where one is due.
    pub(crate) fn keepalive(self, cursor: Option<Position>) -> Bytes {
        let keepalive = self.framed(&self.format.keepalive());
        let Some(position) = cursor else { return keepalive };
        let mut bytes = keepalive.to_vec();
        self.append(&mut bytes, &self.format.cursor(position));
        bytes.into()
    }

    /// The end of a stream that the hub ends, whole: `retry` is in milliseconds.
    pub(crate) fn final_event(self, final_event: FinalEvent, retry: u64) -> Bytes {
        let mut bytes = Vec::new();
        match final_event {
            FinalEvent::Silent => {}
            FinalEvent::Cursor(position) => self.append(&mut bytes, &self.format.cursor(position)),
            FinalEvent::Expired(position) => {
                self.append(&mut bytes, &self.format.expired(position));
            }
        }
        self.append(&mut bytes, &self.format.retry(retry));
        bytes.extend_from_slice(self.end());
        bytes.into()
    }

    fn end(self) -> &'static [u8] {
        match self.framing {
            Framing::Chunked => LAST_CHUNK,
            Framing::Bare => &[],
        }
    }

    fn append(self, bytes: &mut Vec<u8>, encoded: &Encoded) {
        bytes.extend_from_slice(self.framing.slice(encoded));
    }

    fn framed(self, encoded: &Encoded) -> Bytes {
        self.framing.share(encoded)
    }
}

impl Framing {
    fn slice(self, encoded: &Encoded) -> &[u8] {
        match self {
            Self::Chunked => encoded.chunked(),
            Self::Bare => encoded.bare(),
        }
    }

    fn share(self, encoded: &Encoded) -> Bytes {
        match self {
            Self::Chunked => encoded.chunked_bytes(),
            Self::Bare => encoded.bare_bytes(),
        }
    }
}

/// An event as one connection is sent it, in the buffer that all are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FramedEvent<'a> {
    encoded: &'a Encoded,
    framing: Framing,
}

impl<'a> FramedEvent<'a> {
    pub(crate) fn as_slice(self) -> &'a [u8] {
        self.framing.slice(self.encoded)
    }

    /// The same, sharing the buffer.
    pub(crate) fn share(self) -> Bytes {
        self.framing.share(self.encoded)
    }
}

#[cfg(test)]
mod tests {
    use fanfare_hub::GapReason;

    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_bare_stream_says_what_a_chunked_one_says_without_the_chunks() {
        let at = Position::new(7, 3);
        let gap = Gap { reason: GapReason::BadId, requested: "x".to_owned(), resumed_from: at };
        let bare = Wire::native(Envelope::None, Framing::Bare);
        assert_eq!(text(&bare.keepalive(None)), ":\n");
        assert_eq!(text(&bare.final_event(FinalEvent::Silent, 5)), "retry: 5\n");
        let notice = "event: fanfare.expired\ndata: {}\n\nretry: 5\n";
        assert_eq!(text(&bare.final_event(FinalEvent::Expired(None), 5)), notice);
        let notice = format!("id: 7-3\n{notice}");
        assert_eq!(text(&bare.final_event(FinalEvent::Expired(Some(at)), 5)), notice);

        let chunked = Wire::native(Envelope::None, Framing::Chunked);
        let parts = |wire: Wire| {
            [
                wire.beginning(HEAD, 5, Some(&gap), Some(at)),
                wire.gap(&gap),
                wire.cursor(at),
                wire.keepalive(Some(at)),
                wire.final_event(FinalEvent::Cursor(at), 5),
                wire.turned_away(HEAD, 5),
            ]
        };
        for (bare, chunked) in parts(bare).iter().zip(parts(chunked)) {
            let head = if bare.starts_with(HEAD) { HEAD.len() } else { 0 };
            assert_eq!(text(&chunked)[..head], text(bare)[..head]);
            assert_eq!(unchunked(&text(&chunked)[head..]), text(bare)[head..]);
        }
    }

    fn unchunked(mut text: &str) -> String {
        let mut out = String::new();
        while let Some((size, rest)) = text.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            out.push_str(&rest[..size]);
            text = rest[size..].strip_prefix("\r\n").unwrap();
        }
        assert_eq!(text, "");
        out
    }
}
