//! A connection in clear text or over TLS, for sockets that never block and for those that do.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};

/// The name that a server's certificate must have, whichever its address.
const SERVER_NAME: &str = "localhost";

/// A socket, and what speaks TLS on it if anything does.
#[derive(Debug)]
pub(crate) struct LoadSocket<S> {
    socket: S,
    tls: Option<Box<ClientConnection>>,
}

impl<S: Read + Write> LoadSocket<S> {
    pub(crate) fn new(socket: S, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let begin = |config: &Arc<ClientConfig>| {
            let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
            let connection = ClientConnection::new(Arc::clone(config), name);
            connection.map(Box::new).map_err(io::Error::other)
        };
        Ok(Self { socket, tls: tls.map(begin).transpose()? })
    }

    pub(crate) fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Whether a read that did not fill its buffer has emptied the socket.
    pub(crate) fn reads_all_at_once(&self) -> bool {
        self.tls.is_none()
    }
}

impl<S: Read + Write> Read for LoadSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).read(buffer),
        }
    }
}

impl<S: Read + Write> Write for LoadSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.flush(),
            Some(tls) => Stream::new(tls.as_mut(), &mut self.socket).flush(),
        }
    }
}
