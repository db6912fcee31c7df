//! A subscriber: a sink, an interest and a cursor, and how the log flows through them.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fanfare_event::{Position, Timestamp};
use fanfare_hub::{Gap, Interest, Ring, Slot};
use fanfare_log::ReadFrom;

use crate::address_group::AddressGroup;
use crate::backpressure::{Backpressure, StallPolicy, StallVerdict};
use crate::cadence::Cadence;
use crate::context::Context;
use crate::counters::CloseReason;
use crate::cursor::{Cursor, HeldId};
use crate::heartbeat_interval::HeartbeatInterval;
use crate::lease::Lease;
use crate::now::Now;
use crate::seats::Seat;
use crate::settings::StepLimits;
use crate::sink::Sink;
use crate::stream_format::StreamFormat;
use crate::wire::{Framing, Wire};
use crate::write_batch::{WriteBatch, WriteOutcome};

/// One subscriber: a [`Subscription`](crate::Subscription) under way, and what belongs to this process beside it.
#[derive(Debug)]
pub(crate) struct Subscriber {
    // The subscription. Its wire is taken apart, for there is room for its framing below.
    pub(crate) interest: Arc<Interest>,
    pub(crate) cursor: Cursor,
    pub(crate) held_id: HeldId,
    pub(crate) format: &'static dyn StreamFormat,
    /// The rest, and more; only while it has not taken everything.
    pub(crate) backpressure: Option<Box<Backpressure>>,
    pub(crate) lease: Option<Box<Lease>>,
    /// When it joined.
    pub(crate) joined: Timestamp,
    pub(crate) address_group: AddressGroup,
    pub(crate) cadence: Option<Cadence>,
    pub(crate) framing: Framing,
    /// Why it closes once nothing waits for it any more, if it does.
    pub(crate) closing: Option<CloseReason>,

    // What belongs to this process.
    pub(crate) awaits: Awaits,
    pub(crate) heartbeat_interval: HeartbeatInterval,
    /// Tells this subscriber from others that had its slab entry.
    pub(crate) generation: u32,
    pub(crate) sink: Sink,
    /// A reader is at work for it: the reader's job is of no use once this is gone.
    pub(crate) reading: Option<Arc<()>>,
    pub(crate) seat: Seat,
}

/// What a subscriber waits for, or is listed for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Awaits {
    /// Room: the sink took less than it was offered.
    pub(crate) room: bool,
    /// The poller reports when the sink takes more.
    pub(crate) poller: bool,
    /// Its stall has a deadline.
    pub(crate) deadline: bool,
    /// Another turn.
    pub(crate) turn: bool,
    /// Another attempt to read its page, which could not be read.
    pub(crate) retry: bool,
    /// The end of its pause.
    pub(crate) pause: bool,
}

/// There may be a million of them, and each delivery reads through one: none grows unnoticed.
/// In debug builds the poller's sockets carry a word more.
const _: () =
    assert!(size_of::<Option<Subscriber>>() <= if cfg!(debug_assertions) { 152 } else { 144 });

/// How what there was for a subscriber to be sent came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// It has everything.
    CaughtUp,
    /// The sink takes no more for now.
    Blocked,
    /// It has had its share, or is ahead of its shard; there is more.
    Yielded,
    /// What comes next is no longer in the ring.
    NeedsLog,
    /// What comes next is a loss, for which its format has no words.
    MeetsGap,
}

/// How far a run of slots got.
struct Sent {
    /// Slots before this place are done with: passed over, or handed to the sink.
    reached: u64,
    /// Whether an event was among those handed over.
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
    /// A loss is next that cannot be told.
    Gap,
}

impl Subscriber {
    /// Up to where it has everything, in a shard that has processed the log up to `here`; `None`
    /// while it waits for the first of all there is.
    pub(crate) fn position(&self, here: Position) -> Option<Position> {
        let position = match self.cursor {
            Cursor::Live => here,
            Cursor::At(ReadFrom::After(position)) => position,
            Cursor::At(ReadFrom::Earliest) => return None,
        };
        Some(position).filter(|position| *position > Position::ORIGIN)
    }

    /// Sends what of `slots`, each with its offset, is of a type it wants: what its shard has just
    /// seen, whose topics it is known to want. It has everything before, and afterwards everything
    /// before `end`, unless its sink takes less.
    pub(crate) fn send_live<'a>(
        &mut self,
        slots: impl Iterator<Item = (u64, &'a Slot)>,
        ring: &Ring,
        end: u64,
        context: &mut Context<'_>,
    ) -> io::Result<SendOutcome> {
        let wants = |interest: &Interest, slot: &Slot, _: &mut usize| interest.wants_type(slot);
        // Bounded by what a shard collects before it writes.
        let sent = self.send(slots, end..end, usize::MAX, wants, context)?;
        Ok(self.advance(&sent, ring, end, context))
    }

    /// Sends what the ring holds for it from where it stands up to `end`.
    pub(crate) fn send_from_ring(
        &mut self,
        ring: &Ring,
        end: u64,
        context: &mut Context<'_>,
    ) -> io::Result<SendOutcome> {
        let offset = match self.cursor {
            Cursor::Live => Some(end),
            Cursor::At(ReadFrom::After(position)) => ring.offset_after(position),
            Cursor::At(ReadFrom::Earliest) => None,
        };
        // What waits goes out even when the log must be asked for what follows, or when the shard
        // has not come to where it stands.
        let Some(offset) = offset else { return self.flush(SendOutcome::NeedsLog, context) };
        if offset > end {
            return self.flush(SendOutcome::Yielded, context);
        }
        let scan = context.limits.turn_scan;
        let slots = (offset..end).zip(ring.from(offset));
        let sent = self.send(slots, offset..end, scan, Interest::wants_counted, context)?;
        Ok(self.advance(&sent, ring, end, context))
    }

    /// Sends a page that was read from the log for it. What the sink does not take is dropped and
    /// will be read again, so that a slow subscriber holds no page.
    pub(crate) fn send_page(
        &mut self,
        gap: Option<&Gap>,
        slots: &[Slot],
        next: ReadFrom,
        context: &mut Context<'_>,
    ) -> io::Result<SendOutcome> {
        if let Some(gap) = gap {
            let bytes = self.wire().gap(gap);
            self.backpressure(context).push(bytes);
            self.cursor = Cursor::At(ReadFrom::After(gap.resumed_from));
        }
        let wants = |_: &Interest, _: &Slot, _: &mut usize| true;
        let places = 0..slots.len() as u64;
        let sent = self.send((0..).zip(slots), places, usize::MAX, wants, context)?;
        if sent.any {
            self.hold_id(HeldId::OLD);
        }
        match sent.stop {
            Stop::End => self.cursor = Cursor::At(next),
            Stop::Blocked | Stop::Budget | Stop::Gap => {
                if let Some(last) = sent.reached.checked_sub(1) {
                    let position = slots[last as usize].frame.position();
                    self.cursor = Cursor::At(ReadFrom::After(position));
                }
            }
        }
        Ok(self.outcome(&sent, SendOutcome::Yielded, context))
    }

    /// Sends bytes that are not part of the log, after those that must go first; none at all where
    /// only those are to be sent.
    pub(crate) fn send_out_of_band(
        &mut self,
        bytes: Bytes,
        context: &mut Context<'_>,
    ) -> io::Result<SendOutcome> {
        self.backpressure(context).push(bytes);
        // Having sent this says nothing of the log: who was behind still is.
        let done =
            if self.cursor == Cursor::Live { SendOutcome::CaughtUp } else { SendOutcome::Yielded };
        self.flush(done, context)
    }

    /// Adds the last bytes. The subscriber is to be removed once nothing waits for it.
    pub(crate) fn begin_close(
        &mut self,
        bytes: Bytes,
        reason: CloseReason,
        context: &mut Context<'_>,
    ) -> io::Result<SendOutcome> {
        self.closing = Some(reason);
        self.send_out_of_band(bytes, context)
    }

    /// Has the sink say that nothing more comes; whether that has gone.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let finished = self.sink.finish(context.scratch, context.now.monotonic)?;
        self.awaits.room = !finished;
        Ok(finished)
    }

    /// Whether it has to end before a loss, which could only be passed over in silence: its head told of none, or what
    /// the loss is behind an event that was sent since.
    pub(crate) fn ends_at_gap(&self, behind_event: bool) -> bool {
        let told = self.backpressure.as_ref().is_some_and(|backpressure| backpressure.gap_told);
        let knows = told && !behind_event;
        !knows && !self.format.tells_gaps()
    }

    /// Whether it is on its way out.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether nothing waits to go out before the next event.
    pub(crate) fn is_clear(&self) -> bool {
        self.rest().is_empty() && !self.awaits.room
    }

    /// What waits to go out before the next event.
    pub(crate) fn rest(&self) -> &[Bytes] {
        self.backpressure.as_ref().map_or(&[], |backpressure| backpressure.rest())
    }

    /// How its stream is written.
    pub(crate) fn wire(&self) -> Wire {
        Wire::new(self.format, self.framing)
    }

    /// How many bytes it is worth offering at once: about as many again as it took last.
    pub(crate) fn offer(&self, limits: &StepLimits) -> usize {
        let backpressure = self.backpressure.as_ref();
        backpressure.map_or(limits.write_bytes, |backpressure| backpressure.offer())
    }

    /// When it is to be judged, if it is still blocked then.
    pub(crate) fn stall_deadline(&self, policy: StallPolicy, now: Now) -> Instant {
        let backpressure = self.backpressure.as_ref();
        backpressure.map_or(now.monotonic, |backpressure| backpressure.deadline(policy))
    }

    /// Whether it may stay, blocked as it is.
    pub(crate) fn judge_stall(
        &mut self,
        policy: StallPolicy,
        now: Now,
        limits: &StepLimits,
    ) -> StallVerdict {
        let passed_on = self.sink.passed_on();
        let backpressure = backpressure(&mut self.backpressure, now, limits);
        if let Some((bytes, at)) = passed_on {
            backpressure.passed_on(bytes, at);
        }
        backpressure.judge(policy, now.monotonic)
    }

    /// Sends what waits.
    fn flush(&mut self, done: SendOutcome, context: &mut Context<'_>) -> io::Result<SendOutcome> {
        let wants = |_: &Interest, _: &Slot, _: &mut usize| false;
        let sent = self.send(std::iter::empty(), 0..0, usize::MAX, wants, context)?;
        Ok(self.outcome(&sent, done, context))
    }

    /// Takes note of how far it got on the way to `end`.
    fn advance(
        &mut self,
        sent: &Sent,
        ring: &Ring,
        end: u64,
        context: &Context<'_>,
    ) -> SendOutcome {
        let reached = match sent.stop {
            Stop::End => end,
            Stop::Blocked | Stop::Budget | Stop::Gap => sent.reached,
        };
        // One that is blocked and has been handed everything is not behind: nothing need be
        // looked through for it before something concerns it.
        self.cursor = if reached == end && !matches!(sent.stop, Stop::Budget) {
            Cursor::Live
        } else {
            Cursor::At(ReadFrom::After(ring.position_before(reached)))
        };
        if sent.any {
            self.hold_id(HeldId::at(reached));
        }
        self.outcome(sent, SendOutcome::CaughtUp, context)
    }

    /// It has been sent an event, with its id.
    fn hold_id(&mut self, id: HeldId) {
        self.held_id = id;
        if let Some(backpressure) = &mut self.backpressure {
            backpressure.gap_told = false;
        }
    }

    fn outcome(&mut self, sent: &Sent, done: SendOutcome, context: &Context<'_>) -> SendOutcome {
        self.awaits.room = matches!(sent.stop, Stop::Blocked);
        let now = context.now.monotonic;
        if self.awaits.room {
            self.backpressure(context).block(sent.at_last, sent.bytes, now, context.limits);
            return SendOutcome::Blocked;
        }
        if let Some(backpressure) = &mut self.backpressure {
            backpressure.unblock(now);
        }
        match sent.stop {
            Stop::Budget => SendOutcome::Yielded,
            Stop::Gap => SendOutcome::MeetsGap,
            Stop::End | Stop::Blocked => {
                if done == SendOutcome::CaughtUp {
                    self.backpressure = None;
                }
                done
            }
        }
    }

    /// Whether it is behind and nothing will ever wake it, which must not be.
    pub(crate) fn is_forgotten(&self) -> bool {
        let Awaits { room, turn, retry, pause, .. } = self.awaits;
        let awaited = room || turn || retry || pause || self.reading.is_some();
        !(awaited || self.is_closing() || self.cursor == Cursor::Live)
    }

    fn backpressure(&mut self, context: &Context<'_>) -> &mut Backpressure {
        backpressure(&mut self.backpressure, context.now, context.limits)
    }

    /// Hands the sink what waits and then whatever of `slots` the subscriber wants, in writes of
    /// many frames. Each slot comes with its place among `places`; what stands between them is not
    /// its concern. At most `scan` slots are looked at, or fewer where it takes more to see whether they are wanted.
    fn send<'a>(
        &mut self,
        mut slots: impl Iterator<Item = (u64, &'a Slot)>,
        places: Range<u64>,
        scan: usize,
        wants: impl Fn(&Interest, &Slot, &mut usize) -> bool,
        context: &mut Context<'_>,
    ) -> io::Result<Sent> {
        let (wire, limits) = (self.wire(), context.limits);
        let (mut passed, mut seen) = (0, places.start);
        let (mut turn_bytes, mut any) = (0, false);
        loop {
            let (mut exhausted, mut meets_gap, mut behind_event) = (false, false, any);
            let (offered, written) = {
                let backpressure = self.backpressure.as_deref();
                let rest = backpressure.map_or(&[][..], Backpressure::rest);
                let mut batch = WriteBatch::of(rest);
                let offer = self.offer(limits);
                while batch.len() < limits.write_buffers && batch.bytes() < offer && passed < scan {
                    let Some((place, slot)) = slots.next() else {
                        (exhausted, seen) = (true, places.end);
                        break;
                    };
                    passed += 1;
                    seen = place + 1;
                    if wants(&self.interest, slot, &mut passed) {
                        let is_gap = slot.frame.gap().is_some();
                        if is_gap && self.ends_at_gap(behind_event) {
                            (meets_gap, seen) = (true, place);
                            break;
                        }
                        behind_event |= !is_gap;
                        batch.push(wire.event(&slot.frame), place);
                    }
                }
                // One that waits for room is written to all the same: it may hold something back.
                let offered = !batch.is_empty();
                let written = if offered || self.awaits.room {
                    Some(batch.write(&mut self.sink, context.scratch, context.now.monotonic)?)
                } else {
                    None
                };
                (offered, written)
            };
            let mut stop = if meets_gap { Some(Stop::Gap) } else { exhausted.then_some(Stop::End) };
            let mut reached = seen;
            let at_last = written.as_ref().map_or(0, |written| written.bytes);
            if let Some(WriteOutcome { bytes, of_rest, handed, next, begun, blocked }) = written {
                context.totals.writes += u64::from(offered);
                context.totals.bytes += bytes as u64;
                turn_bytes += bytes;
                context.totals.deliveries += handed as u64;
                any |= handed > 0;
                self.awaits.room = blocked;
                if blocked {
                    stop = Some(Stop::Blocked);
                    reached = next.unwrap_or(seen);
                }
                if let Some(backpressure) = &mut self.backpressure {
                    backpressure.advance(of_rest);
                }
                if let Some(begun) = begun {
                    self.backpressure(context).push(begun);
                }
            }
            if stop.is_none() && (passed >= scan || turn_bytes >= limits.turn_bytes) {
                stop = Some(Stop::Budget);
            }
            if !matches!(stop, Some(Stop::Blocked))
                && let Some(backpressure) = &mut self.backpressure
            {
                backpressure.took(at_last, limits);
            }
            if let Some(stop) = stop {
                *context.scanned += passed;
                return Ok(Sent { reached, any, bytes: turn_bytes, at_last, stop });
            }
        }
    }
}

fn backpressure<'a>(
    kept: &'a mut Option<Box<Backpressure>>,
    now: Now,
    limits: &StepLimits,
) -> &'a mut Backpressure {
    kept.get_or_insert_with(|| Box::new(Backpressure::new(now.monotonic, limits)))
}
