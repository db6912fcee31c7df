//! The floor: the leanest program that does what a hub is compared by. One thread, one epoll
//! loop, one `send` per subscriber and message, and nothing else.
//!
//! `GET …/events` subscribes, `POST …/send` publishes; `message` is found by plain search and must
//! hold no escapes. There are no topics, no history and no queues: a subscriber whose socket does
//! not take a frame at once is dropped.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use clap::Parser;
use memchr::{memchr2, memmem};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
/// The longest request it reads, in bytes.
const MAX_REQUEST: usize = 16 << 20;

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n";
const SENT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 25\r\n\r\n{\"status\":\"message sent\"}";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A bare epoll loop with one send per delivery: what hubs are measured against.
#[derive(Parser)]
struct FloorArguments {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// A connection that has not subscribed: a publisher, or one that has yet to ask for something.
struct FloorPeer {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What a peer's bytes so far ask for.
enum FloorRequest<'a> {
    /// They break off before the end of a request.
    Incomplete,
    Subscribe,
    /// The body, and how many bytes head and body are together.
    Publish(&'a [u8], usize),
    /// Nothing this program has, and the length of it.
    Other(usize),
    Bad,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    peers: HashMap<Token, FloorPeer>,
    subscribers: Vec<TcpStream>,
    next_token: usize,
    sequence: u64,
    frame: Vec<u8>,
}

fn main() -> io::Result<()> {
    fanfare_bench::raise_open_files();
    let mut listener = TcpListener::bind(FloorArguments::parse().listen)?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("http://{}/sse/", listener.local_addr()?);
    Floor {
        poll,
        listener,
        peers: HashMap::new(),
        subscribers: Vec::new(),
        next_token: 0,
        sequence: 0,
        frame: Vec::new(),
    }
    .serve()
}

impl Floor {
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else if let Some(peer) = self.peers.remove(&event.token())
                    && let Ok(Some(peer)) = self.serve_peer(peer)
                {
                    self.peers.insert(event.token(), peer);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let token = Token(self.next_token);
                    self.next_token += 1;
                    self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
                    self.peers.insert(token, FloorPeer { stream, received: Vec::new() });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what has arrived and answers each complete request. Gives the peer back while it
    /// still is one: not once it has subscribed.
    fn serve_peer(&mut self, mut peer: FloorPeer) -> io::Result<Option<FloorPeer>> {
        let mut chunk = [0; 16 << 10];
        loop {
            match peer.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(n) => peer.received.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(peer)),
                Err(error) => return Err(error),
            }
            loop {
                let (answer, length) = match parse(&peer.received) {
                    FloorRequest::Incomplete if peer.received.len() < MAX_REQUEST => break,
                    FloorRequest::Incomplete | FloorRequest::Bad => {
                        peer.stream.write_all(BAD_REQUEST)?;
                        return Ok(None);
                    }
                    FloorRequest::Subscribe => {
                        self.poll.registry().deregister(&mut peer.stream)?;
                        peer.stream.write_all(STREAM_HEAD)?;
                        self.subscribers.push(peer.stream);
                        return Ok(None);
                    }
                    FloorRequest::Publish(body, length) if self.publish(body) => (SENT, length),
                    FloorRequest::Publish(_, length) => (BAD_REQUEST, length),
                    FloorRequest::Other(length) => (NOT_FOUND, length),
                };
                peer.stream.write_all(answer)?;
                peer.received.drain(..length);
            }
        }
    }

    /// Sends each message in `body` (one, or one a line) to every subscriber. False where there is
    /// none.
    fn publish(&mut self, mut body: &[u8]) -> bool {
        let mut published = false;
        while let Some((message, rest)) = next_message(body) {
            self.sequence += 1;
            encode(&mut self.frame, self.sequence, message);
            let frame = &self.frame;
            self.subscribers
                .retain_mut(|stream| stream.write(frame).is_ok_and(|n| n == frame.len()));
            published = true;
            body = rest;
        }
        published
    }
}

/// One event as one HTTP/1.1 chunk, with the same fields as a hub's.
fn encode(frame: &mut Vec<u8>, sequence: u64, message: &[u8]) {
    let id = format!("1-{sequence}");
    let length = "id: \ndata: \n\n".len() + id.len() + message.len();
    frame.clear();
    frame.extend_from_slice(format!("{length:x}\r\nid: {id}\ndata: ").as_bytes());
    frame.extend_from_slice(message);
    frame.extend_from_slice(b"\n\n\r\n");
}

/// The first `message` in a text of JSON, and what follows it.
fn next_message(body: &[u8]) -> Option<(&[u8], &[u8])> {
    const KEY: &[u8] = b"\"message\":\"";
    let from = memmem::find(body, KEY)? + KEY.len();
    let end = from + memchr2(b'"', b'\\', &body[from..])?;
    (body[end] == b'"').then(|| (&body[from..end], &body[end + 1..]))
}

/// Takes the first request apart as far as this program needs it.
fn parse(received: &[u8]) -> FloorRequest<'_> {
    let Some(end) = memmem::find(received, b"\r\n\r\n") else { return FloorRequest::Incomplete };
    let Ok(head) = std::str::from_utf8(&received[..end]) else { return FloorRequest::Bad };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return FloorRequest::Bad;
    };
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>());
    let from = end + 4;
    let Some(until) = length.ok().and_then(|length| from.checked_add(length)) else {
        return FloorRequest::Bad;
    };
    let Some(body) = received.get(from..until) else { return FloorRequest::Incomplete };
    let path = target.split('?').next().unwrap_or_default();
    match method {
        "GET" if path.ends_with("/events") => FloorRequest::Subscribe,
        "POST" if path.ends_with("/send") => FloorRequest::Publish(body, until),
        _ => FloorRequest::Other(until),
    }
}
