//! Where in a TLS record the bytes end that have been read from a socket.
//!
//! What must hold: a connection changes hands between two records, or not at all. Of a record that has
//! come in part, rustls has bytes that it does not give back, and whoever goes on would read the rest
//! as something else.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a record's header is, in bytes (RFC 8446, 5.1).
const HEADER: usize = 5;

/// A socket below TLS, whose reads are followed.
#[derive(Debug)]
pub(super) struct FollowedSocket<I> {
    inner: I,
    place: RecordPlace,
    boundary: Boundary,
}

/// Whether everything that was read is whole records.
#[derive(Debug, Clone)]
pub(super) struct Boundary(Arc<AtomicBool>);

/// A place among records.
#[derive(Debug, Default)]
struct RecordPlace {
    /// What has been read of a header that is not whole.
    header: [u8; HEADER],
    known: usize,
    /// How much of a record's content has not been read.
    left: usize,
}

impl<I> FollowedSocket<I> {
    /// Follows what is read of a socket, from the first byte on.
    pub(super) fn new(inner: I) -> (Self, Boundary) {
        let boundary = Boundary(Arc::new(AtomicBool::new(true)));
        (Self { inner, place: RecordPlace::default(), boundary: boundary.clone() }, boundary)
    }

    pub(super) fn into_inner(self) -> I {
        self.inner
    }
}

impl Boundary {
    /// Whether the last byte that was read is the last of a record.
    pub(super) fn is_reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl RecordPlace {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let read = self.left.min(bytes.len());
                self.left -= read;
                bytes = &bytes[read..];
                continue;
            }
            let read = (HEADER - self.known).min(bytes.len());
            self.header[self.known..][..read].copy_from_slice(&bytes[..read]);
            self.known += read;
            bytes = &bytes[read..];
            if let [_, _, _, high, low] = self.header
                && self.known == HEADER
            {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.known = 0;
            }
        }
    }

    fn is_between_records(&self) -> bool {
        self.known == 0 && self.left == 0
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for FollowedSocket<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.place.follow(&buffer.filled()[before..]);
        let reached = self.place.is_between_records();
        self.boundary.0.store(reached, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for FollowedSocket<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_bytes_come_the_ends_of_records_are_the_only_boundaries() {
        let records: [&[u8]; 3] =
            [&[22, 3, 1, 0, 3, 1, 2, 3], &[20, 3, 3, 0, 0], &[23, 3, 3, 0, 1, 9]];
        let all = records.concat();
        for step in 1..=all.len() {
            let mut place = RecordPlace::default();
            let mut ends = Vec::new();
            for (number, piece) in all.chunks(step).enumerate() {
                place.follow(piece);
                if place.is_between_records() {
                    ends.push(number * step + piece.len());
                }
            }
            let read = |end: &&usize| end.is_multiple_of(step) || **end == all.len();
            let expected: Vec<_> = [8, 13, 19].iter().filter(read).copied().collect();
            assert_eq!(ends, expected, "in pieces of {step}");
        }
    }
}
