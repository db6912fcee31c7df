//! The `data:` lines of an event stream (WHATWG HTML, 9.2), found incrementally and cheaply.
//!
//! What must hold: the lines found do not depend on where the stream was cut into pieces. Nothing
//! is allocated: of a line that a cut divides, only the beginning is kept. Lines end in LF or
//! CR LF; a bare CR, which no hub sends, does not end one here. The id to resume after is kept where
//! somebody wants it, and changes with the end of an event, not before.

use memchr::{memchr, memmem};

use crate::payload::BenchMessage;

/// The value of one `data:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataLine<'a> {
    /// How it begins: all of it, or at least [`BenchMessage::MIN_BYTES`].
    pub(crate) start: &'a [u8],
    /// How long it is altogether, in bytes.
    pub(crate) length: usize,
}

const FIELD: &[u8] = b"data:";
const ID: &[u8] = b"id:";
/// How much of a line that a cut divides is kept: a message of ours, or an id.
const KEPT: usize = 128;
const _: () = assert!(KEPT > FIELD.len() + BenchMessage::MIN_BYTES);
/// How much of one is kept where all of it is wanted: several messages of ours at once.
const WHOLE: usize = 64 << 20;

/// Where in a line the last piece of the stream ended.
#[derive(Debug, Clone)]
pub(crate) struct DataScanner {
    /// How the line that is not complete yet begins.
    start: [u8; KEPT],
    /// How much of that line has been seen.
    seen: usize,
    ends_in_cr: bool,
    ids: Option<Ids>,
    /// The whole of that line, where it is wanted.
    whole: Option<Vec<u8>>,
}

/// The ids of a stream's events.
#[derive(Debug, Clone, Default)]
struct Ids {
    /// Of the event that is not complete yet.
    next: Option<Vec<u8>>,
    /// Of the last one that is.
    last: Vec<u8>,
    /// What an id stands behind, up to the next quotation mark, where it is not a field of its own.
    mark: Option<Vec<u8>>,
}

impl DataScanner {
    pub(crate) const fn new() -> Self {
        Self { start: [0; KEPT], seen: 0, ends_in_cr: false, ids: None, whole: None }
    }

    /// Keeps the id of the last event from now on: the field, or what stands behind this mark.
    pub(crate) fn keep_ids(&mut self, mark: Option<&str>) {
        self.ids = Some(Ids { mark: mark.map(Into::into), ..Ids::default() });
    }

    /// Hands on whole lines from now on, however they are cut.
    pub(crate) fn keep_lines(&mut self) {
        self.whole.get_or_insert_default();
    }

    /// The id of the last event that was complete; empty where there was none.
    pub(crate) fn last_id(&self) -> &[u8] {
        self.ids.as_ref().map_or(&[], |ids| &ids.last)
    }

    /// Another stream begins: what was not complete never will be.
    pub(crate) fn reset(&mut self) {
        self.forget_line();
        if let Some(ids) = &mut self.ids {
            ids.next = None;
        }
    }

    /// Takes the next piece of the stream and hands on each `data:` line that it completes.
    pub(crate) fn take(&mut self, mut piece: &[u8], mut found: impl FnMut(DataLine<'_>)) {
        while let Some(end) = memchr(b'\n', piece) {
            let line = &piece[..end];
            piece = &piece[end + 1..];
            if self.seen == 0 {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                value(line, line.len()).map(&mut found);
                note_id(&mut self.ids, line);
            } else {
                self.keep(line);
                let length = self.seen - usize::from(self.ends_in_cr);
                let line = match &self.whole {
                    Some(whole) => &whole[..length.min(whole.len())],
                    None => &self.start[..length.min(KEPT)],
                };
                value(line, length).map(&mut found);
                note_id(&mut self.ids, line);
                self.forget_line();
            }
        }
        self.keep(piece);
    }

    fn forget_line(&mut self) {
        self.seen = 0;
        if let Some(whole) = &mut self.whole {
            whole.clear();
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let Some(last) = part.last() else { return };
        if let Some(whole) = &mut self.whole {
            whole.extend_from_slice(&part[..part.len().min(WHOLE - whole.len())]);
        }
        let from = self.seen.min(KEPT);
        let n = part.len().min(KEPT - from);
        self.start[from..from + n].copy_from_slice(&part[..n]);
        self.seen += part.len();
        self.ends_in_cr = *last == b'\r';
    }
}

/// Notes an id, or the end of the event that has it.
fn note_id(ids: &mut Option<Ids>, line: &[u8]) {
    let Some(ids) = ids else { return };
    if line.is_empty() {
        if let Some(id) = ids.next.take() {
            ids.last = id;
        }
    } else if let Some(mark) = &ids.mark {
        if let Some(at) = memmem::find(line, mark) {
            let id = &line[at + mark.len()..];
            ids.next = memchr(b'"', id).map(|end| id[..end].to_vec());
        }
    } else if let Some(id) = line.strip_prefix(ID) {
        ids.next = Some(id.strip_prefix(b" ").unwrap_or(id).to_vec());
    }
}

/// The value of a line, `length` bytes long and beginning with `start`, if its field is `data`.
fn value(start: &[u8], length: usize) -> Option<DataLine<'_>> {
    let value = start.strip_prefix(FIELD)?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    Some(DataLine { start: value, length: length - (start.len() - value.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";

    /// The values found, cut to what the scanner promises of them, with their lengths.
    fn scan(pieces: &[&[u8]]) -> Vec<(String, usize)> {
        let mut scanner = DataScanner::new();
        let mut found = Vec::new();
        for piece in pieces {
            scanner.take(piece, |line| {
                let promised = &line.start[..line.length.min(BenchMessage::MIN_BYTES)];
                found.push((String::from_utf8(promised.to_vec()).unwrap(), line.length));
            });
        }
        found
    }

    fn stream() -> String {
        format!(
            ":\nretry: 2871\nid: 1-1\ndata: one\n\n:\nid: 1-2\nevent: fanfare.cursor\ndata: two\n\n\
             id: 1-3\ndata: three\ndata:four\ndata: \ndata:\n\nid: 1-4\r\ndata: five\r\n\r\n\
             id: data: no\nxdata: no\ndata: {LONG}\n\n:data: no\ndata: {LONG}\r\n\ndata: six\n"
        )
    }

    #[test]
    fn data_lines_are_found_and_nothing_else() {
        let long = (LONG[..BenchMessage::MIN_BYTES].to_owned(), LONG.len());
        let short = |text: &str| (text.to_owned(), text.len());
        let expected = vec![
            short("one"),
            short("two"),
            short("three"),
            short("four"),
            short(""),
            short(""),
            short("five"),
            long.clone(),
            long,
            short("six"),
        ];
        assert_eq!(scan(&[stream().as_bytes()]), expected);
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let stream = stream();
        let whole = scan(&[stream.as_bytes()]);
        for at in 0..=stream.len() {
            let (before, after) = stream.as_bytes().split_at(at);
            assert_eq!(scan(&[before, after]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(scan(&bytes), whole);
    }

    #[test]
    fn an_id_counts_once_its_event_is_complete() {
        let mut scanner = DataScanner::new();
        scanner.keep_ids(None);
        let mut last = |piece: &[u8]| {
            scanner.take(piece, |_| ());
            String::from_utf8(scanner.last_id().to_vec()).unwrap()
        };
        assert_eq!(last(b"id: 1-1\ndata: one\n"), "");
        assert_eq!(last(b"\nid:1-"), "1-1");
        assert_eq!(last(b"2\r\ndata: two\r\n\r"), "1-1");
        assert_eq!(last(b"\n:\n\n"), "1-2");
        scanner.take(b"id: 1-3\nda", |_| ());
        scanner.reset();
        scanner.take(b"\n\n", |_| ());
        assert_eq!(scanner.last_id(), b"1-2");
    }

    #[test]
    fn an_id_in_the_data_is_found_behind_its_mark() {
        let mut scanner = DataScanner::new();
        scanner.keep_ids(Some("\"next\":\""));
        scanner.take(b"event: control\ndata: {\"next\":\"0_17\",\"more\":1}\n\n", |_| ());
        assert_eq!(scanner.last_id(), b"0_17");
    }

    #[test]
    fn whole_lines_are_handed_on_where_they_are_wanted() {
        let mut scanner = DataScanner::new();
        scanner.keep_lines();
        let line = format!("data: {}", LONG.repeat(10));
        let mut found = Vec::new();
        for piece in [&line.as_bytes()[..300], &line.as_bytes()[300..], b"\r\n"] {
            scanner.take(piece, |line| found.push((line.start.to_vec(), line.length)));
        }
        assert_eq!(found, [(LONG.repeat(10).into_bytes(), LONG.len() * 10)]);
    }

    #[test]
    fn an_incomplete_line_waits_for_its_end() {
        assert!(scan(&[b"data: one"]).is_empty());
        assert_eq!(scan(&[b"data: one", b"", b"\n"]), [("one".to_owned(), 3)]);
    }
}
