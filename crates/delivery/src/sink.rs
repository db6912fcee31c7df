//! A sink: where a subscriber's bytes go.

use std::io::{self, IoSlice, Read as _};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use fanfare_sse::Encoded;
use mio::net::TcpStream;
use rustix::io::{Errno, writev};
use rustix::net::{SendFlags, send};
use smallvec::SmallVec;

use crate::body::BodyWriter;

/// Where a subscriber's bytes go.
#[derive(Debug)]
pub enum Sink {
    /// A plain HTTP/1 connection, taken over: non-blocking, and ours alone.
    Socket(TcpStream),
    /// Another layer's response body.
    Body(BodyWriter),
    /// What a test says.
    #[cfg(test)]
    Script(crate::script::Script),
}

/// Whether frames travel as HTTP/1.1 chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// With chunk framing.
    Chunked,
    /// As they are: HTTP/1.0, whose body ends with the connection, and bodies that another layer
    /// frames.
    Bare,
}

impl Framing {
    /// A frame, so framed.
    pub(crate) fn slice(self, encoded: &Encoded) -> &[u8] {
        match self {
            Self::Chunked => encoded.chunked(),
            Self::Bare => encoded.bare(),
        }
    }

    /// The same, sharing the frame's buffer.
    pub(crate) fn bytes(self, encoded: &Encoded) -> Bytes {
        match self {
            Self::Chunked => encoded.chunked_bytes(),
            Self::Bare => encoded.bare_bytes(),
        }
    }
}

/// One buffer to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// The rest of one that was begun, or what comes before the first frame; framed already.
    Pending(&'a Bytes),
    /// A frame.
    Frame(&'a Encoded),
}

impl Piece<'_> {
    pub(crate) fn as_slice(&self, framing: Framing) -> &[u8] {
        match self {
            Self::Pending(bytes) => bytes,
            Self::Frame(encoded) => framing.slice(encoded),
        }
    }

    pub(crate) fn to_bytes(self, framing: Framing) -> Bytes {
        match self {
            Self::Pending(bytes) => bytes.clone(),
            Self::Frame(encoded) => framing.bytes(encoded),
        }
    }
}

/// How many pieces one write takes at most; few in tests, so that it is met.
pub(crate) const MAX_PIECES: usize = if cfg!(test) { 4 } else { 128 };

pub(crate) type Pieces<'a> = SmallVec<[Piece<'a>; MAX_PIECES]>;

impl Sink {
    /// Writes as much as the sink takes at once and returns how many bytes that were. Anything
    /// less than everything means that it is blocked.
    pub(crate) fn write(&mut self, pieces: &[Piece<'_>], framing: Framing) -> io::Result<usize> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Body(body) => {
                let buffers = pieces.iter().map(|piece| piece.to_bytes(framing));
                return body.push(buffers).ok_or_else(|| io::ErrorKind::BrokenPipe.into());
            }
            #[cfg(test)]
            Self::Script(script) => return script.write(pieces, framing),
        };
        loop {
            // The system call itself, for want of what libc adds to it in a program with threads;
            // `send` for one buffer is measurably cheaper than `writev` for one.
            let written = if let [piece] = pieces {
                send(&*socket, piece.as_slice(framing), SendFlags::NOSIGNAL)
            } else {
                let slices: SmallVec<[IoSlice<'_>; MAX_PIECES]> =
                    pieces.iter().map(|piece| IoSlice::new(piece.as_slice(framing))).collect();
                writev(&*socket, &slices)
            };
            match written {
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                written => return Ok(written?),
            }
        }
    }

    /// What was taken, since this was last asked, of what [`Sink::write`] had accepted before, and
    /// when the last of it; `None` where accepting is all there is to see.
    pub(crate) fn taken_beyond(&self) -> Option<(u64, Instant)> {
        match self {
            Self::Socket(_) => None,
            Self::Body(body) => body.taken(),
            #[cfg(test)]
            Self::Script(_) => None,
        }
    }

    /// The other end's address, where it is known here.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(socket) => socket.peer_addr().ok(),
            Self::Body(_) => None,
            #[cfg(test)]
            Self::Script(_) => None,
        }
    }

    /// Reads and discards what a client sends on its stream.
    pub(crate) fn discard(&mut self) -> Heard {
        /// What a client may send in one go; nothing it sends here has a meaning.
        const ROUNDS: usize = 16;
        let Self::Socket(socket) = self else { return Heard::Nothing };
        let mut scratch = [0; 4096];
        for _ in 0..ROUNDS {
            match socket.read(&mut scratch) {
                Ok(0) => return Heard::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Heard::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Heard::Error,
            }
        }
        Heard::Flood
    }
}

/// What a client says on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing further.
    Nothing,
    /// It closed the connection, or its half.
    End,
    /// The connection broke.
    Error,
    /// More than is reasonable.
    Flood,
}
