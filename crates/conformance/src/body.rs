//! Where the body of an answer ends, and the chunks it may come in.

use crate::finding::{CheckResult, failed, quote};
use crate::head::{RawHead, find};

/// A chunk size longer than this is nonsense.
const LONGEST_SIZE_LINE: usize = 4096;

/// How a body is framed, and how far it has been read.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    /// There is none.
    Nothing,
    /// So many bytes more.
    Length(u64),
    /// All that comes.
    UntilClose,
    Chunked(ChunkReader),
}

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChunkReader {
    Size,
    Data(u64),
    AfterData,
    Trailers,
    Done,
}

/// What one look at what was received came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyStep {
    /// All that was there is taken; more is to come.
    More,
    /// The body is whole.
    Done,
}

impl BodyDecoder {
    /// By RFC 9112, section 6.3, for an answer to anything but HEAD.
    pub(crate) fn of(head: &RawHead) -> CheckResult<Self> {
        if head.status < 200 || head.status == 204 || head.status == 304 {
            return Ok(Self::Nothing);
        }
        if head.lists("transfer-encoding", "chunked") {
            return Ok(Self::Chunked(ChunkReader::Size));
        }
        match head.field("content-length") {
            None => Ok(Self::UntilClose),
            Some(length) => match length.parse() {
                Ok(length) => Ok(Self::Length(length)),
                Err(_) => failed(format!("not a length: {}", quote(length))),
            },
        }
    }

    /// Whether the connection may be closed here without cutting the body short.
    pub(crate) fn may_end(&self) -> bool {
        match self {
            Self::Nothing | Self::UntilClose | Self::Chunked(ChunkReader::Done) => true,
            Self::Length(left) => *left == 0,
            Self::Chunked(_) => false,
        }
    }

    /// Moves what belongs to the body from `received` to `out`.
    pub(crate) fn take(
        &mut self,
        received: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> CheckResult<BodyStep> {
        match self {
            Self::Nothing => Ok(BodyStep::Done),
            Self::UntilClose => {
                out.append(received);
                Ok(BodyStep::More)
            }
            Self::Length(left) => {
                let taken = clamp(*left, received.len());
                out.extend(received.drain(..taken));
                *left -= taken as u64;
                Ok(if *left == 0 { BodyStep::Done } else { BodyStep::More })
            }
            Self::Chunked(state) => {
                let (taken, step) = chunks(state, received, out)?;
                received.drain(..taken);
                Ok(step)
            }
        }
    }
}

fn clamp(wanted: u64, there: usize) -> usize {
    usize::try_from(wanted).map_or(there, |wanted| wanted.min(there))
}

/// Reads chunks from the beginning of `bytes`; how many bytes were taken.
fn chunks(
    state: &mut ChunkReader,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> CheckResult<(usize, BodyStep)> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        match *state {
            ChunkReader::Size => {
                let Some(end) = find(rest, b"\r\n") else {
                    if rest.contains(&b'\n') || rest.len() > LONGEST_SIZE_LINE {
                        return failed(format!("not a chunk size: {}", quote(rest)));
                    }
                    return Ok((at, BodyStep::More));
                };
                let size = size(&rest[..end])?;
                at += end + 2;
                *state = if size == 0 { ChunkReader::Trailers } else { ChunkReader::Data(size) };
            }
            ChunkReader::Data(left) => {
                let taken = clamp(left, rest.len());
                out.extend_from_slice(&rest[..taken]);
                at += taken;
                let left = left - taken as u64;
                if left > 0 {
                    *state = ChunkReader::Data(left);
                    return Ok((at, BodyStep::More));
                }
                *state = ChunkReader::AfterData;
            }
            ChunkReader::AfterData => match rest {
                [b'\r', b'\n', ..] => {
                    at += 2;
                    *state = ChunkReader::Size;
                }
                [] | [b'\r'] => return Ok((at, BodyStep::More)),
                _ => return failed(format!("a chunk ends with {}, not CR LF", quote(rest))),
            },
            ChunkReader::Trailers => match find(rest, b"\r\n") {
                Some(0) => {
                    *state = ChunkReader::Done;
                    return Ok((at + 2, BodyStep::Done));
                }
                Some(end) => at += end + 2,
                None => return Ok((at, BodyStep::More)),
            },
            ChunkReader::Done => return Ok((at, BodyStep::Done)),
        }
    }
}

fn size(line: &[u8]) -> CheckResult<u64> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    let parsed = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    match parsed.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        Some(size) => Ok(size),
        None => failed(format!("not a chunk size: {}", quote(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> CheckResult<(Vec<u8>, BodyStep)> {
        let mut body = BodyDecoder::Chunked(ChunkReader::Size);
        let (mut received, mut out, mut step) = (Vec::new(), Vec::new(), BodyStep::More);
        for part in parts {
            received.extend_from_slice(part);
            step = body.take(&mut received, &mut out)?;
        }
        Ok((out, step))
    }

    #[test]
    fn where_chunks_are_cut_changes_nothing() {
        let whole = b"5;x=y\r\nhello\r\n1\r\n \r\n00\r\nA: 1\r\n\r\n";
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), (b"hello ".to_vec(), BodyStep::Done));
        assert_eq!(read(&[whole]).unwrap(), (b"hello ".to_vec(), BodyStep::Done));
        assert_eq!(read(&[b"5\r\nhello\r\n"]).unwrap().1, BodyStep::More);
    }

    #[test]
    fn a_broken_chunk_is_an_error() {
        for bad in ["5\nhello\n", "g\r\n", "-1\r\n", "2\r\nhello\r\n", "\r\n", "0x5\r\nhello\r\n"] {
            assert!(read(&[bad.as_bytes()]).is_err(), "{bad:?}");
        }
    }
}
