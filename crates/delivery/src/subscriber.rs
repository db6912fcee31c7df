//! A subscriber: a sink, an interest and a cursor, and how the log flows through them.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use fanfare_event::Position;
use fanfare_hub::{Envelope, Interest, Ring, Slot};
use fanfare_log::ReadFrom;

use crate::counters::{CloseReason, Totals};
use crate::delivery::NewSubscriber;
use crate::lease::Lease;
use crate::seats::Seat;
use crate::sink::{Framing, MAX_PIECES, Piece, Pieces, Sink};

// The bounds are small in tests, so that they are met.

/// How many slots one turn of one subscriber looks at, so that a far-behind one with a quiet
/// topic does not hold up its shard.
const MAX_SCAN: usize = if cfg!(test) { 12 } else { 4096 };
/// How many bytes one write is offered.
const MAX_WRITE: usize = if cfg!(test) { 600 } else { 256 * 1024 };
/// How many bytes one turn of one subscriber writes before others have theirs.
const MAX_TURN: usize = if cfg!(test) { 1500 } else { 1024 * 1024 };

/// One subscriber. A plain value: descriptor, interest, cursor, and the rest of a buffer.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) sink: Sink,
    pub(crate) interest: Arc<Interest>,
    pub(crate) cursor: Cursor,
    /// What must go out before the next frame: the stream's beginning, its end, or the rest of a
    /// frame that the sink took in part.
    pending: Bytes,
    /// Up to where the ring was last looked through for it, so that a batch that concerns it more
    /// than once is looked through once.
    pub(crate) followed: u64,
    /// The shard's offset when it last got an event id; `None` before the first.
    pub(crate) refreshed: Option<u64>,
    /// When it joined.
    pub(crate) joined: Instant,
    /// When its sink last took a byte or became full, while it is blocked.
    pub(crate) progressed: Instant,
    /// Tells this subscriber from others that had its slab entry.
    pub(crate) generation: u32,
    framing: Framing,
    envelope: Envelope,
    /// The sink took less than it was offered.
    pub(crate) blocked: bool,
    /// The poller reports when the sink takes more.
    pub(crate) armed: bool,
    /// Its stall has a deadline.
    pub(crate) stalled: bool,
    /// A reader is at work for it.
    pub(crate) reading: bool,
    /// It is listed for another turn.
    pub(crate) queued: bool,
    /// Its page could not be read and will be asked for again.
    pub(crate) unread: bool,
    /// Why it closes once `pending` has gone, if it does.
    pub(crate) closing: Option<CloseReason>,
    pub(crate) lease: Option<Box<Lease>>,
    _seat: Seat,
}

/// There may be a million of them, and each delivery reads through one: none grows unnoticed.
#[cfg(not(test))]
const _: () = assert!(size_of::<Option<Subscriber>>() <= 176);

/// Where a subscriber stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// At its shard's position: it has everything the shard has seen, and needs no place of its
    /// own.
    Live,
    /// Behind.
    At(ReadFrom),
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has everything.
    CaughtUp,
    /// The sink takes no more for now. Whether it took something this time, or became full only
    /// now.
    Blocked { progressed: bool },
    /// It has had its share; there is more.
    Yielded,
    /// What comes next is no longer in the ring.
    NeedsLog,
}

/// How far a run of slots got.
struct Sent {
    /// How many slots are done with: passed over, or handed to the sink.
    done: usize,
    /// Whether a frame was among those handed over.
    any: bool,
    /// How many bytes the sink took.
    bytes: usize,
    stop: Stop,
}

enum Stop {
    /// All of them.
    End,
    /// The sink is full.
    Blocked,
    /// The turn is over.
    Budget,
}

impl Subscriber {
    /// A subscriber to whom nothing has been sent yet, `opening` first. `refreshed` is where in
    /// the ring the id stands that it holds already.
    pub(crate) fn new(
        new: NewSubscriber,
        opening: Bytes,
        refreshed: Option<u64>,
        generation: u32,
        now: Instant,
    ) -> Self {
        let NewSubscriber { sink, framing, interest, envelope, start, seat, lease, .. } = new;
        Self {
            sink,
            interest,
            cursor: Cursor::At(start.from),
            pending: opening,
            followed: 0,
            refreshed,
            joined: now,
            progressed: now,
            generation,
            framing,
            envelope,
            blocked: false,
            armed: false,
            stalled: false,
            reading: false,
            queued: false,
            unread: false,
            closing: None,
            lease,
            _seat: seat,
        }
    }

    /// Sends what the ring holds for it from where it stands; from `offset` where it is caught up
    /// but for what the shard has just seen.
    pub(crate) fn turn(
        &mut self,
        ring: &Ring,
        offset: Option<u64>,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        let offset = match (self.cursor, offset) {
            (Cursor::Live, Some(offset)) => offset,
            (Cursor::Live, None) => ring.end(),
            (Cursor::At(ReadFrom::After(position)), _) => match ring.offset_after(position) {
                Some(offset) => offset,
                None => return self.turn_to_log(totals),
            },
            (Cursor::At(ReadFrom::Earliest), _) => return self.turn_to_log(totals),
        };
        self.followed = ring.end();
        let sent = self.send(ring.from(offset), totals)?;
        let reached = offset + sent.done as u64;
        self.cursor = match sent.stop {
            Stop::End => Cursor::Live,
            Stop::Blocked | Stop::Budget => {
                Cursor::At(ReadFrom::After(ring.position_before(reached)))
            }
        };
        if sent.any {
            self.refreshed = Some(reached);
        }
        Ok(self.after(&sent, Turn::CaughtUp))
    }

    /// Sends a page that was read from the log for it. What the sink does not take is dropped and
    /// will be read again, so that a slow subscriber holds no page.
    pub(crate) fn take_page(
        &mut self,
        gap: Option<(Bytes, Position)>,
        slots: &[Slot],
        next: ReadFrom,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        if let Some((notice, resumed_from)) = gap {
            self.append_pending(&notice);
            self.cursor = Cursor::At(ReadFrom::After(resumed_from));
        }
        let sent = self.send(slots.iter(), totals)?;
        if sent.any {
            // Older than anything in the ring.
            self.refreshed = Some(0);
        }
        match sent.stop {
            Stop::End => self.cursor = Cursor::At(next),
            Stop::Blocked | Stop::Budget => {
                if let Some(last) = sent.done.checked_sub(1) {
                    let position = slots[last].frame.position();
                    self.cursor = Cursor::At(ReadFrom::After(position));
                }
            }
        }
        Ok(self.after(&sent, Turn::Yielded))
    }

    /// Sends bytes that are not part of the log, unless others must go first.
    pub(crate) fn send_aside(&mut self, bytes: &Bytes, totals: &mut Totals) -> io::Result<Turn> {
        self.append_pending(bytes);
        let sent = self.send(std::iter::empty(), totals)?;
        // Having sent this says nothing of the log: who was behind still is.
        let done = if self.cursor == Cursor::Live { Turn::CaughtUp } else { Turn::Yielded };
        Ok(self.after(&sent, done))
    }

    /// Adds the last bytes. The subscriber is to be removed once it has nothing pending.
    pub(crate) fn bid_farewell(
        &mut self,
        bytes: &Bytes,
        reason: CloseReason,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        self.closing = Some(reason);
        self.send_aside(bytes, totals)
    }

    /// Whether it is on its way out.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether nothing waits to go out before the next frame.
    pub(crate) fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    /// How the connection's bytes are framed.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// How it wants its data.
    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// What is pending goes out even when the log must be asked for what follows.
    fn turn_to_log(&mut self, totals: &mut Totals) -> io::Result<Turn> {
        let sent = self.send(std::iter::empty(), totals)?;
        Ok(self.after(&sent, Turn::NeedsLog))
    }

    fn after(&mut self, sent: &Sent, done: Turn) -> Turn {
        let was_blocked = std::mem::replace(&mut self.blocked, matches!(sent.stop, Stop::Blocked));
        match sent.stop {
            Stop::End => done,
            Stop::Blocked => Turn::Blocked { progressed: sent.bytes > 0 || !was_blocked },
            Stop::Budget => Turn::Yielded,
        }
    }

    /// Whether it is behind and nothing will ever wake it, which must not be.
    pub(crate) fn is_forgotten(&self) -> bool {
        let awaited = self.blocked || self.queued || self.reading || self.unread;
        !(awaited || self.is_closing() || self.cursor == Cursor::Live)
    }

    fn append_pending(&mut self, bytes: &Bytes) {
        self.pending = if self.pending.is_empty() {
            bytes.clone()
        } else {
            [&self.pending[..], bytes].concat().into()
        };
    }

    /// Hands the sink what is pending and then whatever of `slots` the subscriber wants, in
    /// writes of many frames.
    fn send<'a>(
        &mut self,
        mut slots: impl Iterator<Item = &'a Slot>,
        totals: &mut Totals,
    ) -> io::Result<Sent> {
        let (mut passed, mut turn_bytes, mut any) = (0, 0, false);
        loop {
            let pending = std::mem::take(&mut self.pending);
            let mut pieces = Pieces::new();
            // For each frame among the pieces, how many slots are done with once it has gone.
            let mut marks = smallvec::SmallVec::<[u32; MAX_PIECES]>::new();
            let mut offered = pending.len();
            if !pending.is_empty() {
                pieces.push(Piece::Pending(&pending));
            }
            let mut exhausted = true;
            for slot in slots.by_ref() {
                passed += 1;
                if self.interest.wants(slot) {
                    let encoded = slot.frame.encoded(self.envelope);
                    offered += encoded.len();
                    pieces.push(Piece::Frame(encoded));
                    marks.push(passed as u32);
                }
                if pieces.len() == MAX_PIECES || offered >= MAX_WRITE || passed >= MAX_SCAN {
                    exhausted = false;
                    break;
                }
            }
            if !pieces.is_empty() {
                let written = self.sink.write(&pieces, self.framing)?;
                totals.writes += 1;
                totals.bytes += written as u64;
                turn_bytes += written;
                let (frames, rest) = settle(&pieces, self.framing, written);
                let lead = usize::from(!pending.is_empty());
                let handed = (frames + usize::from(!rest.is_empty())).saturating_sub(lead);
                totals.deliveries += handed as u64;
                any |= handed > 0;
                self.pending = rest;
                if frames < pieces.len() {
                    // Slots before the first frame that has not gone are done with.
                    let done = marks.get(handed).map_or(passed, |mark| *mark as usize - 1);
                    return Ok(Sent { done, any, bytes: turn_bytes, stop: Stop::Blocked });
                }
            }
            if exhausted {
                return Ok(Sent { done: passed, any, bytes: turn_bytes, stop: Stop::End });
            }
            if passed >= MAX_SCAN || turn_bytes >= MAX_TURN {
                return Ok(Sent { done: passed, any, bytes: turn_bytes, stop: Stop::Budget });
            }
        }
    }
}

/// How many pieces `written` bytes cover whole, and the rest of the next one if it was begun (or
/// is the pending one, which must not be forgotten).
fn settle(pieces: &[Piece<'_>], framing: Framing, written: usize) -> (usize, Bytes) {
    let mut left = written;
    for (whole, piece) in pieces.iter().enumerate() {
        let length = piece.as_slice(framing).len();
        if left < length {
            let begun = left > 0 || matches!(piece, Piece::Pending(_));
            let mut rest = if begun { piece.to_bytes(framing) } else { Bytes::new() };
            rest.advance(left);
            return (whole, rest);
        }
        left -= length;
    }
    (pieces.len(), Bytes::new())
}
