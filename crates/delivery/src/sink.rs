//! A sink: where a subscriber's bytes go. Whatever differs from one kind to another is here, and
//! nowhere in the shard.

use std::io::{self, IoSlice, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest as Readiness, Registry};
use rustix::io::{Errno, writev};
use rustix::net::{SendFlags, send};
use smallvec::SmallVec;

use crate::body::{BodySignal, BodyWriter};
use crate::movable::Movable;
use crate::simulated_socket::SimulatedSocket;
use crate::sink_io::{Buffer, Inbound, LIKELY_BUFFERS, WriteResult};
use crate::subscriber_key::SubscriberKey;
use crate::tls::TlsSocket;

/// Where a subscriber's bytes go.
#[derive(Debug)]
pub enum Sink {
    /// A plain HTTP/1 connection, taken over: non-blocking, and ours alone.
    Socket(TcpStream),
    /// The same over TLS: its records are sealed here.
    Tls(TlsSocket),
    /// Another layer's response body.
    Body(BodyWriter),
    /// What a test or a simulation says.
    Simulated(SimulatedSocket),
}

impl Sink {
    /// Begins to report to a shard: `tell` is for what does not come from the poller.
    pub(crate) fn register(
        &mut self,
        registry: &Registry,
        key: SubscriberKey,
        tell: impl Fn(BodySignal) + Send + Sync + 'static,
    ) -> io::Result<()> {
        match self {
            Self::Socket(socket) => registry.register(socket, key.to_token(), Readiness::READABLE),
            Self::Tls(tls) => {
                registry.register(tls.socket_mut(), key.to_token(), Readiness::READABLE)
            }
            Self::Body(body) => {
                body.on_signal(Arc::new(tell));
                Ok(())
            }
            Self::Simulated(socket) => {
                socket.register(key);
                Ok(())
            }
        }
    }

    /// No longer reports to a shard.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Socket(socket) => registry.deregister(socket),
            Self::Tls(tls) => registry.deregister(tls.socket_mut()),
            Self::Body(_) | Self::Simulated(_) => Ok(()),
        }
    }

    /// Says whether word of room is wanted, which must be so exactly while it is blocked.
    pub(crate) fn want_room(
        &mut self,
        wanted: bool,
        registry: &Registry,
        key: SubscriberKey,
    ) -> io::Result<()> {
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Tls(tls) => tls.socket_mut(),
            Self::Body(_) | Self::Simulated(_) => return Ok(()),
        };
        let readiness =
            if wanted { Readiness::READABLE | Readiness::WRITABLE } else { Readiness::READABLE };
        registry.reregister(socket, key.to_token(), readiness)
    }

    /// Writes as much as the sink takes at once. `scratch` is room for what is made of it on the way.
    pub(crate) fn write(
        &mut self,
        buffers: &[Buffer<'_>],
        scratch: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<WriteResult> {
        match self {
            Self::Socket(socket) => write_to_socket(socket, buffers),
            Self::Tls(tls) => tls.write(buffers, scratch, now),
            Self::Body(body) => body
                .push(buffers.iter().map(Buffer::share))
                .ok_or_else(|| io::ErrorKind::BrokenPipe.into()),
            Self::Simulated(socket) => socket.write(buffers),
        }
    }

    /// Ends it after what it has accepted, where closing would not do that. False: the end has not gone
    /// yet, and this is to be called again when there is room.
    pub(crate) fn finish(&mut self, scratch: &mut Vec<u8>, now: Instant) -> io::Result<bool> {
        match self {
            Self::Tls(tls) => tls.finish(scratch, now),
            Self::Body(body) => {
                body.finish();
                Ok(true)
            }
            Self::Socket(_) | Self::Simulated(_) => Ok(true),
        }
    }

    /// What has been passed on, since this was last asked, of what [`Sink::write`] had accepted, and
    /// when the last of it; `None` where accepting is all there is to see.
    pub(crate) fn passed_on(&mut self) -> Option<(u64, Instant)> {
        match self {
            Self::Socket(_) | Self::Simulated(_) => None,
            Self::Tls(tls) => tls.passed_on(),
            Self::Body(body) => body.taken(),
        }
    }

    /// Whether it has a socket of its own.
    pub(crate) fn has_socket(&self) -> bool {
        matches!(self, Self::Socket(_) | Self::Tls(_))
    }

    /// Whether it can be given to another shard or process that takes such.
    pub(crate) fn can_move(&self, movable: Movable) -> bool {
        match self {
            Self::Socket(_) | Self::Simulated(_) => true,
            Self::Tls(_) => movable == Movable::Secured,
            Self::Body(_) => false,
        }
    }

    /// The other end's address, where it is known here.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(socket) => socket.peer_addr().ok(),
            Self::Tls(tls) => tls.socket().peer_addr().ok(),
            Self::Body(_) | Self::Simulated(_) => None,
        }
    }

    /// Reads what a client sends on its stream, and discards all that has no meaning.
    pub(crate) fn discard_input(&mut self, now: Instant) -> Inbound {
        /// What a client may send in one go; nothing it sends here has a meaning.
        const ROUNDS: usize = 16;
        let socket = match self {
            Self::Socket(socket) => socket,
            Self::Tls(tls) => return tls.read(ROUNDS, now),
            Self::Simulated(socket) => return socket.read(),
            Self::Body(_) => return Inbound::Nothing,
        };
        let mut scratch = [0; 4096];
        for _ in 0..ROUNDS {
            match socket.read(&mut scratch) {
                Ok(0) => return Inbound::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Inbound::Nothing,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Inbound::Error,
            }
        }
        Inbound::Flood
    }
}

fn write_to_socket(socket: &TcpStream, buffers: &[Buffer<'_>]) -> io::Result<WriteResult> {
    if buffers.is_empty() {
        return Ok(WriteResult { bytes: 0, blocked: false });
    }
    loop {
        // The system call itself, for want of what libc adds to it in a program with threads;
        // `send` for one buffer is measurably cheaper than `writev` for one.
        let written = if let [buffer] = buffers {
            send(socket, buffer.as_slice(), SendFlags::NOSIGNAL)
        } else {
            let slices: SmallVec<[IoSlice<'_>; LIKELY_BUFFERS]> =
                buffers.iter().map(|buffer| IoSlice::new(buffer.as_slice())).collect();
            writev(socket, &slices)
        };
        let bytes = match written {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => 0,
            written => written?,
        };
        let offered: usize = buffers.iter().map(|buffer| buffer.as_slice().len()).sum();
        return Ok(WriteResult { bytes, blocked: bytes < offered });
    }
}
