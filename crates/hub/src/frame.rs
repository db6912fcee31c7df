//! A frame: what the window holds for one position.
//!
//! What must hold: each encoding is made at most once, when it is first needed, and is shared from
//! then on by all who receive it. While a window holds the frame, every encoding counts in the
//! window's ledger.

use std::sync::{Arc, OnceLock};

use fanfare_event::{Event, Position};
use fanfare_sse::{Encoded, Fields, encode, encode_with_retry};

use crate::Gap;
use crate::ledger::{Ledger, LedgerEntry};

/// How a subscriber wants its `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    /// The message itself.
    #[default]
    None,
    /// The message itself, under the id that its publisher chose; where it chose none, under its position as
    /// a reference: `#` stands before it. Whoever asks for it is also told when to come back, where the publisher
    /// says so.
    OwnId,
    /// One line of JSON that names topic, event type and time beside the message.
    Json,
    /// The same line, and nothing of it outside: an EventSource hears a typed event only through a
    /// listener for that very type, and so could never hear all of them.
    Sealed,
}

/// An event's encoded bytes, shared by everyone who receives it; or the notice that the log lost
/// something at this point, which everyone receives.
#[derive(Debug)]
pub struct Frame {
    content: FrameContent,
    /// Without what is encoded on demand.
    weight: usize,
    /// Where it is counted while a window holds it.
    entry: Option<LedgerEntry>,
    plain: OnceLock<Encoded>,
    json: OnceLock<Encoded>,
    sealed: OnceLock<Encoded>,
}

/// What a notice of loss counts for, in bytes.
const GAP_WEIGHT: usize = 256;

#[derive(Debug)]
enum FrameContent {
    Event(Arc<Event>, OwnId),
    /// Behind a pointer, for few frames are one.
    Loss(Box<LossContent>),
}

/// A loss, and its notice: encoded once for each format, however many there are.
#[derive(Debug)]
struct LossContent {
    gap: Gap,
    encodings: OnceLock<Box<EncodedGap>>,
}

/// A notice of loss, in the words of a format.
#[derive(Debug)]
struct EncodedGap {
    format: &'static str,
    encoded: Encoded,
    others: OnceLock<Box<Self>>,
}

/// The encoding under an id of the publisher's choice, or under a reference; of few frames in most hubs.
type OwnId = OnceLock<Box<Encoded>>;

impl Frame {
    /// A frame for `event`. Nothing is encoded before the first subscriber needs it.
    pub fn new(event: Arc<Event>) -> Self {
        let weight = weight_of(&event);
        Self::of(FrameContent::Event(event, OwnId::new()), weight)
    }

    /// A frame that tells every subscriber of a loss.
    pub(crate) fn of_gap(gap: Gap) -> Self {
        Self::of(
            FrameContent::Loss(Box::new(LossContent { gap, encodings: OnceLock::new() })),
            GAP_WEIGHT,
        )
    }

    fn of(content: FrameContent, weight: usize) -> Self {
        let (plain, json, sealed) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { content, weight, entry: None, plain, json, sealed }
    }

    /// The same, counted in this ledger between [`Frame::enter`] and [`Frame::leave`].
    pub(crate) fn counted_in(mut self, ledger: &Arc<Ledger>) -> Self {
        self.entry = Some(LedgerEntry::new(ledger));
        self
    }

    /// A window holds it from now on.
    pub(crate) fn enter(&self) {
        if let Some(entry) = &self.entry {
            entry.enter(self.weight);
        }
    }

    /// The window no longer holds it.
    pub(crate) fn leave(&self) {
        if let Some(entry) = &self.entry {
            entry.leave(self.weight);
        }
    }

    /// The event, unless this is a notice of loss.
    pub fn event(&self) -> Option<&Event> {
        match &self.content {
            FrameContent::Event(event, _) => Some(event),
            FrameContent::Loss(_) => None,
        }
    }

    /// The loss this frame tells of, if it does.
    pub fn gap(&self) -> Option<&Gap> {
        match &self.content {
            FrameContent::Event(..) => None,
            FrameContent::Loss(loss) => Some(&loss.gap),
        }
    }

    /// The id that the frame carries.
    pub fn position(&self) -> Position {
        match &self.content {
            FrameContent::Event(event, _) => event.position,
            FrameContent::Loss(loss) => loss.gap.resumed_from,
        }
    }

    /// What it counts for in a window, in bytes: the event, its encoding without envelope, whether
    /// that is there or not, and the others once they are.
    pub fn weight(&self) -> usize {
        self.weight + self.entry.as_ref().map_or(0, LedgerEntry::grown)
    }

    /// The encoded bytes. The first call for an envelope encodes, all others share the result. Of a notice of loss,
    /// they are Fanfare's own.
    pub fn encoded(&self, envelope: Envelope) -> &Encoded {
        match (&self.content, envelope) {
            (FrameContent::Loss(loss), _) => loss.encoded_in("", Gap::encode, self),
            (FrameContent::Event(event, own_id), Envelope::OwnId) => own_id.get_or_init(|| {
                let id = event
                    .id()
                    .map_or_else(|| format!("#{}", event.position), |id| id.as_str().to_owned());
                let (event_type, data) = (type_of(event), &*event.message);
                let fields = Fields { id: Some(&id), event: event_type, data };
                Box::new(self.counted(encode_with_retry(fields, event.retry())))
            }),
            (FrameContent::Event(event, _), Envelope::None) => {
                self.plain.get_or_init(|| encode_event(event, type_of(event), &event.message))
            }
            (FrameContent::Event(event, _), Envelope::Json) => self.json.get_or_init(|| {
                self.counted(encode_event(event, type_of(event), &enveloped(event)))
            }),
            (FrameContent::Event(event, _), Envelope::Sealed) => self
                .sealed
                .get_or_init(|| self.counted(encode_event(event, None, &enveloped(event)))),
        }
    }

    /// A notice of loss in the words of a format, by whose name it is kept: `write` is called at most once for each.
    /// `None` of an event.
    pub fn gap_in(
        &self,
        format: &'static str,
        write: impl Fn(&Gap) -> Encoded,
    ) -> Option<&Encoded> {
        match &self.content {
            FrameContent::Event(..) => None,
            FrameContent::Loss(loss) => Some(loss.encoded_in(format, write, self)),
        }
    }

    fn counted(&self, encoded: Encoded) -> Encoded {
        if let Some(entry) = &self.entry {
            entry.grow(encoded.len());
        }
        encoded
    }
}

impl LossContent {
    /// Its notice in the words of a format; it is counted where its frame is.
    fn encoded_in(
        &self,
        format: &'static str,
        write: impl Fn(&Gap) -> Encoded,
        frame: &Frame,
    ) -> &Encoded {
        let mut place = &self.encodings;
        loop {
            let encoding = place.get_or_init(|| {
                let encoded = frame.counted(write(&self.gap));
                Box::new(EncodedGap { format, encoded, others: OnceLock::new() })
            });
            if encoding.format == format {
                return &encoding.encoded;
            }
            place = &encoding.others;
        }
    }
}

/// What a frame of this event weighs with its encoding without envelope, in bytes.
fn weight_of(event: &Event) -> usize {
    /// Id, chunk framing, and what is written around the fields.
    const AROUND: usize = 96;
    // Each line of the message is sent with a field name of its own.
    let lines = event.message.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let plain = event.message.len()
        + lines * "data: \n".len()
        + event.event_type.as_ref().map_or(0, |event_type| event_type.as_str().len())
        + AROUND;
    event.weight() + plain + size_of::<Frame>()
}

fn encode_event(event: &Event, event_type: Option<&str>, data: &str) -> Encoded {
    encode(Fields { id: Some(&event.position.to_string()), event: event_type, data })
}

fn type_of(event: &Event) -> Option<&str> {
    event.event_type.as_ref().map(|event_type| event_type.as_str())
}

/// One line: JSON escapes every line end.
fn enveloped(event: &Event) -> String {
    let published_at = event.published_at;
    // `Value`s of strings print compact and cannot fail.
    let topics = if event.others().is_empty() {
        String::new()
    } else {
        let all = event.topics().map(|topic| serde_json::Value::from(topic.as_str()));
        format!(r#","topics":{}"#, serde_json::Value::Array(all.collect()))
    };
    format!(
        r#"{{"topic":{}{topics},"event":{},"published_at":"{published_at:.3}","message":{}}}"#,
        serde_json::Value::from(event.topic.as_str()),
        type_of(event).map_or(serde_json::Value::Null, Into::into),
        serde_json::Value::from(&*event.message),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use fanfare_event::{EventType, Timestamp, Topic};

    use super::*;
    use crate::GapReason;

    #[test]
    fn a_loss_is_told_once_in_the_words_of_each_format() {
        let resumed_from = Position::new(7, 1);
        let gap = Gap { reason: GapReason::Trimmed, requested: String::new(), resumed_from };
        let frame = Frame::of_gap(gap);
        let written = Cell::new(0);
        let told = |format: &'static str| {
            let write = |gap: &Gap| {
                written.set(written.get() + 1);
                encode(Fields {
                    id: Some(&gap.resumed_from.to_string()),
                    event: None,
                    data: format,
                })
            };
            frame.gap_in(format, write).unwrap().bare().to_vec()
        };
        for _ in 0..2 {
            for format in ["one", "another", "a third"] {
                assert_eq!(told(format), format!("id: 7-1\ndata: {format}\n\n").into_bytes());
            }
        }
        assert_eq!(written.get(), 3);
        let own = frame.encoded(Envelope::Json).bare();
        assert!(own.starts_with(b"id: 7-1\nevent: fanfare.gap\n"), "in no envelope");
    }

    #[test]
    fn an_enveloped_message_stays_on_one_line_and_names_its_topic() {
        let frame = Frame::new(Arc::new(Event {
            position: Position::new(7, 1),
            topic: Topic::parse("orders/\"1\"").unwrap(),
            event_type: Some(EventType::parse("made").unwrap()),
            published_at: Timestamp(1_700_000_000_120),
            message: "a\r\nb\u{2028}".into(),
            extras: None,
        }));
        let data = concat!(
            r#"data: {"topic":"orders/\"1\"","event":"made","#,
            r#""published_at":"2023-11-14T22:13:20.120Z","message":"a\r\nb"#,
            "\u{2028}\"}\n\n"
        );
        let text = |envelope| std::str::from_utf8(frame.encoded(envelope).bare()).unwrap();
        assert_eq!(text(Envelope::Json), format!("id: 7-1\nevent: made\n{data}"));
        assert_eq!(text(Envelope::Sealed), format!("id: 7-1\n{data}"));
        assert_eq!(text(Envelope::OwnId), "id: #7-1\nevent: made\ndata: a\ndata: b\u{2028}\n\n");
        assert_eq!(
            frame.encoded(Envelope::None).bare(),
            "id: 7-1\nevent: made\ndata: a\ndata: b\u{2028}\n\n".as_bytes()
        );
    }
}
