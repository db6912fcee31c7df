//! What of a connection over HTTP/1 is under way beside the request that is being answered.
//!
//! What must hold: no answer is handed to the protocol before the socket has taken all that came before it.
//! The protocol itself puts the head of an answer behind others that wait, whether or not anybody reads them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// What of a connection the protocol does not tell.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// The socket took less than it was given.
    writing: AtomicBool,
    /// It has taken everything.
    written: Notify,
    /// There is more of a request's body to read, or may be.
    reading: AtomicBool,
    /// Nobody wants what is left of it; and how often that was so.
    let_go: AtomicBool,
    times_let_go: AtomicU32,
}

/// A socket of which something was read already, and which notes what it has not taken.
#[derive(Debug)]
pub(super) struct NotedSocket<I> {
    pub(super) socket: I,
    pub(super) read: Bytes,
    unfinished: Arc<Unfinished>,
}

impl Unfinished {
    /// Whether a body is still to be read.
    pub(crate) fn reads(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
        self.let_go.store(false, Ordering::Relaxed);
    }

    /// A body was dropped before its end. The protocol then reads what is left of it, or closes the connection.
    pub(crate) fn on_body_dropped(&self) {
        self.times_let_go.fetch_add(1, Ordering::Relaxed);
        self.let_go.store(true, Ordering::Relaxed);
    }

    /// Which body was dropped before its end, if that is not seen to yet.
    pub(super) fn dropped(&self) -> Option<u32> {
        let is_one = self.let_go.load(Ordering::Relaxed);
        is_one.then(|| self.times_let_go.load(Ordering::Relaxed))
    }

    /// The protocol has had its turn since this one was dropped, and goes on: nothing of it is left to read.
    pub(super) fn drained(&self, dropped: Option<u32>) {
        if dropped.is_some() && self.dropped() == dropped {
            self.reads(false);
        }
    }

    /// Whether there is anything.
    pub(super) fn is_something(&self) -> bool {
        self.writes() || self.reading.load(Ordering::Relaxed)
    }

    /// Whether something waits for the socket to take it.
    pub(super) fn writes(&self) -> bool {
        self.writing.load(Ordering::Relaxed)
    }

    /// Resolves once nothing waits for the socket. Whoever drives the connection drives this too.
    pub(super) async fn written(&self) {
        loop {
            let written = self.written.notified();
            if !self.writes() {
                return;
            }
            written.await;
        }
    }
}

impl<I> NotedSocket<I> {
    pub(super) fn new(socket: I, read: Bytes, unfinished: &Arc<Unfinished>) -> Self {
        Self { socket, read, unfinished: Arc::clone(unfinished) }
    }

    fn note<T>(&self, taken: Poll<T>) -> Poll<T> {
        let Unfinished { writing, written, .. } = &*self.unfinished;
        if writing.swap(taken.is_pending(), Ordering::Relaxed) && taken.is_ready() {
            written.notify_waiters();
        }
        taken
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for NotedSocket<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, into);
        }
        let count = self.read.len().min(into.remaining());
        into.put_slice(&self.read.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for NotedSocket<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What TLS has taken may still be on its way to the socket.
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
