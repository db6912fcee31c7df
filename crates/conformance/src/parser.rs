//! An incremental parser of event streams, written from sections 9.2.5 and 9.2.6 of the HTML
//! standard alone.
//!
//! What must hold: however the bytes are cut, the events are the same; an event is there with the
//! byte that completes it. It knows nothing of any hub, and shares no code with one.

/// What an `EventSource` would dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DispatchedEvent {
    /// `message` where the stream named none.
    pub(crate) kind: String,
    pub(crate) data: String,
    /// The last event id as of this event.
    pub(crate) id: String,
    /// Whether this very block said it.
    pub(crate) has_id: bool,
}

/// The parser, and what it noticed beside events.
#[derive(Debug, Default)]
pub(crate) struct EventSourceParser {
    line: Vec<u8>,
    /// A CR has ended a line: a LF that follows belongs to it.
    after_cr: bool,
    /// A first line has been read: a byte order mark counts no more.
    begun: bool,
    data: Vec<u8>,
    kind: String,
    id: String,
    has_id: bool,
    has_fields: bool,
    pub(crate) seen: Noticed,
}

/// What a stream held beside events.
#[derive(Debug, Default, Clone)]
pub(crate) struct Noticed {
    /// Lines that are comments.
    pub(crate) comments: usize,
    /// Blank lines that ended nothing: a block of comments, or no block.
    pub(crate) idle_blanks: usize,
    /// Blocks of fields without data, which dispatch nothing.
    pub(crate) dataless: usize,
    /// Values of `retry` that count.
    pub(crate) retries: Vec<u64>,
    /// Values of `retry` that do not: not digits alone.
    pub(crate) bad_retries: Vec<Vec<u8>>,
    /// Ids that were ignored, for a NUL in them.
    pub(crate) bad_ids: Vec<Vec<u8>>,
    /// The stream began with a byte order mark.
    pub(crate) byte_order_mark: bool,
    /// A line that is not UTF-8.
    pub(crate) not_utf8: Option<Vec<u8>>,
    /// Names of fields that no client knows.
    pub(crate) unknown_fields: Vec<String>,
}

impl EventSourceParser {
    /// Takes more of the stream and appends the events that it completes.
    pub(crate) fn feed(&mut self, bytes: &[u8], events: &mut Vec<DispatchedEvent>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.after_cr {
                self.after_cr = false;
                if first == b'\n' {
                    rest = &rest[1..];
                    continue;
                }
            }
            let Some(end) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
                self.line.extend_from_slice(rest);
                return;
            };
            self.line.extend_from_slice(&rest[..end]);
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.take(&line, events);
        }
    }

    /// Whether the stream, were it to end here, would end inside a block that holds fields.
    pub(crate) fn is_inside_an_event(&self) -> bool {
        !self.line.is_empty() || !self.data.is_empty() || !self.kind.is_empty() || self.has_id
    }

    fn take(&mut self, line: &[u8], events: &mut Vec<DispatchedEvent>) {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if !self.begun => {
                self.seen.byte_order_mark = true;
                rest
            }
            _ => line,
        };
        self.begun = true;
        if std::str::from_utf8(line).is_err() && self.seen.not_utf8.is_none() {
            self.seen.not_utf8 = Some(line.to_vec());
        }
        if line.is_empty() {
            return self.dispatch(events);
        }
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(0) => {
                self.seen.comments += 1;
                return;
            }
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &line[line.len()..]),
        };
        self.field(name, value);
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.has_fields = true;
        match name {
            b"event" => self.kind = text(value),
            b"data" => {
                self.data.extend_from_slice(text(value).as_bytes());
                self.data.push(b'\n');
            }
            b"id" if value.contains(&0) => self.seen.bad_ids.push(value.to_vec()),
            b"id" => {
                self.id = text(value);
                self.has_id = true;
            }
            b"retry" => match std::str::from_utf8(value)
                .ok()
                .filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
            {
                // Longer than any clock: it counts, as the longest time there is.
                Some(digits) => self.seen.retries.push(digits.parse().unwrap_or(u64::MAX)),
                None => self.seen.bad_retries.push(value.to_vec()),
            },
            other => self.seen.unknown_fields.push(text(other)),
        }
    }

    fn dispatch(&mut self, events: &mut Vec<DispatchedEvent>) {
        let kind = std::mem::take(&mut self.kind);
        let has_id = std::mem::take(&mut self.has_id);
        let has_fields = std::mem::take(&mut self.has_fields);
        if self.data.is_empty() {
            if has_fields {
                self.seen.dataless += 1;
            } else {
                self.seen.idle_blanks += 1;
            }
            return;
        }
        self.data.pop();
        let data = String::from_utf8(std::mem::take(&mut self.data)).unwrap_or_default();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        events.push(DispatchedEvent { kind, data, id: self.id.clone(), has_id });
    }
}

/// As the standard's UTF-8 decoder does: what is not UTF-8 becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn parsed(parts: &[&[u8]]) -> (Vec<DispatchedEvent>, EventSourceParser) {
        let (mut parser, mut events) = (EventSourceParser::default(), Vec::new());
        parts.iter().for_each(|part| parser.feed(part, &mut events));
        (events, parser)
    }

    fn data(stream: &str) -> Vec<String> {
        parsed(&[stream.as_bytes()]).0.into_iter().map(|event| event.data).collect()
    }

    /// The streams that the standard itself gives as examples, with what it says of them.
    #[test]
    fn the_standards_examples_are_read_as_it_says() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let (events, _) = parsed(&[stream.as_bytes()]);
        let heard: Vec<_> = events.iter().map(|e| (e.data.as_str(), e.id.as_str())).collect();
        assert_eq!(heard, [("first event", "1"), ("second event", ""), (" third event", "")]);
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn how_bytes_are_cut_changes_nothing() {
        let stream =
            "\u{feff}event: a\r\ndata: é\r\rid: 7\rdata: x\r\n\r\nretry: 12\n:c\n\ndata: y\n\n";
        let whole = parsed(&[stream.as_bytes()]);
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let cut = parsed(&bytes);
        assert_eq!(whole.0, cut.0);
        assert_eq!(whole.0.len(), 3);
        assert_eq!(whole.0[1].id, "7");
        assert!(cut.1.seen.byte_order_mark);
        assert_eq!((cut.1.seen.retries.as_slice(), cut.1.seen.comments), ([12].as_slice(), 1));
    }

    #[test]
    fn a_carriage_return_ends_a_line_at_once() {
        let (events, _) = parsed(&[b"data: x\r\r"]);
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn what_a_stream_breaks_is_noted() {
        let (_, parser) = parsed(&[b"id: a\0b\nretry: 1s\ndata: \xff\n\nid: 3\n\n:\n\nfoo: 1\n\n"]);
        assert_eq!(parser.seen.bad_ids, [b"a\0b".to_vec()]);
        assert_eq!(parser.seen.bad_retries, [b"1s".to_vec()]);
        assert!(parser.seen.not_utf8.is_some());
        assert_eq!((parser.seen.dataless, parser.seen.idle_blanks), (2, 1));
        assert_eq!(parser.seen.unknown_fields, ["foo"]);
        assert!(parsed(&[b"data: half"]).1.is_inside_an_event());
        assert!(!parsed(&[b":\nretry: 3\n"]).1.is_inside_an_event());
    }
}
