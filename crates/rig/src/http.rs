//! As much of HTTP/1.1 as publishers and subscribers speak, over a plain socket.
//!
//! What must hold: every wait ends. A read that takes longer than the connection's timeout is an
//! error, so that a hub that hangs is seen and nobody hangs with it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

/// A connection.
#[derive(Debug)]
pub struct HttpConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
    from: usize,
}

impl AsFd for HttpConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct AnswerHead {
    /// Its status.
    pub status: u16,
    headers: String,
}

impl AnswerHead {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }
}

/// What a read of a stream's body brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// Bytes, put into the caller's buffer.
    Bytes,
    /// Nothing within the time.
    Nothing,
    /// The body ended as a body should.
    End,
}

/// The state of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// The length of the next chunk comes next.
    Length,
    /// So much of the chunk is still to come.
    Chunk(usize),
    /// The line break after a chunk.
    Break,
    /// Until the connection closes.
    Close,
    /// Nothing more.
    Ended,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl HttpConnection {
    /// Connects; no later read or write takes longer than `timeout`.
    pub fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream, buffer: Vec::new(), from: 0 })
    }

    /// The same, with a small buffer for what the other side sends, so that it is soon stuck.
    pub fn open_narrow(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        const BYTES: usize = 4096;
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        set_socket_recv_buffer_size(&socket, BYTES)?;
        connect(&socket, &address)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream, buffer: Vec::new(), from: 0 })
    }

    /// Takes as much at a time as others do.
    pub fn widen(&self) -> io::Result<()> {
        Ok(set_socket_recv_buffer_size(&self.stream, 1 << 20)?)
    }

    /// A read finds what is there, and waits for nothing.
    pub fn make_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    /// How long a read may take from now on.
    pub fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.from == self.buffer.len() {
            self.buffer.clear();
            self.from = 0;
        }
        let old = self.buffer.len();
        self.buffer.resize(old + 16 * 1024, 0);
        // A read with a deadline is interrupted by any signal, such as that of a child that ends.
        let read = loop {
            match self.stream.read(&mut self.buffer[old..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(old + read.as_ref().map_or(0, |&read| read));
        read
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let rest = &self.buffer[self.from..];
        let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(None) };
        let line = str::from_utf8(&rest[..end]).map_err(|_| broken("a line is not UTF-8"))?;
        let line = line.trim_end_matches('\r').to_owned();
        self.from += end + 1;
        Ok(Some(line))
    }

    fn whole_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(line) = self.line()? {
                return Ok(line);
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The head of a response, if all of it is there.
    pub fn try_read_head(&mut self) -> io::Result<Option<AnswerHead>> {
        match self.fill() {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
        let whole = memchr::memmem::find(&self.buffer[self.from..], b"\r\n\r\n").is_some();
        whole.then(|| self.head()).transpose()
    }

    /// Reads the head of a response.
    pub fn head(&mut self) -> io::Result<AnswerHead> {
        let mut first = self.whole_line()?;
        // What was left of the body before.
        if first.is_empty() {
            first = self.whole_line()?;
        }
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken("no status"))?;
        let mut headers = String::new();
        loop {
            let line = self.whole_line()?;
            if line.is_empty() {
                return Ok(AnswerHead { status, headers });
            }
            headers.push_str(&line);
            headers.push('\n');
        }
    }

    /// Reads the whole of a short body.
    pub fn body(&mut self, head: &AnswerHead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length").and_then(|l| l.parse().ok()) {
            while self.buffer.len() - self.from < length {
                if self.fill()? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            body.extend_from_slice(&self.buffer[self.from..self.from + length]);
            self.from += length;
            return Ok(body);
        }
        let mut state = BodyState::of(head);
        loop {
            match self.more(&mut state, &mut body)? {
                Got::Bytes => {}
                Got::Nothing => return Err(io::ErrorKind::TimedOut.into()),
                Got::End => return Ok(body),
            }
        }
    }

    /// Reads some of a body.
    pub fn more(&mut self, state: &mut BodyState, into: &mut Vec<u8>) -> io::Result<Got> {
        let before = into.len();
        loop {
            let rest = &self.buffer[self.from..];
            match *state {
                BodyState::Length => match self.line()? {
                    Some(line) => {
                        let length = usize::from_str_radix(line.trim(), 16)
                            .map_err(|_| broken("the length of a chunk is not a number"))?;
                        if length == 0 {
                            *state = BodyState::Ended;
                        } else {
                            *state = BodyState::Chunk(length);
                        }
                        continue;
                    }
                    None if into.len() > before => return Ok(Got::Bytes),
                    None => {}
                },
                BodyState::Chunk(left) if !rest.is_empty() => {
                    let take = left.min(rest.len());
                    into.extend_from_slice(&rest[..take]);
                    self.from += take;
                    *state =
                        if take == left { BodyState::Break } else { BodyState::Chunk(left - take) };
                    continue;
                }
                BodyState::Break if rest.len() >= 2 => {
                    if !rest.starts_with(b"\r\n") {
                        return Err(broken("a chunk does not end where it said"));
                    }
                    self.from += 2;
                    *state = BodyState::Length;
                    continue;
                }
                BodyState::Close if !rest.is_empty() => {
                    into.extend_from_slice(rest);
                    self.from = self.buffer.len();
                    return Ok(Got::Bytes);
                }
                _ if into.len() > before => return Ok(Got::Bytes),
                // The line after the last chunk is not waited for.
                BodyState::Ended => return Ok(Got::End),
                _ => {}
            }
            match self.fill() {
                Ok(0) if *state == BodyState::Close => return Ok(Got::End),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(Got::Nothing),
                Err(error) => return Err(error),
            }
        }
    }
}

impl BodyState {
    /// How this response's body is framed.
    pub fn of(head: &AnswerHead) -> Self {
        if head.is_chunked() { Self::Length } else { Self::Close }
    }
}

/// Whether this is a read that took too long.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
