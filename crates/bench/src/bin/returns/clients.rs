//! The clients: all on one thread and one poller, so that they come as fast as the node lets them in.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::error::ReturnError;

/// How many may be on their way to the listener at once.
const CONNECTING: usize = 100;
/// How long nothing may come until those who wait have waited in vain.
const TIMEOUT: Duration = Duration::from_secs(30);
const BUFFER: usize = 256 << 10;

/// One that comes back.
pub(crate) struct ReturningClient {
    topic: u32,
    last: String,
    missed: u64,
    given: u64,
    gaps: u64,
    stream: Option<TcpStream>,
    connected: bool,
    /// The end of what was read last: what is counted may be read in two parts.
    tail: Vec<u8>,
}

/// All of them.
pub(crate) struct Clients(Vec<ReturningClient>);

impl ReturningClient {
    /// Returns to its topic with this id, after having missed so many messages.
    pub(crate) fn new(topic: u32, last: String, missed: u64) -> Self {
        let (given, gaps, stream, connected, tail) = (0, 0, None, false, Vec::new());
        Self { topic, last, missed, given, gaps, stream, connected, tail }
    }

    /// Sends its request once it is connected, and takes what there is; whether it has just got connected.
    fn ready(&mut self, writable: bool, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let came = writable && !self.connected;
        if came {
            let request = format!(
                "GET /sse/events?topic=t/{} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {}\r\n\r\n",
                self.topic, self.last
            );
            stream.write_all(request.as_bytes())?;
            self.connected = true;
        }
        loop {
            match stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("a stream ended")),
                Ok(n) => {
                    self.tail.extend_from_slice(&buffer[..n]);
                    self.given += memmem::find_iter(&self.tail, b"\ndata: m").count() as u64;
                    self.gaps +=
                        memmem::find_iter(&self.tail, b"event: fanfare.gap").count() as u64;
                    // Less than the shorter of both: nothing is counted twice.
                    let keep = self.tail.len().saturating_sub(b"\ndata: m".len() - 1);
                    self.tail.drain(..keep);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(came),
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(came),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn is_served(&self) -> bool {
        self.given >= self.missed
    }
}

impl Clients {
    pub(crate) fn new(clients: Vec<ReturningClient>) -> Self {
        Self(clients)
    }

    /// All come, and each reads what it missed; how many nanoseconds that took.
    pub(crate) fn come(mut self, address: SocketAddr) -> Result<f64, ReturnError> {
        let mut poll = Poll::new()?;
        let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; BUFFER]);
        let (mut begun, mut connected, mut served) = (0, 0, 0);
        let since = Instant::now();
        let mut arrived = since;
        while served < self.0.len() {
            while begun < self.0.len() && begun - connected < CONNECTING {
                let mut stream = TcpStream::connect(address)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(begun), interest)?;
                self.0[begun].stream = Some(stream);
                begun += 1;
            }
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let client = &mut self.0[event.token().0];
                let (was_served, given) = (client.is_served(), client.given);
                connected += usize::from(client.ready(event.is_writable(), &mut buffer)?);
                served += usize::from(!was_served && client.is_served());
                if client.given > given {
                    arrived = Instant::now();
                }
            }
            if arrived.elapsed() > TIMEOUT {
                return Err(ReturnError::Unserved(self.0.len() - served));
            }
        }
        let nanoseconds = arrived.duration_since(since).as_nanos() as f64;
        match self.0.iter().find(|client| client.given != client.missed || client.gaps > 0) {
            Some(&ReturningClient { given, missed, gaps, .. }) => {
                Err(ReturnError::Wrong { given, missed, gaps })
            }
            None => Ok(nanoseconds),
        }
    }
}
