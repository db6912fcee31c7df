//! A connection: what is left of a sink while its stream is in nobody's hands, on its way to another shard or process.
//!
//! What must hold: nothing can be written through it. Over TLS there is not even what seals: a sealer is made of a
//! [`TlsState`] by whoever goes on with the stream, and by nobody before. So while a stream is written down for
//! another process, no record is sealed here, and none there until it is taken up again.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use mio::net::TcpStream;

use crate::simulated_socket::SimulatedSocket;
use crate::sink::Sink;
use crate::tls::{KEY_LIMIT, TlsSocket, TlsState};

/// A stream's connection, through which nobody writes.
#[derive(Debug)]
pub enum Connection {
    /// In clear text.
    Socket(TcpStream),
    /// Over TLS, with what is needed to go on sealing.
    Tls(TcpStream, Box<TlsState>),
    /// What a test or a simulation says.
    Simulated(SimulatedSocket),
}

impl Connection {
    /// What is left of a sink; `None` where another layer holds the connection.
    pub(crate) fn of(sink: Sink) -> Option<Self> {
        match sink {
            Sink::Socket(socket) => Some(Self::Socket(socket)),
            Sink::Tls(tls) => {
                let (socket, state) = tls.into_parts();
                Some(Self::Tls(socket, Box::new(state)))
            }
            Sink::Simulated(socket) => Some(Self::Simulated(socket)),
            Sink::Body(_) => None,
        }
    }

    /// The connection that another process had, over TLS if there is a state of that.
    pub fn received(descriptor: OwnedFd, tls: Option<Box<TlsState>>) -> Self {
        let socket = TcpStream::from_std(std::net::TcpStream::from(descriptor));
        match tls {
            None => Self::Socket(socket),
            Some(state) => Self::Tls(socket, state),
        }
    }

    /// A sink to go on with.
    pub(crate) fn into_sink(self) -> Sink {
        match self {
            Self::Socket(socket) => Sink::Socket(socket),
            Self::Tls(socket, state) => Sink::Tls(TlsSocket::new(socket, *state, KEY_LIMIT)),
            Self::Simulated(socket) => Sink::Simulated(socket),
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(socket) | Self::Tls(socket, _) => Some(socket),
            Self::Simulated(_) => None,
        }
    }

    /// Whether it is a socket.
    pub(crate) fn has_socket(&self) -> bool {
        self.socket().is_some()
    }

    /// Its descriptor, where it can be given to another process.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket().map(|socket| socket.as_fd())
    }

    /// What is needed to go on sealing. Whoever writes it down for another process lets only one of the two go on.
    pub fn tls(&self) -> Option<&TlsState> {
        match self {
            Self::Tls(_, state) => Some(state),
            Self::Socket(_) | Self::Simulated(_) => None,
        }
    }

    /// The other end's address, where it is known here.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.socket().and_then(|socket| socket.peer_addr().ok())
    }
}
