//! A subscriber: a sink, an interest and a cursor, and how the log flows through them.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use fanfare_event::Position;
use fanfare_hub::{Envelope, Interest, Ring, Slot};
use fanfare_log::ReadFrom;
use fanfare_sse::Encoded;
use smallvec::SmallVec;

use crate::arrears::{Arrears, Pace, Verdict};
use crate::counters::{CloseReason, Totals};
use crate::delivery::NewSubscriber;
use crate::lease::Lease;
use crate::readers::Source;
use crate::seats::Seat;
use crate::sink::{Framing, MAX_PIECES, Piece, Pieces, Sink};

// The bounds are small in tests, so that they are met.

/// How many slots one turn of one subscriber looks at, so that a far-behind one with a quiet
/// topic does not hold up its shard. A slot counts once more for each of its patterns.
const MAX_SCAN: usize = if cfg!(test) { 12 } else { 4096 };
/// How many bytes one write is offered.
pub(crate) const MAX_WRITE: usize = if cfg!(test) { 600 } else { 256 * 1024 };
/// How many bytes one turn of one subscriber writes before others have theirs.
const MAX_TURN: usize = if cfg!(test) { 1500 } else { 1024 * 1024 };

/// One subscriber. A plain value: descriptor, interest, cursor, and what it has not taken.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) sink: Sink,
    pub(crate) interest: Arc<Interest>,
    pub(crate) cursor: Cursor,
    /// Only while it has not taken everything.
    arrears: Option<Box<Arrears>>,
    /// The shard's offset when it last got an event id; `None` before the first.
    pub(crate) refreshed: Option<u64>,
    /// When it joined.
    pub(crate) joined: Instant,
    /// Tells this subscriber from others that had its slab entry.
    pub(crate) generation: u32,
    /// With whom it shares its turns at the log.
    pub(crate) source: Source,
    framing: Framing,
    envelope: Envelope,
    /// The sink took less than it was offered.
    pub(crate) blocked: bool,
    /// The poller reports when the sink takes more.
    pub(crate) armed: bool,
    /// Its stall has a deadline.
    pub(crate) stalled: bool,
    /// A reader is at work for it: the reader's job is of no use once this is gone.
    pub(crate) reading: Option<Arc<()>>,
    /// It is listed for another turn.
    pub(crate) queued: bool,
    /// Its page could not be read and will be asked for again.
    pub(crate) unread: bool,
    /// Why it closes once nothing waits for it any more, if it does.
    pub(crate) closing: Option<CloseReason>,
    pub(crate) lease: Option<Box<Lease>>,
    _seat: Seat,
}

/// There may be a million of them, and each delivery reads through one: none grows unnoticed.
#[cfg(not(test))]
const _: () = assert!(size_of::<Option<Subscriber>>() <= 144);

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
    /// The sink takes no more for now.
    Blocked,
    /// It has had its share, or is ahead of its shard; there is more.
    Yielded,
    /// What comes next is no longer in the ring.
    NeedsLog,
}

/// How far a run of slots got.
struct Sent {
    /// Slots before this place are done with: passed over, or handed to the sink.
    reached: u64,
    /// Whether a frame was among those handed over.
    any: bool,
    /// How many bytes the sink took, and how many of them at the last write.
    bytes: usize,
    at_last: usize,
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
        let NewSubscriber {
            sink, framing, interest, envelope, start, seat, lease, address, ..
        } = new;
        let mut arrears = Arrears::new(now);
        arrears.push(opening);
        Self {
            sink,
            interest,
            cursor: Cursor::At(start.from),
            arrears: Some(Box::new(arrears)),
            refreshed,
            joined: now,
            generation,
            source: Source::of(address),
            framing,
            envelope,
            blocked: false,
            armed: false,
            stalled: false,
            reading: None,
            queued: false,
            unread: false,
            closing: None,
            lease,
            _seat: seat,
        }
    }

    /// Sends what of `slots`, each with its offset, is of a type it wants: what its shard has just
    /// seen, whose topics it is known to want. It has everything before, and afterwards everything
    /// before `end`, unless its sink takes less.
    pub(crate) fn follow<'a>(
        &mut self,
        slots: impl Iterator<Item = (u64, &'a Slot)>,
        ring: &Ring,
        end: u64,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        let wants = |interest: &Interest, slot: &Slot| interest.wants_type(slot);
        // Bounded by what a shard collects before it writes.
        let sent = self.send(slots, end..end, usize::MAX, wants, now, totals)?;
        Ok(self.advance(&sent, ring, end, now))
    }

    /// Sends what the ring holds for it from where it stands up to `end`.
    pub(crate) fn turn(
        &mut self,
        ring: &Ring,
        end: u64,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        let offset = match self.cursor {
            Cursor::Live => Some(end),
            Cursor::At(ReadFrom::After(position)) => ring.offset_after(position),
            Cursor::At(ReadFrom::Earliest) => None,
        };
        // What waits goes out even when the log must be asked for what follows, or when the shard
        // has not come to where it stands.
        let Some(offset) = offset else { return self.flush(Turn::NeedsLog, now, totals) };
        if offset > end {
            return self.flush(Turn::Yielded, now, totals);
        }
        let patterns = self.interest.selector().topics.patterns().len();
        let scan = (MAX_SCAN / (1 + patterns)).max(1);
        let slots = (offset..end).zip(ring.from(offset));
        let sent = self.send(slots, offset..end, scan, Interest::wants, now, totals)?;
        Ok(self.advance(&sent, ring, end, now))
    }

    /// Sends a page that was read from the log for it. What the sink does not take is dropped and
    /// will be read again, so that a slow subscriber holds no page.
    pub(crate) fn take_page(
        &mut self,
        gap: Option<(Bytes, Position)>,
        slots: &[Slot],
        next: ReadFrom,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        if let Some((notice, resumed_from)) = gap {
            self.arrears(now).push(notice);
            self.cursor = Cursor::At(ReadFrom::After(resumed_from));
        }
        let wants = |_: &Interest, _: &Slot| true;
        let sent =
            self.send((0..).zip(slots), 0..slots.len() as u64, usize::MAX, wants, now, totals)?;
        if sent.any {
            // Older than anything in the ring.
            self.refreshed = Some(0);
        }
        match sent.stop {
            Stop::End => self.cursor = Cursor::At(next),
            Stop::Blocked | Stop::Budget => {
                if let Some(last) = sent.reached.checked_sub(1) {
                    let position = slots[last as usize].frame.position();
                    self.cursor = Cursor::At(ReadFrom::After(position));
                }
            }
        }
        Ok(self.after(&sent, Turn::Yielded, now))
    }

    /// Sends bytes that are not part of the log, unless others must go first.
    pub(crate) fn send_aside(
        &mut self,
        bytes: Bytes,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        self.arrears(now).push(bytes);
        // Having sent this says nothing of the log: who was behind still is.
        let done = if self.cursor == Cursor::Live { Turn::CaughtUp } else { Turn::Yielded };
        self.flush(done, now, totals)
    }

    /// Adds the last bytes. The subscriber is to be removed once nothing waits for it.
    pub(crate) fn bid_farewell(
        &mut self,
        bytes: Bytes,
        reason: CloseReason,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Turn> {
        self.closing = Some(reason);
        self.send_aside(bytes, now, totals)
    }

    /// Whether it is on its way out.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether nothing waits to go out before the next frame.
    pub(crate) fn is_clear(&self) -> bool {
        self.arrears.as_ref().is_none_or(|arrears| arrears.rest().is_empty())
    }

    /// What waits to go out before the next frame.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> &[Bytes] {
        self.arrears.as_ref().map_or(&[], |arrears| arrears.rest())
    }

    /// How the connection's bytes are framed.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// How it wants its data.
    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// How many bytes it is worth offering at once: about as many again as it took last.
    pub(crate) fn offer(&self) -> usize {
        self.arrears.as_ref().map_or(MAX_WRITE, |arrears| arrears.offer())
    }

    /// When it is to be judged, if it is still blocked then.
    pub(crate) fn deadline(&self, pace: Pace, now: Instant) -> Instant {
        self.arrears.as_ref().map_or(now, |arrears| arrears.deadline(pace))
    }

    /// Whether it may stay, blocked as it is.
    pub(crate) fn judge(&mut self, pace: Pace, now: Instant) -> Verdict {
        let taken = self.sink.taken_beyond();
        let arrears = self.arrears(now);
        if let Some((bytes, at)) = taken {
            arrears.saw(bytes, at);
        }
        arrears.judge(pace, now)
    }

    /// Sends what waits.
    fn flush(&mut self, done: Turn, now: Instant, totals: &mut Totals) -> io::Result<Turn> {
        let wants = |_: &Interest, _: &Slot| false;
        let sent = self.send(std::iter::empty(), 0..0, usize::MAX, wants, now, totals)?;
        Ok(self.after(&sent, done, now))
    }

    /// Takes note of how far it got on the way to `end`.
    fn advance(&mut self, sent: &Sent, ring: &Ring, end: u64, now: Instant) -> Turn {
        let reached = match sent.stop {
            Stop::End => end,
            Stop::Blocked | Stop::Budget => sent.reached,
        };
        // One that is blocked and has been handed everything is not behind: nothing need be
        // looked through for it before something concerns it.
        self.cursor = if reached == end && !matches!(sent.stop, Stop::Budget) {
            Cursor::Live
        } else {
            Cursor::At(ReadFrom::After(ring.position_before(reached)))
        };
        if sent.any {
            self.refreshed = Some(reached);
        }
        self.after(sent, Turn::CaughtUp, now)
    }

    fn after(&mut self, sent: &Sent, done: Turn, now: Instant) -> Turn {
        self.blocked = matches!(sent.stop, Stop::Blocked);
        if self.blocked {
            self.arrears(now).block(sent.at_last, sent.bytes, now);
            return Turn::Blocked;
        }
        if let Some(arrears) = &mut self.arrears {
            arrears.unblock(now);
        }
        match sent.stop {
            Stop::Budget => Turn::Yielded,
            Stop::End | Stop::Blocked => {
                if done == Turn::CaughtUp {
                    self.arrears = None;
                }
                done
            }
        }
    }

    /// Whether it is behind and nothing will ever wake it, which must not be.
    pub(crate) fn is_forgotten(&self) -> bool {
        let awaited = self.blocked || self.queued || self.reading.is_some() || self.unread;
        !(awaited || self.is_closing() || self.cursor == Cursor::Live)
    }

    fn arrears(&mut self, now: Instant) -> &mut Arrears {
        self.arrears.get_or_insert_with(|| Box::new(Arrears::new(now)))
    }

    /// Hands the sink what waits and then whatever of `slots` the subscriber wants, in writes of
    /// many frames. Each slot comes with its place among `places`; what stands between them is not
    /// its concern.
    fn send<'a>(
        &mut self,
        mut slots: impl Iterator<Item = (u64, &'a Slot)>,
        places: Range<u64>,
        scan: usize,
        wants: impl Fn(&Interest, &Slot) -> bool,
        now: Instant,
        totals: &mut Totals,
    ) -> io::Result<Sent> {
        let (mut passed, mut seen) = (0, places.start);
        let (mut turn_bytes, mut any) = (0, false);
        loop {
            let mut exhausted = false;
            let offer = {
                let arrears = self.arrears.as_deref();
                let rest = arrears.map_or(&[][..], Arrears::rest);
                let mut offer = Offer::of(rest);
                let limit = self.offer();
                while offer.pieces.len() < MAX_PIECES && offer.bytes < limit && passed < scan {
                    let Some((place, slot)) = slots.next() else {
                        (exhausted, seen) = (true, places.end);
                        break;
                    };
                    passed += 1;
                    seen = place + 1;
                    if wants(&self.interest, slot) {
                        offer.add(slot.frame.encoded(self.envelope), place);
                    }
                }
                if offer.pieces.is_empty() {
                    None
                } else {
                    Some(offer.make(&mut self.sink, self.framing)?)
                }
            };
            let mut stop = exhausted.then_some(Stop::End);
            let mut reached = seen;
            let written = offer.as_ref().map_or(0, |taken| taken.bytes);
            if let Some(taken) = offer {
                totals.writes += 1;
                totals.bytes += taken.bytes as u64;
                turn_bytes += taken.bytes;
                totals.deliveries += taken.handed as u64;
                any |= taken.handed > 0;
                if taken.is_blocked {
                    stop = Some(Stop::Blocked);
                    reached = taken.next.unwrap_or(seen);
                }
                if let Some(arrears) = &mut self.arrears {
                    arrears.advance(taken.of_rest);
                }
                if let Some(begun) = taken.begun {
                    self.arrears(now).push(begun);
                }
            }
            if stop.is_none() && (passed >= scan || turn_bytes >= MAX_TURN) {
                stop = Some(Stop::Budget);
            }
            if !matches!(stop, Some(Stop::Blocked))
                && let Some(arrears) = &mut self.arrears
            {
                arrears.took(written);
            }
            if let Some(stop) = stop {
                return Ok(Sent { reached, any, bytes: turn_bytes, at_last: written, stop });
            }
        }
    }
}

/// What is written at once.
struct Offer<'a> {
    pieces: Pieces<'a>,
    /// Where the slots of the frames among the pieces stand.
    places: SmallVec<[u64; MAX_PIECES]>,
    /// How many pieces come before the first frame, and their bytes.
    lead: usize,
    rest: usize,
    bytes: usize,
}

/// What has become of an offer.
struct Taken {
    bytes: usize,
    /// How many of them were of what had to go out first.
    of_rest: usize,
    /// How many frames the sink took whole or in part.
    handed: usize,
    /// The place of the first that it did not take.
    next: Option<u64>,
    /// The rest of one that it took in part.
    begun: Option<Bytes>,
    is_blocked: bool,
}

impl<'a> Offer<'a> {
    fn of(rest: &'a [Bytes]) -> Self {
        let bytes = rest.iter().map(Bytes::len).sum();
        let pieces: Pieces<'a> = rest.iter().map(Piece::Pending).collect();
        Self { lead: pieces.len(), pieces, places: SmallVec::new(), rest: bytes, bytes }
    }

    fn add(&mut self, frame: &'a Encoded, place: u64) {
        self.bytes += frame.len();
        self.pieces.push(Piece::Frame(frame));
        self.places.push(place);
    }

    fn make(self, sink: &mut Sink, framing: Framing) -> io::Result<Taken> {
        let bytes = sink.write(&self.pieces, framing)?;
        let of_rest = bytes.min(self.rest);
        let (mut left, mut whole, mut begun) = (bytes - of_rest, 0, None);
        for frame in &self.pieces[self.lead..] {
            let length = frame.as_slice(framing).len();
            if left < length {
                begun = (left > 0).then(|| {
                    let mut rest = frame.to_bytes(framing);
                    rest.advance(left);
                    rest
                });
                break;
            }
            left -= length;
            whole += 1;
        }
        let handed = whole + usize::from(begun.is_some());
        let next = self.places.get(handed).copied();
        let is_blocked = of_rest < self.rest || whole < self.places.len();
        Ok(Taken { bytes, of_rest, handed, next, begun, is_blocked })
    }
}
