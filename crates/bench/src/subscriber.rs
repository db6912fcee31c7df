//! One subscriber: a socket, and how far its stream has been read. It may come back after its stream
//! has ended, with the id of its last event.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::RunClock;
use crate::error::BenchError;
use crate::framing::BodyFraming;
use crate::inbox::Arrivals;
use crate::requests::Requests;
use crate::response::{BadResponse, ResponseHead, excerpt};
use crate::scanner::DataScanner;
use crate::wire::LoadSocket;

/// A subscription, from the request for it to its stream.
pub(crate) struct LoadSubscriber {
    number: u32,
    stream: LoadSocket<TcpStream>,
    stage: SubscriberStage,
    scanner: DataScanner,
    messages: u64,
}

enum SubscriberStage {
    /// It connects, then sends its request, so much of which is out.
    Asking { request: Vec<u8>, sent: usize },
    /// It waits for the rest of the answer's head.
    Waiting { answer: Vec<u8> },
    /// It reads its stream.
    Reading(BodyFraming),
    /// Its stream is over; nothing is read any more.
    Gone,
}

/// How a connection is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectOptions<'a> {
    pub(crate) address: SocketAddr,
    /// Where from, where that is not left to the system.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) tls: Option<&'a Arc<ClientConfig>>,
    /// What the kernel may hold for one who does not read, where that is not left to the system.
    pub(crate) receive_buffer: Option<usize>,
}

impl LoadSubscriber {
    /// Begins to connect and to ask for a stream.
    pub(crate) fn connect(
        number: u32,
        way: ConnectOptions<'_>,
        request: Vec<u8>,
        requests: Option<&Requests>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let stream = open(number, way, registry)?;
        let stage = SubscriberStage::Asking { request, sent: 0 };
        let mut scanner = DataScanner::new();
        if let Some(requests) = requests.filter(|it| it.resume.is_some()) {
            scanner.keep_ids(requests.id_after.as_deref());
        }
        if requests.is_some_and(|it| it.wrapped) {
            scanner.keep_lines();
        }
        Ok(Self { number, stream, stage, scanner, messages: 0 })
    }

    /// Leaves its stream, if it still has one, for another that `request` asks for.
    pub(crate) fn come_back(
        &mut self,
        way: ConnectOptions<'_>,
        request: Vec<u8>,
        registry: &Registry,
    ) -> io::Result<()> {
        self.stream = open(self.number, way, registry)?;
        self.stage = SubscriberStage::Asking { request, sent: 0 };
        self.scanner.reset();
        Ok(())
    }

    /// Closes its connection.
    pub(crate) fn hang_up(&mut self) {
        self.stage = SubscriberStage::Gone;
        // Also where the other side has closed it already.
        let _ = self.stream.socket().shutdown(std::net::Shutdown::Both);
    }

    /// The id to come back with; empty where it has none.
    pub(crate) fn last_id(&self) -> &[u8] {
        self.scanner.last_id()
    }

    /// Reads nothing until it is told to.
    pub(crate) fn rest(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(self.stream.socket())
    }

    /// Reads again.
    pub(crate) fn wake(&mut self, registry: &Registry) -> io::Result<()> {
        let token = Token(self.number as usize);
        registry.register(self.stream.socket(), token, Interest::READABLE)
    }

    /// Whether its stream is over.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, SubscriberStage::Gone)
    }

    /// Whether it has its stream.
    pub(crate) fn is_reading(&self) -> bool {
        matches!(self.stage, SubscriberStage::Reading(_))
    }

    /// Goes on after its socket became ready: sends what is left of the request, then reads what
    /// has arrived. `closing`: the server has closed its side, so the end is to be read too.
    pub(crate) fn ready(
        &mut self,
        closing: bool,
        clock: RunClock,
        buffer: &mut [u8],
        inbox: &mut Arrivals,
    ) -> Result<(), BenchError> {
        if self.is_gone() || !self.ask()? {
            return Ok(());
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(self.ended()),
                Ok(n) => {
                    inbox.count_bytes(n);
                    self.take(&buffer[..n], clock.now(), inbox)?;
                    // A short read has emptied the socket (epoll(7)): the next byte wakes us.
                    if n < buffer.len() && !closing && self.stream.reads_all_at_once() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(self.broke(source)),
            }
        }
    }

    /// Sends the rest of the request. True once all of it is out.
    fn ask(&mut self) -> Result<bool, BenchError> {
        while let SubscriberStage::Asking { request, sent } = &mut self.stage {
            match self.stream.write(&request[*sent..]) {
                Ok(n) => *sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if is_in_progress(&error) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(self.broke(source)),
            }
            if *sent == request.len() {
                self.stage = SubscriberStage::Waiting { answer: Vec::new() };
            }
        }
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8], now: u64, inbox: &mut Arrivals) -> Result<(), BenchError> {
        match &mut self.stage {
            SubscriberStage::Reading(framing) => {
                let (scanner, messages, number) =
                    (&mut self.scanner, &mut self.messages, self.number);
                let taken = framing.take(bytes, |body| {
                    scanner.take(body, |line| {
                        *messages += 1;
                        inbox.take(number, line, now);
                    });
                });
                let complete = framing.is_complete();
                taken.map_err(|source| self.bad(source.into()))?;
                if complete { Err(self.ended()) } else { Ok(()) }
            }
            SubscriberStage::Waiting { answer } => {
                answer.extend_from_slice(bytes);
                let head = match ResponseHead::parse(answer) {
                    Ok(Some(head)) => head,
                    Ok(None) => return Ok(()),
                    Err(source) => return Err(self.bad(source)),
                };
                let body = answer.split_off(head.length);
                if !head.is_ok() {
                    return Err(BenchError::Refused {
                        request: "GET events".into(),
                        status_line: head.status_line,
                        body: excerpt(&body),
                    });
                }
                self.stage = SubscriberStage::Reading(head.framing);
                self.take(&body, now, inbox)
            }
            SubscriberStage::Asking { .. } | SubscriberStage::Gone => Ok(()),
        }
    }

    fn ended(&self) -> BenchError {
        let Self { number: subscriber, messages, .. } = *self;
        match self.stage {
            SubscriberStage::Reading(_) => BenchError::StreamEnded { subscriber, messages },
            _ => self.bad(BadResponse::Closed),
        }
    }

    fn broke(&self, source: io::Error) -> BenchError {
        let Self { number: subscriber, messages, .. } = *self;
        BenchError::StreamBroke { subscriber, messages, source }
    }

    fn bad(&self, source: BadResponse) -> BenchError {
        BenchError::Response {
            request: format!("GET events of subscriber {}", self.number),
            source,
        }
    }
}

fn open(
    number: u32,
    way: ConnectOptions<'_>,
    registry: &Registry,
) -> io::Result<LoadSocket<TcpStream>> {
    let ConnectOptions { address, source, tls, receive_buffer } = way;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    if let Some(source) = source {
        socket.bind(&source.into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if !is_in_progress(&error) => return Err(error),
        _ => {}
    }
    let mut stream = TcpStream::from_std(socket.into());
    let token = Token(number as usize);
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    LoadSocket::new(stream, tls)
}

fn is_in_progress(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
        Some(rustix::io::Errno::INPROGRESS | rustix::io::Errno::AGAIN | rustix::io::Errno::NOTCONN)
    )
}
