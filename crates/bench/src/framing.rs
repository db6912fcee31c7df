//! The framing of an HTTP/1.1 body, taken off incrementally (RFC 9112, 6.3 and 7.1).

/// How a body is delimited, and how far it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// In chunks.
    Chunked(ChunkState),
    /// So many bytes are left.
    Length(u64),
    /// Until the connection closes.
    Close,
}

/// Where in a chunked body the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// In a chunk's size line, with the value of its digits so far.
    Size(u64),
    /// In the rest of that line, which nobody needs.
    Extension(u64),
    /// In a chunk's data, of which so many bytes are left.
    Data(u64),
    /// Between a chunk's data and the next size line.
    DataEnd,
    /// Behind the last chunk.
    End,
}

/// A chunk's size line that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {0:#04x} where a chunk's size or end belongs")]
pub struct BadChunk(u8);

impl BodyFraming {
    /// A chunked body, nothing of which has been read.
    pub(crate) const fn chunked() -> Self {
        Self::Chunked(ChunkState::Size(0))
    }

    /// Whether the body is complete. One that ends with its connection never is.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Chunked(ChunkState::End) | Self::Length(0))
    }

    /// Hands the body's own bytes in `input` to `body`, in one or more pieces. Bytes behind the
    /// body's end are ignored.
    pub(crate) fn take(
        &mut self,
        mut input: &[u8],
        mut body: impl FnMut(&[u8]),
    ) -> Result<(), BadChunk> {
        let chunk = match self {
            Self::Chunked(chunk) => chunk,
            Self::Length(left) => {
                let piece = split(&mut input, *left);
                *left -= piece.len() as u64;
                body(piece);
                return Ok(());
            }
            Self::Close => {
                body(input);
                return Ok(());
            }
        };
        while let Some(&byte) = input.first() {
            *chunk = match *chunk {
                ChunkState::Data(left) => {
                    let piece = split(&mut input, left);
                    body(piece);
                    match left - piece.len() as u64 {
                        0 => ChunkState::DataEnd,
                        left => ChunkState::Data(left),
                    }
                }
                ChunkState::End => return Ok(()),
                state => {
                    input = &input[1..];
                    state.after(byte)?
                }
            };
        }
        Ok(())
    }
}

impl ChunkState {
    /// The state behind one byte of what is not data.
    fn after(self, byte: u8) -> Result<Self, BadChunk> {
        match (self, byte) {
            (Self::Size(0) | Self::Extension(0), b'\n') => Ok(Self::End),
            (Self::Size(size) | Self::Extension(size), b'\n') => Ok(Self::Data(size)),
            (Self::Size(size), b'\r' | b';' | b' ' | b'\t') => Ok(Self::Extension(size)),
            (Self::Size(size), _) => match (byte as char).to_digit(16) {
                Some(digit) if size < 1 << 56 => Ok(Self::Size(size << 4 | u64::from(digit))),
                _ => Err(BadChunk(byte)),
            },
            (Self::DataEnd, b'\r') => Ok(Self::DataEnd),
            (Self::DataEnd, b'\n') => Ok(Self::Size(0)),
            (Self::DataEnd, _) => Err(BadChunk(byte)),
            (state, _) => Ok(state),
        }
    }
}

/// Takes the first `most` bytes off `input`, or all there are.
fn split<'a>(input: &mut &'a [u8], most: u64) -> &'a [u8] {
    let at = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    let (piece, rest) = input.split_at(at);
    *input = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(mut framing: BodyFraming, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        for piece in pieces {
            framing.take(piece, |bytes| out.extend_from_slice(bytes)).unwrap();
        }
        (out, framing.is_complete())
    }

    #[test]
    fn chunks_survive_a_split_at_every_byte() {
        let wire = b"6\r\ndata: \r\nB;x=y\r\nhello world\r\n1\r\n\n\r\n0\r\n\r\n";
        for at in 0..=wire.len() {
            let (out, complete) = body(BodyFraming::chunked(), &[&wire[..at], &wire[at..]]);
            assert_eq!(out, b"data: hello world\n", "split at {at}");
            assert!(complete);
        }
    }

    #[test]
    fn a_body_with_a_length_ends_there() {
        let (out, complete) = body(BodyFraming::Length(5), &[b"hel", b"lo, more"]);
        assert_eq!((out.as_slice(), complete), (&b"hello"[..], true));
        let (out, complete) = body(BodyFraming::Close, &[b"hel", b"lo"]);
        assert_eq!((out.as_slice(), complete), (&b"hello"[..], false));
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        assert_eq!(BodyFraming::chunked().take(b"data: x\n", |_| {}), Err(BadChunk(b't')));
        assert_eq!(BodyFraming::chunked().take(b"1\r\nab", |_| {}), Err(BadChunk(b'b')));
        assert!(BodyFraming::chunked().take(&[b'f'; 17], |_| {}).is_err());
    }
}
