//! The `data:` lines of an event stream (WHATWG HTML, 9.2), found incrementally and cheaply.
//!
//! What must hold: the lines found do not depend on where the stream was cut into pieces. Nothing
//! is allocated: of a line that a cut divides, only the beginning is kept. Lines end in LF or
//! CR LF; a bare CR, which no hub sends, does not end one here.

use memchr::memchr;

use crate::payload::Payload;

/// The value of one `data:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataLine<'a> {
    /// How it begins: all of it, or at least [`Payload::MIN_BYTES`].
    pub(crate) start: &'a [u8],
    /// How long it is altogether, in bytes.
    pub(crate) length: usize,
}

const FIELD: &[u8] = b"data:";
const KEPT: usize = FIELD.len() + 1 + Payload::MIN_BYTES;

/// Where in a line the last piece of the stream ended.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    /// How the line that is not complete yet begins.
    start: [u8; KEPT],
    /// How much of that line has been seen.
    seen: usize,
    ends_in_cr: bool,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self { start: [0; KEPT], seen: 0, ends_in_cr: false }
    }

    /// Takes the next piece of the stream and hands on each `data:` line that it completes.
    pub(crate) fn take(&mut self, mut piece: &[u8], mut found: impl FnMut(DataLine<'_>)) {
        while let Some(end) = memchr(b'\n', piece) {
            let line = &piece[..end];
            piece = &piece[end + 1..];
            if self.seen == 0 {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                value(line, line.len()).map(&mut found);
            } else {
                self.keep(line);
                let length = self.seen - usize::from(self.ends_in_cr);
                value(&self.start[..length.min(KEPT)], length).map(&mut found);
                self.seen = 0;
            }
        }
        self.keep(piece);
    }

    fn keep(&mut self, part: &[u8]) {
        let Some(last) = part.last() else { return };
        let from = self.seen.min(KEPT);
        let n = part.len().min(KEPT - from);
        self.start[from..from + n].copy_from_slice(&part[..n]);
        self.seen += part.len();
        self.ends_in_cr = *last == b'\r';
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
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        for piece in pieces {
            scanner.take(piece, |line| {
                let promised = &line.start[..line.length.min(Payload::MIN_BYTES)];
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
        let long = (LONG[..Payload::MIN_BYTES].to_owned(), LONG.len());
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
    fn an_incomplete_line_waits_for_its_end() {
        assert!(scan(&[b"data: one"]).is_empty());
        assert_eq!(scan(&[b"data: one", b"", b"\n"]), [("one".to_owned(), 3)]);
    }
}
