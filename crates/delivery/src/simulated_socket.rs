//! A simulated socket: a sink that takes as many bytes as it is told, or fails, in place of a
//! connection. Tests and simulations hold one end, the shard the other.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sink_io::{Buffer, Inbound, WriteResult};
use crate::subscriber_key::SubscriberKey;

/// Both ends of it: clones share what was taken.
#[derive(Debug, Clone, Default)]
pub struct SimulatedSocket(Arc<Mutex<SimulatedSocketState>>);

#[derive(Debug, Default)]
struct SimulatedSocketState {
    room: usize,
    broken: bool,
    hung_up: bool,
    taken: Vec<u8>,
    /// What it has accepted and not passed on, as a sink that seals records does.
    sealed: Option<Vec<u8>>,
    key: Option<SubscriberKey>,
}

impl SimulatedSocket {
    /// One that accepts whatever it is offered once there is any room, and is blocked until what it
    /// accepted has gone: as a sink that seals records.
    pub fn sealing() -> Self {
        let socket = Self::default();
        socket.lock().sealed = Some(Vec::new());
        socket
    }

    /// Takes so many bytes more before it is full.
    pub fn make_room(&self, bytes: usize) {
        let mut connection = self.lock();
        connection.room = connection.room.saturating_add(bytes);
    }

    /// Fails from now on.
    pub fn break_off(&self) {
        self.lock().broken = true;
    }

    /// Whether it fails.
    pub fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// Whether it is the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The client closes the connection, which the shard finds when it is told that it can read.
    pub fn hang_up(&self) {
        self.lock().hung_up = true;
    }

    /// What has been taken since this was last asked.
    pub fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().taken)
    }

    /// The key of its subscriber, once that has joined.
    pub fn key(&self) -> Option<SubscriberKey> {
        self.lock().key
    }

    /// Whether the shard's end is gone, or the other.
    pub fn is_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    pub(crate) fn register(&self, key: SubscriberKey) {
        self.lock().key = Some(key);
    }

    pub(crate) fn write(&self, buffers: &[Buffer<'_>]) -> io::Result<WriteResult> {
        let mut connection = self.lock();
        let SimulatedSocketState { room, broken, taken, sealed, .. } = &mut *connection;
        if *broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let offered: Vec<u8> =
            buffers.iter().flat_map(|buffer| buffer.as_slice()).copied().collect();
        let mut send = |bytes: &mut Vec<u8>| {
            let sent = bytes.len().min(*room);
            *room -= sent;
            taken.extend(bytes.drain(..sent));
            sent
        };
        let Some(sealed) = sealed else {
            let mut offered = offered;
            let bytes = send(&mut offered);
            return Ok(WriteResult { bytes, blocked: !offered.is_empty() });
        };
        send(sealed);
        if !sealed.is_empty() {
            return Ok(WriteResult { bytes: 0, blocked: true });
        }
        let bytes = offered.len();
        *sealed = offered;
        send(sealed);
        Ok(WriteResult { bytes, blocked: !sealed.is_empty() })
    }

    pub(crate) fn read(&self) -> Inbound {
        let connection = self.lock();
        match (connection.broken, connection.hung_up) {
            (true, _) => Inbound::Error,
            (false, true) => Inbound::End,
            (false, false) => Inbound::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, SimulatedSocketState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
