//! Parking: connections in clear text between two requests, on their way to another process.
//!
//! A connection that waits for a request is a socket, and what was read of the request already. While the
//! hub changes hands, those that wait are parked; from there another process goes on with them, or this one.
//!
//! What must hold: only what is quiet is parked: no request is being answered, no byte of an answer is
//! left to write, and no byte of a body is left to read, which would be taken for a request.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
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
