//! Encoding: one event into one immutable buffer that every subscriber shares.

use std::io::Write as _;

use bytes::Bytes;

/// The fields of an event. `id` and `event` must hold no CR, LF or NUL; their types upstream see
/// to it. `data` may hold anything.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The `id:` field, left out where `None`: a client keeps the id that it has, or has none.
    pub id: Option<&'a str>,
    /// The `event:` field, left out where `None`.
    pub event: Option<&'a str>,
    /// The payload: one `data:` line for each of its lines, at least one.
    pub data: &'a str,
}

/// An event's bytes as one HTTP/1.1 chunk, so that the same buffer serves connections with and
/// without chunked framing. Cloning costs one reference count.
#[derive(Debug, Clone)]
pub struct Encoded {
    bytes: Bytes,
    prefix: u8,
}

const CRLF: &[u8] = b"\r\n";

impl Encoded {
    /// With the chunk's size line in front and CR LF behind (RFC 9112, 7.1).
    pub fn chunked(&self) -> &[u8] {
        &self.bytes
    }

    /// The event alone.
    pub fn bare(&self) -> &[u8] {
        &self.bytes[usize::from(self.prefix)..self.bytes.len() - CRLF.len()]
    }

    /// The event alone, sharing this buffer.
    pub fn bare_bytes(&self) -> Bytes {
        self.bytes.slice(usize::from(self.prefix)..self.bytes.len() - CRLF.len())
    }

    /// With its chunk framing, sharing this buffer.
    pub fn chunked_bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// What it occupies, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: even an empty event has its blank line.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Frames `length` bytes, which `fill` appends, in one exact allocation.
    fn chunk(length: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Self {
        let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1) as usize;
        let prefix = digits + CRLF.len();
        let mut bytes = Vec::with_capacity(prefix + length + CRLF.len());
        // Writing to a vector cannot fail.
        let _ = write!(bytes, "{length:x}\r\n");
        fill(&mut bytes);
        debug_assert_eq!(bytes.len(), prefix + length, "the length was computed wrongly");
        bytes.extend_from_slice(CRLF);
        Self { bytes: bytes.into(), prefix: prefix as u8 }
    }
}

/// Encodes an event: `id` and `event` where it has them, its `data` lines, a blank line. Lines end
/// in LF, one space follows each colon.
///
/// The data is split at CR LF, CR and LF and at nothing else, exactly where a parser would end a
/// line. One allocation; two passes over the data.
pub fn encode(fields: Fields<'_>) -> Encoded {
    encode_with_retry(fields, None)
}

/// The same, with a `retry:` field before the data, in milliseconds, where there is one.
pub fn encode_with_retry(fields: Fields<'_>, retry: Option<u64>) -> Encoded {
    let Fields { id, event, data } = fields;
    debug_assert!(!id.is_some_and(|id| id.contains(['\r', '\n', '\0'])), "ids are positions");
    debug_assert!(!event.is_some_and(|e| e.contains(['\r', '\n'])), "event types are checked");
    let data_length: usize = lines(data).map(|line| "data: \n".len() + line.len()).sum();
    let id_length = id.map_or(0, |id| "id: \n".len() + id.len());
    let event_length = event.map_or(0, |event| "event: \n".len() + event.len());
    let retry = retry.map(|milliseconds| milliseconds.to_string());
    let retry_length = retry.as_ref().map_or(0, |digits| "retry: \n".len() + digits.len());
    let length = id_length + event_length + retry_length + data_length + "\n".len();
    Encoded::chunk(length, |out| {
        let mut line = |name: &[u8], value: &[u8]| {
            out.extend_from_slice(name);
            out.extend_from_slice(value);
            out.push(b'\n');
        };
        if let Some(id) = id {
            line(b"id: ", id.as_bytes());
        }
        if let Some(event) = event {
            line(b"event: ", event.as_bytes());
        }
        if let Some(digits) = &retry {
            line(b"retry: ", digits.as_bytes());
        }
        for text in lines(data) {
            line(b"data: ", text);
        }
        out.push(b'\n');
    })
}

/// What ends a chunked body (RFC 9112, 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The comment that keeps a quiet stream alive: `:` and a line end, without a blank line, which
/// several clients turn into an empty message.
pub fn comment() -> Encoded {
    Encoded { bytes: Bytes::from_static(b"2\r\n:\n\r\n"), prefix: 3 }
}

/// A `retry:` field, in milliseconds, without a blank line: it takes effect when it is read
/// (WHATWG HTML, 9.2.6).
pub fn retry(milliseconds: u64) -> Encoded {
    let digits = milliseconds.to_string();
    Encoded::chunk("retry: \n".len() + digits.len(), |out| {
        out.extend_from_slice(b"retry: ");
        out.extend_from_slice(digits.as_bytes());
        out.push(b'\n');
    })
}

/// What a stream begins with: a comment, so that the client has a byte at once, and its `retry:`
/// in milliseconds.
pub fn opening(retry: u64) -> Encoded {
    let retry = retry.to_string();
    Encoded::chunk(":\nretry: \n".len() + retry.len(), |out| {
        out.extend_from_slice(b":\nretry: ");
        out.extend_from_slice(retry.as_bytes());
        out.push(b'\n');
    })
}

/// The lines of a payload: what stands between CR LF, CR and LF. An empty payload is one empty
/// line; a trailing line end makes an empty last line, so that nothing is lost.
fn lines(data: &str) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data.as_bytes());
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else { return rest.take() };
        let ending = if bytes[end..].starts_with(CRLF) { 2 } else { 1 };
        rest = Some(&bytes[end + ending..]);
        Some(&bytes[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(event: Option<&str>, data: &str) -> String {
        String::from_utf8(encode(Fields { id: Some("7-1"), event, data }).bare().to_vec()).unwrap()
    }

    #[test]
    fn lines_are_split_where_a_parser_would_end_them_and_nowhere_else() {
        assert_eq!(bare(None, ""), "id: 7-1\ndata: \n\n");
        assert_eq!(bare(Some("tick"), "x"), "id: 7-1\nevent: tick\ndata: x\n\n");
        assert_eq!(bare(None, "a\r\nb\rc\nd"), "id: 7-1\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(bare(None, "a\n"), "id: 7-1\ndata: a\ndata: \n\n");
        assert_eq!(bare(None, "\r\n\r"), "id: 7-1\ndata: \ndata: \ndata: \n\n");
        assert_eq!(
            bare(None, " :a\u{2028}\u{85}\u{b}\u{c}"),
            "id: 7-1\ndata:  :a\u{2028}\u{85}\u{b}\u{c}\n\n"
        );
        assert_eq!(
            bare(None, "a\rid: 9-9\r\rdata: forged"),
            "id: 7-1\ndata: a\ndata: id: 9-9\ndata: \ndata: data: forged\n\n"
        );
    }

    #[test]
    fn a_time_to_come_back_is_a_field_of_the_event() {
        let fields = Fields { id: Some("7-1"), event: Some("tick"), data: "x\ny" };
        let encoded = encode_with_retry(fields, Some(1500));
        let expected = b"id: 7-1\nevent: tick\nretry: 1500\ndata: x\ndata: y\n\n";
        assert_eq!(encoded.bare(), expected);
    }

    #[test]
    fn a_chunk_states_its_exact_length() {
        for size in [0, 1, 15, 16, 255, 256, 4096, 70_000] {
            let encoded = encode(Fields { id: Some("1-1"), event: None, data: &"x".repeat(size) });
            let text = std::str::from_utf8(encoded.chunked()).unwrap();
            let (length, rest) = text.split_once("\r\n").unwrap();
            assert_eq!(usize::from_str_radix(length, 16).unwrap(), rest.len() - 2);
            assert_eq!(encoded.bare(), &rest.as_bytes()[..rest.len() - 2]);
            assert!(rest.ends_with("\n\n\r\n"));
        }
        assert_eq!(comment().chunked(), b"2\r\n:\n\r\n");
        assert_eq!(comment().bare(), b":\n");
        assert_eq!(retry(2871).bare(), b"retry: 2871\n");
    }
}
