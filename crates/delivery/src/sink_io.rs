//! What passes between a subscriber and its sink.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::wire::FramedEvent;

/// One buffer to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Buffer<'a> {
    /// Bytes of the subscriber's own: the rest of an event that was begun, or what comes before the
    /// next.
    Pending(&'a Bytes),
    /// An event.
    Event(FramedEvent<'a>),
}

impl<'a> Buffer<'a> {
    pub(crate) fn as_slice(&self) -> &'a [u8] {
        match self {
            Self::Pending(bytes) => bytes,
            Self::Event(event) => event.as_slice(),
        }
    }

    pub(crate) fn share(&self) -> Bytes {
        match self {
            Self::Pending(bytes) => (*bytes).clone(),
            Self::Event(event) => event.share(),
        }
    }
}

/// How many buffers a write is likely to have at most.
pub(crate) const LIKELY_BUFFERS: usize = 128;

pub(crate) type Buffers<'a> = SmallVec<[Buffer<'a>; LIKELY_BUFFERS]>;

/// What a sink has made of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WriteResult {
    /// How many bytes it took, or holds: they are not to be offered again.
    pub(crate) bytes: usize,
    /// Whether it is to be written to again when there is room, though it be with nothing: it took
    /// less than was offered, or holds something back.
    pub(crate) blocked: bool,
}

/// What a client says on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// Nothing further.
    Nothing,
    /// It says nothing more, and may still read.
    CloseNotify,
    /// It closed the connection, or its half.
    End,
    /// The connection broke.
    Error,
    /// More than is reasonable.
    Flood,
}
