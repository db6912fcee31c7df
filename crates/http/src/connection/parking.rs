//! Parking: connections in clear text between two requests, on their way to another process.
//!
//! A connection that waits for a request is a socket, and what was read of the request already. While the
//! hub changes hands, those that wait are parked; from there another process goes on with them, or this one.
//!
//! What must hold: only what is quiet is parked: no request is being answered, no byte of an answer is
//! left to write, and no byte of a body is left to read, which would be taken for a request.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A connection between two requests.
#[derive(Debug)]
pub struct ParkedConnection {
    /// Its socket, which does not block.
    pub socket: std::net::TcpStream,
    /// Who is at the other end.
    pub address: SocketAddr,
    /// What was read of the next request.
    pub read: Bytes,
    /// Whether a request has been answered on it.
    pub idle: bool,
}

/// Where connections are parked. Bounded as the table of connections is.
#[derive(Debug, Default)]
pub struct Parking {
    parked: Mutex<Vec<ParkedConnection>>,
    candidates: AtomicUsize,
    /// Somebody is no candidate any more.
    left: Notify,
}

/// A connection that could be parked, as soon as it is quiet.
#[derive(Debug)]
pub(super) struct Candidate(Arc<Parking>);

impl Parking {
    /// One more that could be parked.
    pub(super) fn candidate(self: &Arc<Self>) -> Candidate {
        self.candidates.fetch_add(1, Ordering::SeqCst);
        Candidate(Arc::clone(self))
    }

    /// Resolves once all are parked that could be.
    pub async fn settled(&self) {
        loop {
            let left = self.left.notified();
            if self.candidates.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }

    /// Takes those who are parked.
    pub fn take(&self) -> Vec<ParkedConnection> {
        std::mem::take(&mut self.parked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Candidate {
    /// Parks it.
    pub(super) fn park(
        self,
        socket: TcpStream,
        address: SocketAddr,
        read: Bytes,
        idle: bool,
    ) -> io::Result<()> {
        let socket = socket.into_std()?;
        let mut parked = self.0.parked.lock().unwrap_or_else(PoisonError::into_inner);
        parked.push(ParkedConnection { socket, address, read, idle });
        Ok(())
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.0.candidates.fetch_sub(1, Ordering::SeqCst);
        self.0.left.notify_waiters();
    }
}

/// What of a connection the protocol does not tell.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// The socket took less than it was given.
    writing: AtomicBool,
    /// There is more of a request's body to read, or may be.
    reading: AtomicBool,
}

impl Unfinished {
    /// Whether a body is still to be read.
    pub(crate) fn reads(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
    }

    /// Whether there is anything.
    pub(super) fn is_something(&self) -> bool {
        self.writing.load(Ordering::Relaxed) || self.reading.load(Ordering::Relaxed)
    }
}

/// A socket of which something was read already, and which notes what it has not taken.
#[derive(Debug)]
pub(super) struct ResumedSocket {
    pub(super) socket: TcpStream,
    pub(super) read: Bytes,
    pub(super) unfinished: Arc<Unfinished>,
}

impl ResumedSocket {
    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        self.unfinished.writing.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl AsyncRead for ResumedSocket {
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

impl AsyncWrite for ResumedSocket {
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
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
