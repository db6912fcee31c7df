//! Parsing: a stream's bytes, in whatever pieces they arrive, back into events
//! (WHATWG HTML, 9.2.6).
//!
//! What must hold: the result does not depend on where the pieces are cut; what is buffered never
//! exceeds the limit; no input panics. Only complete events come out: what a stream that breaks
//! off has begun is dropped with the parser.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// An incremental parser of one stream. A new connection needs a new parser.
#[derive(Debug)]
pub struct Parser {
    /// The most bytes buffered for one event.
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The value of the last `event:` line of the event under way.
    event: Vec<u8>,
    /// The `data:` lines of the event under way, each with an LF behind it.
    data: Vec<u8>,
    /// What the stream has last set with `id:`. It outlives the event that set it.
    id: Vec<u8>,
    /// The id as of the last blank line: what a reconnect would send.
    last_event_id: String,
    /// The byte before was a CR: an LF that follows belongs to the same line end.
    after_cr: bool,
    /// No line has ended yet, so a byte order mark may still have to be skipped.
    at_start: bool,
    /// The stream broke the limit: nothing more is read from it.
    overflowed: bool,
}

/// What a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// An event, complete with its blank line.
    Event(ParsedEvent),
    /// A `retry:` field: how long to wait before a reconnect, in milliseconds. It holds from the
    /// moment it is read.
    Retry(u64),
    /// A comment: what follows the colon.
    Comment(String),
}

/// An event as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedEvent {
    /// The last event id: this event's own, or the one an earlier event set. Empty before any.
    pub id: String,
    /// Its type; `None` is what an EventSource calls `message`.
    pub event: Option<String>,
    /// Its `data:` lines, joined by LF.
    pub data: String,
}

/// An event, or a line outside of one, is larger than the reader is ready to buffer. The stream
/// cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than the limit of {limit} bytes")]
pub struct EventTooLarge {
    /// The limit the parser was made with.
    pub limit: usize,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Parser {
    /// A parser at the beginning of a stream. `limit` is the most bytes it buffers for one event,
    /// the current line and the last event id included.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: Vec::new(),
            data: Vec::new(),
            id: Vec::new(),
            last_event_id: String::new(),
            after_cr: false,
            at_start: true,
            overflowed: false,
        }
    }

    /// Reads on until something is complete, and advances `input` past it. `None` once `input` is
    /// used up.
    ///
    /// An error is final: every later call repeats it.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Parsed>, EventTooLarge> {
        while !self.overflowed && !input.is_empty() {
            if std::mem::take(&mut self.after_cr) && input[0] == b'\n' {
                *input = &input[1..];
                continue;
            }
            let bytes = *input;
            let end = memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
            let buffered = self.line.len() + self.event.len() + self.data.len() + self.id.len();
            if end > self.limit.saturating_sub(buffered) {
                self.overflowed = true;
                break;
            }
            let Some(&ending) = bytes.get(end) else {
                self.line.extend_from_slice(bytes);
                *input = &[];
                break;
            };
            self.after_cr = ending == b'\r';
            *input = &bytes[end + 1..];
            let parsed = if self.line.is_empty() {
                self.line(&bytes[..end])
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                let parsed = self.line(&line);
                line.clear();
                self.line = line;
                parsed
            };
            if parsed.is_some() {
                return Ok(parsed);
            }
        }
        if self.overflowed { Err(EventTooLarge { limit: self.limit }) } else { Ok(None) }
    }

    /// What a client that reconnects now sends as `Last-Event-ID`; empty where the stream has set
    /// none. Unlike an event's id it also follows blocks without data.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Takes one line, without its end.
    fn line(&mut self, line: &[u8]) -> Option<Parsed> {
        let first = std::mem::take(&mut self.at_start);
        let line = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.blank_line();
        }
        let (field, value) = match memchr(b':', line) {
            Some(0) => return Some(Parsed::Comment(text(&line[1..]).into_owned())),
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => value.clone_into(&mut self.event),
            b"id" if !value.contains(&0) => value.clone_into(&mut self.id),
            b"retry" => return milliseconds(value).map(Parsed::Retry),
            _ => {}
        }
        None
    }

    /// Ends the event under way. Without a `data:` line there is none to deliver.
    fn blank_line(&mut self) -> Option<Parsed> {
        if self.last_event_id.as_bytes() != self.id {
            self.last_event_id = text(&self.id).into_owned();
        }
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        let data = data.strip_suffix(b"\n")?;
        Some(Parsed::Event(ParsedEvent {
            id: self.last_event_id.clone(),
            event: (!event.is_empty()).then(|| text(&event).into_owned()),
            data: text(data).into_owned(),
        }))
    }
}

/// Decodes bytes as the standard does: what is not UTF-8 becomes U+FFFD. Line by line or as a
/// whole makes no difference, because a line end is never part of a longer sequence.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// ASCII digits only; anything else is ignored. What exceeds 64 bits is as long as can be said.
fn milliseconds(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| text(value).parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fields, comment, encode, retry};

    fn parse(pieces: &[&[u8]], limit: usize) -> (Vec<Parsed>, Result<(), EventTooLarge>) {
        let mut parser = Parser::new(limit);
        let mut all = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match parser.next(&mut input) {
                    Ok(Some(parsed)) => all.push(parsed),
                    Ok(None) => break,
                    Err(error) => return (all, Err(error)),
                }
            }
            assert!(input.is_empty(), "input was left behind");
        }
        (all, Ok(()))
    }

    fn whole(stream: impl AsRef<[u8]>) -> Vec<Parsed> {
        let (parsed, end) = parse(&[stream.as_ref()], usize::MAX);
        assert_eq!(end, Ok(()));
        parsed
    }

    fn event(id: &str, event: Option<&str>, data: &str) -> Parsed {
        let event = event.map(str::to_owned);
        Parsed::Event(ParsedEvent { id: id.to_owned(), event, data: data.to_owned() })
    }

    #[test]
    fn the_examples_of_the_standard_read_as_it_says() {
        assert_eq!(whole("data: YHOO\ndata: +2\ndata: 10\n\n"), [event("", None, "YHOO\n+2\n10")]);
        assert_eq!(
            whole(
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"
            ),
            [
                Parsed::Comment(" test stream".to_owned()),
                event("1", None, "first event"),
                event("", None, "second event"),
            ]
        );
        assert_eq!(
            whole("data\n\ndata\ndata\n\ndata:"),
            [event("", None, ""), event("", None, "\n")]
        );
        assert_eq!(
            whole("data:test\n\ndata: test\n\n"),
            [event("", None, "test"), event("", None, "test")]
        );
    }

    #[test]
    fn every_line_end_ends_a_line_once() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!("id: 7{end}data: a{end}data: b{end}{end}data: c{end}{end}");
            assert_eq!(whole(stream), [event("7", None, "a\nb"), event("7", None, "c")]);
        }
        let (parsed, _) = parse(&[b"data: a\r", b"\ndata: b\r", b"\r"], 100);
        assert_eq!(parsed, [event("", None, "a\nb")], "an event does not wait for an LF");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_and_only_there() {
        assert_eq!(whole("\u{feff}data: a\n\n"), [event("", None, "a")]);
        assert_eq!(whole("\u{feff}\u{feff}data: a\n\n"), []);
        assert_eq!(whole("data: a\n\n\u{feff}data: b\n\n"), [event("", None, "a")]);
        let (parsed, _) = parse(&[b"\xef", b"\xbb", b"\xbfdata: a\n\n"], 100);
        assert_eq!(parsed, [event("", None, "a")]);
    }

    #[test]
    fn fields_that_say_nothing_are_ignored() {
        assert_eq!(whole("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n")[1], event("1", None, "b"));
        assert_eq!(whole("retry: 1x\nretry:\nretry: -1\nretry: 1\u{661}\n"), []);
        assert_eq!(whole("retry: 250\n"), [Parsed::Retry(250)]);
        assert_eq!(whole("retry: 99999999999999999999\n"), [Parsed::Retry(u64::MAX)]);
        assert_eq!(whole("Data: a\n data: b\ndata : c\n\n"), []);
        assert_eq!(whole("event: gone\n\ndata: a\n\n"), [event("", None, "a")]);
        assert_eq!(whole("event: x\nevent:\ndata: a\n\n"), [event("", None, "a")]);
    }

    #[test]
    fn an_id_without_data_is_remembered_and_delivers_nothing() {
        let mut parser = Parser::new(100);
        let mut input = &b"id: 9\n\nid: 10\n"[..];
        assert_eq!(parser.next(&mut input), Ok(None));
        assert_eq!(parser.last_event_id(), "9");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(
            whole(b"data: a\xff\xe2\x82\ndata: \x80b\n\n"),
            [event("", None, "a\u{fffd}\u{fffd}\n\u{fffd}b")]
        );
    }

    #[test]
    fn a_stream_that_never_ends_its_event_is_refused() {
        let error = Err(EventTooLarge { limit: 16 });
        assert_eq!(parse(&[&[b'x'; 17]], 16).1, error);
        assert_eq!(parse(&[&[b'x'; 16]], 16).1, Ok(()));
        assert_eq!(parse(&["data: a\n".repeat(9).as_bytes()], 16).1, error);
        assert_eq!(parse(&["data: a\n\n".repeat(9).as_bytes()], 16).1, Ok(()));
        let mut parser = Parser::new(4);
        assert!(parser.next(&mut &b"12345"[..]).is_err());
        assert!(parser.next(&mut &b"\n\ndata:\n\n"[..]).is_err(), "an error is final");
    }

    /// What stands on the wire between two cuts, and the cuts.
    fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut start = 0;
        ends.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
    }

    fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
        prop::collection::vec(any::<prop::sample::Index>(), 0..12)
    }

    /// Bytes in which the parser's own alphabet is frequent.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            4 => prop::sample::select(vec![
                "\n", "\r", "\r\n", ":", " ", "data", "data: ", "event: ", "id: ", "retry: ", "7",
                "\0", "\u{feff}", "\u{2028}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
    }

    fn message() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            3 => prop::sample::select(vec![
                "\n", "\r", "\r\n", ":", " ", "data: x", "id: 9-9", "\0", "\u{feff}", "\u{2028}",
                "\u{85}", "\u{b}", "\u{c}",
            ])
            .prop_map(str::to_owned),
            2 => any::<String>(),
        ];
        prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_parses_back(
            events in prop::collection::vec(
                ("[0-9]{1,20}-[0-9]{1,20}", prop::option::of("[^\r\n\0]{1,20}"), message()), 1..5
            ),
            cuts in cuts(),
        ) {
            let mut stream = [comment().bare(), retry(2871).bare()].concat();
            let mut expected = vec![Parsed::Comment(String::new()), Parsed::Retry(2871)];
            for (id, kind, message) in &events {
                let fields = Fields { id: Some(id), event: kind.as_deref(), data: message };
                stream.extend_from_slice(encode(fields).bare());
                let seen = message.replace("\r\n", "\n").replace('\r', "\n");
                expected.push(event(id, kind.as_deref(), &seen));
            }
            let (parsed, end) = parse(&cut(&stream, &cuts), stream.len());
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(parsed, expected);
        }

        #[test]
        fn where_a_stream_is_cut_changes_nothing(
            stream in stream(), cuts in cuts(), limit in prop_oneof![0..60usize, Just(usize::MAX)],
        ) {
            let pieces = cut(&stream, &cuts);
            prop_assert_eq!(pieces.concat(), stream.clone());
            prop_assert_eq!(parse(&pieces, limit), parse(&[&stream], limit));
        }

        #[test]
        fn what_is_buffered_stays_within_the_limit(stream in stream(), limit in 0..60usize) {
            let mut parser = Parser::new(limit);
            for byte in stream {
                let end = parser.next(&mut &[byte][..]);
                let Parser { line, event, data, id, .. } = &parser;
                prop_assert!(line.len() + event.len() + data.len() + id.len() <= limit);
                if end.is_err() {
                    break;
                }
            }
        }
    }
}
