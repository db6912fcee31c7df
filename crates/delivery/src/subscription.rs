//! A subscription: what of a subscriber means something outside its shard and its process.
//!
//! What must hold: it is data. All of it can be written down, in no matter what form, and read by
//! another process: times are by the wall clock, places in the log are positions, the format has a
//! name. Whoever has it and the connection can go on with the stream as if nothing had happened.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fanfare_event::{Position, Timestamp};
use fanfare_hub::{Interest, Ring, Start};
use fanfare_log::ReadFrom;

use crate::address_group::AddressGroup;
use crate::backpressure::Backpressure;
use crate::cadence::Cadence;
use crate::connection::Connection;
use crate::counters::CloseReason;
use crate::cursor::{Cursor, HeldId};
use crate::heartbeat_interval::HeartbeatInterval;
use crate::lease::{Grant, Lease};
use crate::now::Now;
use crate::seats::Seat;
use crate::settings::StepLimits;
use crate::sink::Sink;
use crate::subscriber::{Awaits, Subscriber};
use crate::wire::{FinalEvent, Wire};

/// A stream that goes on, as data; beside it stands the connection, see [`Detached`].
#[derive(Debug, Clone)]
pub struct Subscription {
    /// What it wants: written down as its selector.
    pub interest: Arc<Interest>,
    /// How it is written: written down as the format's name and the framing.
    pub wire: Wire,
    /// What must go out first, framed already: the stream's beginning, the rest of an event that was
    /// begun.
    pub rest: Vec<Bytes>,
    /// Where the log goes on after that.
    pub cursor: ReadFrom,
    /// Up to where the log had come when the client last got an event id; the very beginning where
    /// that is too long ago to be known, `None` where it never did.
    pub held_id: Option<Position>,
    /// How often at most it is sent events; `None` is whenever there are some.
    pub cadence: Option<Cadence>,
    /// When it joined.
    pub joined: Timestamp,
    /// With whom it shares its turns at the log.
    pub address_group: AddressGroup,
    /// To whom it was granted, and for how long.
    pub grant: Option<Grant>,
    /// Why it ends once nothing waits for it any more, if it does.
    pub closing: Option<CloseReason>,
}

impl Subscription {
    /// How many bytes must go out first.
    pub fn unsent(&self) -> usize {
        self.rest.iter().map(Bytes::len).sum()
    }

    /// Ends it once it has taken what must go out first, and tells it when to come back, in milliseconds.
    pub(crate) fn end(&mut self, reason: CloseReason, retry: u64) {
        if self.closing.is_some() {
            return;
        }
        // One that has never had an id gets where it stands, as in `shard::closing`.
        let final_event = match (self.held_id, self.cursor) {
            (None, ReadFrom::After(position)) => FinalEvent::Cursor(position),
            _ => FinalEvent::Silent,
        };
        self.rest.push(self.wire.final_event(final_event, retry));
        self.closing = Some(reason);
    }
}

/// A subscriber that has been taken out of its shard. Its places are held until this is dropped.
#[derive(Debug)]
pub struct Detached<C = Connection> {
    /// The stream.
    pub subscription: Subscription,
    /// The connection.
    pub connection: C,
    /// Its place.
    pub seat: Seat,
    /// Its places among those of its address and of its subject.
    pub seats: Vec<Seat>,
    /// When its grant was verified, where it stays in this process: a wall clock that is set meanwhile
    /// must not let it escape a cut.
    pub verified: Option<Instant>,
}

/// To a subscriber of a shard, and back.
impl Subscriber {
    /// Goes on with a stream. `ring` is the shard's.
    pub(crate) fn attach(
        detached: Detached<Sink>,
        generation: u32,
        ring: &Ring,
        now: Now,
        limits: &StepLimits,
    ) -> Self {
        let Detached { subscription, connection: sink, seat, seats, verified } = detached;
        let Subscription {
            interest,
            wire,
            rest,
            cursor,
            held_id,
            cadence,
            joined,
            address_group,
            grant,
            closing,
        } = subscription;
        let mut backpressure = Backpressure::new(now.monotonic, limits);
        rest.into_iter().for_each(|bytes| backpressure.push(bytes));
        backpressure.gap_told = wire.is_behind_gap();
        let held_id = held_id.map_or(HeldId::NONE, |position| {
            ring.offset_after(position).map_or(HeldId::OLD, HeldId::at)
        });
        Self {
            interest,
            cursor: Cursor::At(cursor),
            held_id,
            format: wire.format(),
            backpressure: Some(Box::new(backpressure)),
            lease: grant.map(|grant| Box::new(grant.lease(seats, verified, now))),
            joined,
            address_group,
            cadence,
            framing: wire.framing(),
            closing,
            // It may hold something back from where it comes from: it is written to in any case.
            awaits: Awaits { room: true, ..Awaits::default() },
            heartbeat_interval: HeartbeatInterval::NEW,
            generation,
            sink,
            reading: None,
            seat,
        }
    }

    /// Takes the stream out of its shard, which has processed the log up to `here`, of which `ring`
    /// is the shard's copy.
    pub(crate) fn detach(self, here: Position, ring: &Ring, now: Now) -> Detached<Sink> {
        let wire = self.wire();
        let verified = self.lease.as_ref().map(|lease| lease.verified);
        let (grant, seats) = self.lease.map(|lease| lease.split(now)).unzip();
        let held_id = self.held_id.offset().map(|offset| {
            if offset < ring.base() { Position::ORIGIN } else { ring.position_before(offset) }
        });
        let subscription = Subscription {
            interest: self.interest,
            wire,
            rest: self.backpressure.map_or_else(Vec::new, |it| it.into_rest()),
            cursor: match self.cursor {
                Cursor::Live => ReadFrom::After(here),
                Cursor::At(from) => from,
            },
            held_id,
            cadence: self.cadence,
            joined: self.joined,
            address_group: self.address_group,
            grant,
            closing: self.closing,
        };
        Detached {
            subscription,
            connection: self.sink,
            seat: self.seat,
            seats: seats.unwrap_or_default(),
            verified,
        }
    }
}

/// Someone who has been granted a subscription, and how to reach them.
#[derive(Debug)]
pub struct NewSubscriber {
    /// Where its bytes go.
    pub sink: Sink,
    /// How they are written.
    pub wire: Wire,
    /// What goes out before the stream: an HTTP response head, or nothing.
    pub head: Bytes,
    /// What it wants.
    pub interest: Arc<Interest>,
    /// How often at most it is sent events; `None` is whenever there are some.
    pub cadence: Option<Cadence>,
    /// Where it begins.
    pub start: Start,
    /// Whether the client holds an event id already.
    pub has_id: bool,
    /// Where it comes from, or the network that counts as one: reading from the log, those of one
    /// address take turns with those of another.
    pub address: IpAddr,
    /// Its place.
    pub seat: Seat,
    /// Under what conditions it may stay; `None` is none.
    pub lease: Option<Box<Lease>>,
}
