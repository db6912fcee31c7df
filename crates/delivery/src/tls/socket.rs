//! A socket whose records are sealed here, and what of it can be written down.

use std::fmt;
use std::io::{self, Read as _};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::opener::{Broken, ClientRecords, Opener};
use super::record::{Alert, ContentType, MAX_CONTENT, MAX_RECORD};
use super::sealer::Sealer;
use super::{CipherSuite, Direction};
use crate::sink_io::{Buffer, Inbound, WriteResult};

/// What is left of a handshake for whoever goes on with the connection: a plain value that can be
/// written down. Whoever writes it down gives it up, for two who seal with one secret would use
/// numbers twice.
#[derive(Debug)]
pub struct TlsState {
    /// What we seal with.
    pub sending: Direction,
    /// What the client seals with.
    pub receiving: Direction,
    /// Of a record that was sealed, what the socket has not taken: it goes out before anything else.
    pub unsent: Bytes,
    /// What has come of a record that has not come whole.
    pub begun: Vec<u8>,
    /// How often the client has changed its key.
    pub updates: u32,
    /// Our key is to change before the next content.
    pub update_due: bool,
    /// The client says nothing more.
    pub heard_end: bool,
    /// We have said `close_notify`, or a fatal alert: nothing more is sealed.
    pub said_end: bool,
}

/// A non-blocking socket whose records are sealed here, and ours alone.
pub struct TlsSocket(
    // Apart from the subscriber, whose entry is small and read for each delivery.
    Box<Session>,
);

struct Session {
    socket: TcpStream,
    sealer: Sealer,
    opener: Opener,
    unsent: Bytes,
    update_due: bool,
    heard_end: bool,
    said_end: bool,
    /// What the socket has taken since this was last asked, and when the last of it.
    taken: u64,
    taken_at: Option<Instant>,
}

impl TlsState {
    /// Right after a handshake, with nothing on the way in either direction.
    pub fn new(sending: Direction, receiving: Direction) -> Self {
        Self {
            sending,
            receiving,
            unsent: Bytes::new(),
            begun: Vec::new(),
            updates: 0,
            update_due: false,
            heard_end: false,
            said_end: false,
        }
    }
}

impl TlsSocket {
    /// Goes on with a connection, whose socket is non-blocking. Its secret seals `key_limit` records, most often
    /// [`KEY_LIMIT`](super::KEY_LIMIT).
    pub fn new(socket: TcpStream, state: TlsState, key_limit: u64) -> Self {
        let TlsState { sending, receiving, unsent, begun, updates, .. } = state;
        let TlsState { update_due, heard_end, said_end, .. } = state;
        Self(Box::new(Session {
            socket,
            sealer: Sealer::new(sending, key_limit),
            opener: Opener::new(receiving, begun, updates),
            unsent,
            update_due,
            heard_end,
            said_end,
            taken: 0,
            taken_at: None,
        }))
    }

    /// The socket, and what is needed to go on with it.
    pub fn into_parts(self) -> (TcpStream, TlsState) {
        let Session { socket, sealer, opener, unsent, update_due, heard_end, said_end, .. } =
            *self.0;
        let (receiving, begun, updates) = opener.into_parts();
        let sending = sealer.into_direction();
        let state = TlsState {
            sending,
            receiving,
            unsent,
            begun,
            updates,
            update_due,
            heard_end,
            said_end,
        };
        (socket, state)
    }

    /// The suite that was agreed on.
    pub fn suite(&self) -> CipherSuite {
        self.0.sealer.suite()
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.0.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.0.socket
    }

    /// Seals and sends record after record, each full or the last, until the socket is. `scratch` is for
    /// one record at a time, whatever it holds.
    pub(crate) fn write(
        &mut self,
        buffers: &[Buffer<'_>],
        scratch: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<WriteResult> {
        let mut accepted = WriteResult { bytes: 0, blocked: !self.flush(now)? };
        let mut contents = Contents { buffers, offset: 0 };
        while !accepted.blocked && !contents.is_empty() {
            let session = &mut *self.0;
            if session.said_end {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            scratch.clear();
            scratch.reserve(MAX_RECORD);
            if std::mem::take(&mut session.update_due) || session.sealer.is_spent() {
                session.sealer.update(scratch);
            }
            let bytes = &mut accepted.bytes;
            session.sealer.seal(ContentType::ApplicationData, scratch, |out| {
                *bytes += contents.move_to(out, MAX_CONTENT);
            });
            accepted.blocked = !self.send(scratch, now)?;
        }
        Ok(accepted)
    }

    /// Says that nothing more comes. False: it has not gone yet, and this is to be called again when
    /// there is room.
    pub(crate) fn finish(&mut self, scratch: &mut Vec<u8>, now: Instant) -> io::Result<bool> {
        if !self.flush(now)? {
            return Ok(false);
        }
        if self.0.said_end {
            return Ok(true);
        }
        self.say_end(Alert::CloseNotify, scratch, now)
    }

    /// What has been sent since this was last asked, and when the last of it.
    pub(crate) fn passed_on(&mut self) -> Option<(u64, Instant)> {
        let taken = std::mem::take(&mut self.0.taken);
        self.0.taken_at.map(|at| (taken, at))
    }

    /// Reads what the client sends, at most `rounds` times.
    pub(crate) fn read(&mut self, rounds: usize, now: Instant) -> Inbound {
        let mut scratch = [0; 4096];
        let mut ends = false;
        for _ in 0..rounds {
            let read = match self.0.socket.read(&mut scratch) {
                Ok(0) => return Inbound::End,
                Ok(read) => &scratch[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if ends { Inbound::CloseNotify } else { Inbound::Nothing };
                }
                Err(_) => return Inbound::Error,
            };
            if self.0.heard_end {
                continue;
            }
            match self.0.opener.take(read) {
                Ok(ClientRecords { end, update_requested }) => {
                    self.0.update_due |= update_requested;
                    self.0.heard_end = end;
                    ends |= end;
                }
                Err(broken) => {
                    self.refuse(broken, now);
                    return Inbound::Error;
                }
            }
        }
        Inbound::Flood
    }

    /// Tells a client why its connection ends, where it can still read that.
    fn refuse(&mut self, broken: Broken, now: Instant) {
        tracing::debug!(?broken, "a client broke the TLS protocol");
        let Broken::Violation(alert) = broken else { return };
        if self.0.unsent.is_empty() && !self.0.said_end {
            // It is of no consequence whether it goes out.
            let _ = self.say_end(alert, &mut Vec::new(), now);
        }
    }

    fn say_end(&mut self, alert: Alert, scratch: &mut Vec<u8>, now: Instant) -> io::Result<bool> {
        self.0.said_end = true;
        scratch.clear();
        let message = alert.message();
        self.0.sealer.seal(ContentType::Alert, scratch, |out| {
            out.extend_from_slice(&message);
        });
        self.send(scratch, now)
    }

    /// Sends the rest of what was sealed; whether all of it has gone.
    fn flush(&mut self, now: Instant) -> io::Result<bool> {
        let session = &mut *self.0;
        if !session.unsent.is_empty() {
            let sent = try_send(&session.socket, &session.unsent)?;
            session.count(sent, now);
            session.unsent.advance(sent);
            if session.unsent.is_empty() {
                // Let go of the whole.
                session.unsent = Bytes::new();
            }
        }
        Ok(session.unsent.is_empty())
    }

    /// Sends what has just been sealed, and keeps the rest; whether all of it has gone.
    fn send(&mut self, sealed: &[u8], now: Instant) -> io::Result<bool> {
        let session = &mut *self.0;
        debug_assert!(session.unsent.is_empty(), "a record before the rest of another");
        let sent = try_send(&session.socket, sealed)?;
        session.count(sent, now);
        session.unsent = Bytes::copy_from_slice(&sealed[sent..]);
        Ok(session.unsent.is_empty())
    }
}

impl Session {
    fn count(&mut self, sent: usize, now: Instant) {
        if sent > 0 {
            self.taken += sent as u64;
            self.taken_at = Some(now);
        }
    }
}

/// How many of these bytes the socket takes at once.
fn try_send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        return match send(socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(0),
            sent => Ok(sent?),
        };
    }
}

/// What is left to be sealed of several buffers.
struct Contents<'a> {
    buffers: &'a [Buffer<'a>],
    /// Where in the first.
    offset: usize,
}

impl Contents<'_> {
    fn is_empty(&self) -> bool {
        self.buffers.iter().map(|buffer| buffer.as_slice().len()).sum::<usize>() == self.offset
    }

    /// Appends the next of it to `out`, at most so many bytes; how many.
    fn move_to(&mut self, out: &mut Vec<u8>, limit: usize) -> usize {
        let mut moved = 0;
        while let Some((buffer, others)) = self.buffers.split_first() {
            let rest = &buffer.as_slice()[self.offset..];
            let piece = &rest[..rest.len().min(limit - moved)];
            out.extend_from_slice(piece);
            moved += piece.len();
            if piece.len() < rest.len() {
                self.offset += piece.len();
                break;
            }
            (self.buffers, self.offset) = (others, 0);
        }
        moved
    }
}

impl fmt::Debug for TlsSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket")
            .field("socket", &self.0.socket)
            .field("suite", &self.suite())
            .finish_non_exhaustive()
    }
}
