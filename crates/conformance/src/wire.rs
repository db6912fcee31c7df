//! A raw connection to a hub: bytes out, bytes in, every wait with an end.
//!
//! HTTP/1.1 is read here by the letter of RFC 9112 and by nothing else, so that the judge forgives
//! nothing that a library would.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::body::{BodyDecoder, BodyStep};
use crate::finding::{CheckResult, failed, quote};
use crate::head::RawHead;

/// How much is read at once.
const READ: usize = 64 * 1024;
/// A head longer than this is not waited for.
const LONGEST_HEAD: usize = 256 * 1024;
/// A body of an answer, not of a stream, longer than this is not waited for.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Bytes,
    /// The other side has closed in order.
    End,
    /// The connection broke.
    Broken,
    /// The time is over.
    Late,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct RawAnswer {
    pub(crate) head: RawHead,
    pub(crate) body: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct RawConnection {
    socket: TcpStream,
    /// What was received and not yet taken.
    pub(crate) received: Vec<u8>,
}

impl RawConnection {
    pub(crate) fn connect(address: SocketAddr, within: Duration) -> CheckResult<Self> {
        let socket = TcpStream::connect_timeout(&address, within);
        let socket = socket.and_then(|socket| {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(within))?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => Ok(Self { socket, received: Vec::new() }),
            Err(error) => failed(format!("cannot connect to {address}: {error}")),
        }
    }

    /// Sends; an error means that the other side takes no more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> CheckResult {
        match self.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(error) => failed(format!("the hub took no request: {error}")),
        }
    }

    /// Ends this side only.
    pub(crate) fn finish(&self) {
        // Whoever has closed already needs no word of it.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    pub(crate) fn fill(&mut self, deadline: Instant) -> Fill {
        let mut buffer = [0; READ];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Fill::Late;
            }
            if self.socket.set_read_timeout(Some(left)).is_err() {
                return Fill::Broken;
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return Fill::End,
                Ok(read) => {
                    self.received.extend_from_slice(&buffer[..read]);
                    return Fill::Bytes;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Fill::Late,
                    io::ErrorKind::Interrupted => {}
                    _ => return Fill::Broken,
                },
            }
        }
    }

    /// Reads until the other side closes; says whether it did, in order or not.
    pub(crate) fn drained(&mut self, deadline: Instant) -> bool {
        loop {
            match self.fill(deadline) {
                Fill::Bytes if self.received.len() > LONGEST_ANSWER => return false,
                Fill::Bytes => {}
                Fill::End | Fill::Broken => return true,
                Fill::Late => return false,
            }
        }
    }

    /// The head of the next answer; interim ones (1xx) are skipped.
    pub(crate) fn head(&mut self, deadline: Instant) -> CheckResult<RawHead> {
        loop {
            let head = self.any_head(deadline)?;
            if head.status >= 200 || head.status == 101 {
                return Ok(head);
            }
        }
    }

    /// The head of the next answer, be it interim.
    pub(crate) fn any_head(&mut self, deadline: Instant) -> CheckResult<RawHead> {
        loop {
            if let Some(head) = RawHead::take(&mut self.received)? {
                return Ok(head);
            }
            let got = &self.received;
            if got.len() > LONGEST_HEAD {
                return failed(format!("a head without an end: {}", quote(got)));
            }
            match self.fill(deadline) {
                Fill::Bytes => {}
                Fill::Late if self.received.is_empty() => return failed("no answer in time"),
                Fill::Late => {
                    return failed(format!("half a head in time: {}", quote(&self.received)));
                }
                Fill::End | Fill::Broken if self.received.is_empty() => {
                    return failed("the connection was closed without an answer");
                }
                Fill::End | Fill::Broken => {
                    return failed(format!("closed inside a head: {}", quote(&self.received)));
                }
            }
        }
    }

    /// The next answer, whole. `headless` is whether it answers HEAD, and so has no body.
    pub(crate) fn answer(&mut self, headless: bool, deadline: Instant) -> CheckResult<RawAnswer> {
        let head = self.head(deadline)?;
        let mut coding = if headless { BodyDecoder::Nothing } else { BodyDecoder::of(&head)? };
        let mut body = Vec::new();
        loop {
            match coding.take(&mut self.received, &mut body)? {
                BodyStep::Done => return Ok(RawAnswer { head, body }),
                BodyStep::More if body.len() > LONGEST_ANSWER => {
                    return failed("an answer without an end");
                }
                BodyStep::More => {}
            }
            match self.fill(deadline) {
                Fill::Bytes => {}
                Fill::End if matches!(coding, BodyDecoder::UntilClose) => {
                    return Ok(RawAnswer { head, body });
                }
                Fill::Late => {
                    return failed(format!(
                        "{} with a body that did not end in time: {}",
                        head.status,
                        quote(&body)
                    ));
                }
                Fill::End | Fill::Broken => {
                    return failed(format!(
                        "{} with a body that broke off after {}",
                        head.status,
                        quote(&body)
                    ));
                }
            }
        }
    }
}
