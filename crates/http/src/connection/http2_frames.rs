//! HTTP/2 control frames: what a peer sends beside requests, counted before it is dealt with.
//!
//! Pings, settings, priorities and the like cost their sender nothing and the hub an answer or a
//! look. What must hold: a peer may send [`BURST`] of them, [`RATE`] in a second, and some for each
//! request; one that sends more is disconnected. Window updates are cheaper, and owed for what the
//! hub sends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many frames that are no requests may come at once, and in each second.
const BURST: f64 = 256.0;
const RATE: f64 = 64.0;
/// How many more each request allows: browsers send its priority beside it.
const REQUEST: f64 = 4.0;
/// What a window update counts, and how many bytes the hub sends for one.
const WINDOW_UPDATE: f64 = 1.0 / 64.0;
const BYTES: f64 = 256.0;

/// What an HTTP/2 client begins with, in bytes (RFC 9113, 3.4).
const PREFACE: usize = 24;
/// The length of a frame's header, and what its types are (RFC 9113, 4.1 and 6).
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATES: u8 = 8;
const CONTINUATION: u8 = 9;
/// A flag of DATA, and how many bytes of such a frame may hold nothing (RFC 9113, 6.1).
const PADDED: u8 = 8;
const PADDING: usize = 256;

/// A connection whose frames are counted.
#[derive(Debug)]
pub(super) struct Http2Frames<I> {
    stream: I,
    counter: FrameCounter,
    flooded: Arc<AtomicBool>,
}

/// Finds the frames in what is read, and holds them against what is allowed.
#[derive(Debug)]
struct FrameCounter {
    /// How many bytes are passed over before the next header.
    skip: usize,
    header: [u8; HEADER],
    known: usize,
    allowed: f64,
    at: Instant,
}

impl<I> Http2Frames<I> {
    /// Counts from the preface on. What is shared turns true when there are too many.
    pub(super) fn new(stream: I) -> (Self, Arc<AtomicBool>) {
        let flooded = Arc::<AtomicBool>::default();
        let counter = FrameCounter::new(Instant::now());
        (Self { stream, counter, flooded: Arc::clone(&flooded) }, flooded)
    }
}

impl FrameCounter {
    fn new(now: Instant) -> Self {
        Self { skip: PREFACE, header: [0; HEADER], known: 0, allowed: BURST, at: now }
    }

    /// Notes what was read. False: there are too many.
    fn read(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.allowed, self.at) = ((self.allowed + passed * RATE).min(BURST), now);
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEADER - self.known);
            self.header[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEADER {
                self.known = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.allowed -= match kind {
                    HEADERS => -REQUEST,
                    // h2 sees to those.
                    RST_STREAM | CONTINUATION => 0.0,
                    // What is padded may be nothing but that.
                    DATA if self.skip > 0 && (flags & PADDED == 0 || self.skip > PADDING) => 0.0,
                    WINDOW_UPDATES => WINDOW_UPDATE,
                    _ => 1.0,
                };
                self.allowed = self.allowed.min(BURST);
            }
        }
        self.allowed >= 0.0
    }

    fn wrote(&mut self, bytes: usize) {
        self.allowed = (self.allowed + bytes as f64 / BYTES * WINDOW_UPDATE).min(BURST);
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Http2Frames<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read
            && !self.counter.read(&buffer.filled()[before..], Instant::now())
        {
            self.flooded.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("too many frames that are no requests")));
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Http2Frames<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        wrote.map_ok(|wrote| {
            self.counter.wrote(wrote);
            wrote
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        wrote.map_ok(|wrote| {
            self.counter.wrote(wrote);
            wrote
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload).unwrap().to_be_bytes();
        [vec![a, b, c, kind, 0, 0, 0, 0, 0], vec![0xff; payload]].concat()
    }

    fn counter(now: Instant) -> FrameCounter {
        let mut counter = FrameCounter::new(now);
        assert!(counter.read(&[b'P'; PREFACE], now));
        counter
    }

    #[test]
    fn a_flood_is_seen_where_frames_come_in_pieces() {
        let now = Instant::now();
        let pings = frame(PING, 8).repeat(257);
        for piece in [1, 2, 9, 16, 17, 4096] {
            let mut counter = counter(now);
            let calm = pings.chunks(piece).all(|bytes| counter.read(bytes, now));
            assert!(!calm, "in pieces of {piece}");
        }
        let mut counter = counter(now);
        assert!(counter.read(&pings[..256 * 17], now));
        assert!(!counter.read(&pings[..17], now));
        assert!(counter.read(&pings[..17 * 64], now + Duration::from_secs(2)));
    }

    #[test]
    fn what_a_client_needs_does_not_count_as_a_flood() {
        let now = Instant::now();
        let mut counter = counter(now);
        for _ in 0..10_000 {
            // A request with its priority; an upload; what was received is acknowledged.
            assert!(
                counter
                    .read(&[frame(HEADERS, 40), frame(0x10, 20), frame(DATA, 999)].concat(), now)
            );
            counter.wrote(16_384);
            assert!(counter.read(&frame(WINDOW_UPDATES, 4).repeat(2), now));
        }
    }
}
