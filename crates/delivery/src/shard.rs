//! A shard: one thread, one poller, a roster of subscribers.
//!
//! A turn of its loop: take the inbox, follow the window, give each subscriber whom new frames
//! concern one turn, do a share of what was asked, serve the poller, see to what is due by now.
//!
//! What must hold:
//!
//! - A subscriber whose cursor is [`Cursor::Live`] has been handed everything before `self.offset`,
//!   which is the end of the ring unless the shard is behind.
//! - The inbox is taken before the window is followed: whoever joins from it was given a position
//!   that the followed ring reaches, so that nobody receives what was published before. Where the
//!   shard has not come to it, the newcomer waits.
//! - Each turn does a bounded amount of each kind of work, live delivery first.

mod agenda;
mod arrival;
#[cfg(test)]
mod bounds;
mod catch_up;
mod concerned;
mod cuts;
mod drain;
mod expiries;
mod farewell;
mod follow;
#[cfg(test)]
mod granted;
mod heartbeat;
mod matcher;
#[cfg(test)]
mod model;
mod roster;
mod stalls;
pub(crate) mod token;
mod topic_index;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::{Position, Timestamp};
use fanfare_hub::{Ring, Window};
use fanfare_log::ReadFrom;
use fanfare_sse::{Encoded, comment};
use mio::{Events, Interest as Readiness, Poll, Token, Waker};

use self::agenda::Agenda;
use self::concerned::Concerned;
use self::cuts::Cuts;
use self::drain::Drain;
use self::expiries::Expiries;
use self::heartbeat::Walk;
pub(crate) use self::roster::Roster;
use self::stalls::Stalls;
use crate::arrears::{Pace, Verdict};
use crate::body::Signal;
use crate::counters::{CloseReason, Totals};
use crate::delivery::DeliverySettings;
use crate::inbox::{Command, ShardHandle};
use crate::readers::Readers;
use crate::retry::Retry;
use crate::sink::{Heard, Sink};
use crate::subscriber::{Cursor, Subscriber, Turn};

/// The poller's word that the inbox or the window has news.
const NEWS: Token = Token(usize::MAX);
/// How many readiness events one turn takes.
const EVENTS: usize = 1024;
/// How many subscribers that want another turn get one before the poller is asked again.
const QUEUED_A_TURN: usize = 256;
/// How often housekeeping is done: lag, retried reads, ids that grow stale.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// How often a drain closes a few.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// How many blocked subscribers are looked at to find the slowest.
const LAG_SAMPLE: usize = 10_000;

pub(crate) struct Shard {
    handle: Arc<ShardHandle>,
    poll: Poll,
    window: Arc<Window>,
    readers: Arc<Readers>,
    ring: Ring,
    /// Up to where the window has been processed, and the position of the last frame before it.
    offset: u64,
    position: Position,
    roster: Roster,
    /// Whom what is being delivered concerns.
    concerned: Concerned,
    stalls: Stalls,
    expiries: Expiries,
    cuts: Cuts,
    agenda: Agenda,
    /// Who wants another turn.
    queue: VecDeque<Token>,
    /// Whose read failed and is to be tried again.
    unread: Vec<Token>,
    totals: Totals,
    retry: Retry,
    walk: Walk,
    housekept: Instant,
    drain: Option<Drain>,
    keepalive: Encoded,
}

impl Shard {
    pub(crate) fn new(
        window: Arc<Window>,
        readers: Arc<Readers>,
        settings: &DeliverySettings,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), NEWS)?;
        let mut ring = Ring::new(Position::ORIGIN);
        window.follow(&mut ring);
        let now = Instant::now();
        Ok(Self {
            handle: Arc::new(ShardHandle::new(waker)),
            poll,
            window,
            readers,
            offset: ring.end(),
            position: ring.position_before(ring.end()),
            ring,
            roster: Roster::default(),
            concerned: Concerned::default(),
            stalls: Stalls::new(Pace { timeout: settings.write_timeout, rate: settings.min_rate }),
            expiries: Expiries::default(),
            cuts: Cuts::default(),
            agenda: Agenda::default(),
            queue: VecDeque::new(),
            unread: Vec::new(),
            totals: Totals::default(),
            retry: settings.retry,
            walk: Walk::new(settings.heartbeat, now),
            housekept: now,
            drain: None,
            keepalive: comment(),
        })
    }

    pub(crate) fn handle(&self) -> Arc<ShardHandle> {
        Arc::clone(&self.handle)
    }

    /// Runs until a drain is complete.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard's poller failed");
            }
            if self.revolve(&events, Instant::now()) {
                return;
            }
        }
    }

    /// One turn of the loop. True once there is nothing more to do, ever.
    fn revolve(&mut self, events: &Events, now: Instant) -> bool {
        self.agenda.extend(self.handle.take());
        self.follow(now);
        for command in self.agenda.share() {
            self.obey(command, now);
        }
        for event in events {
            if event.token() != NEWS {
                self.hear(event, now);
            }
        }
        self.serve_queue(now);
        self.see_to_what_is_due(now);
        let drained = self.drain(now) && self.agenda.is_empty();
        self.handle.publish(&self.totals);
        drained && self.handle.close()
    }

    fn see_to_what_is_due(&mut self, now: Instant) {
        self.expire(now);
        self.end_stalls(now);
        self.housekeep(now);
        self.heartbeat(now);
    }

    /// How long the poller may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.queue.is_empty() || !self.agenda.is_empty() || self.is_behind() {
            Some(Duration::ZERO)
        } else if self.drain.is_some() {
            Some(DRAIN_STEP)
        } else if self.roster.is_empty() {
            None
        } else {
            let step = self.walk.patience();
            let expiry =
                self.expiries.next().map(|at| at.saturating_duration_since(Instant::now()));
            Some(expiry.map_or(step, |expiry| expiry.min(step)))
        }
    }

    /// Gives one subscriber a turn.
    fn turn(&mut self, token: Token, now: Instant) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        // While a page is on its way, the cursor belongs to it.
        let turned = if subscriber.reading.is_some() || subscriber.is_closing() {
            subscriber.send_aside(Bytes::new(), now, &mut self.totals)
        } else {
            subscriber.turn(&self.ring, self.offset, now, &mut self.totals)
        };
        self.window.shed();
        self.settle(token, turned, now);
    }

    /// Acts on how a turn ended.
    fn settle(&mut self, token: Token, turned: io::Result<Turn>, now: Instant) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        let turn = match turned {
            Ok(turn) => turn,
            Err(error) => {
                tracing::trace!(%error, "a subscriber's connection failed");
                return self.remove(token, CloseReason::ConnectionError);
            }
        };
        if let Some(reason) = subscriber.closing.filter(|_| subscriber.is_clear()) {
            return self.remove(token, reason);
        }
        match turn {
            Turn::CaughtUp => {}
            Turn::Yielded => {
                if !subscriber.queued && subscriber.reading.is_none() {
                    subscriber.queued = true;
                    self.queue.push_back(token);
                }
            }
            Turn::NeedsLog => self.read_on(token),
            Turn::Blocked => {
                if !subscriber.stalled {
                    subscriber.stalled = true;
                    self.stalls.insert(token, subscriber.deadline(self.stalls.pace(), now));
                }
            }
        }
        debug_assert!(
            self.roster.get(token).is_none_or(|subscriber| !subscriber.is_forgotten()),
            "behind, and nothing will wake it"
        );
        self.arm(token);
    }

    /// Asks the poller for word of writability exactly while a socket is blocked.
    fn arm(&mut self, token: Token) {
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        if subscriber.blocked == subscriber.armed {
            return;
        }
        let Sink::Socket(socket) = &mut subscriber.sink else { return };
        let wanted = if subscriber.blocked {
            Readiness::READABLE | Readiness::WRITABLE
        } else {
            Readiness::READABLE
        };
        match self.poll.registry().reregister(socket, token, wanted) {
            Ok(()) => subscriber.armed = subscriber.blocked,
            Err(error) => {
                tracing::warn!(%error, "a subscriber's socket could not be watched");
                self.remove(token, CloseReason::ConnectionError);
            }
        }
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join(subscriber) => self.join(*subscriber, now),
            Command::Read(token, read) => self.take_read(token, read, now),
            Command::Signal(token, Signal::Room) => self.turn(token, now),
            Command::Signal(token, Signal::Gone) => self.remove(token, CloseReason::ClientGone),
            Command::Cut(cuts, done) => done(self.cut(&cuts, now)),
            Command::Reverify(at, done) => done(self.reverify(at, now)),
            Command::Drain(over) => {
                self.drain = Some(Drain::begin(now, over, self.roster.len()));
            }
            Command::List(query, reply) => {
                let lag = |subscriber: &Subscriber| self.lag(subscriber);
                reply(query.answer(&self.roster, now, lag));
            }
            Command::Count(topics, reply) => {
                reply(topics.iter().map(|topic| self.roster.count(topic)).collect());
            }
            Command::CutOne(token, reply) => reply(self.cut_one(token, now)),
        }
    }

    /// Reacts to what the poller says of a socket.
    fn hear(&mut self, event: &mio::event::Event, now: Instant) {
        let token = event.token();
        let Some(subscriber) = self.roster.get_mut(token) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            let reason = match subscriber.sink.discard() {
                Heard::Nothing => None,
                Heard::End => Some(CloseReason::ClientGone),
                Heard::Error => Some(CloseReason::ConnectionError),
                Heard::Flood => Some(CloseReason::ClientTalks),
            };
            if let Some(reason) = reason {
                return self.remove(token, reason);
            }
        }
        if event.is_writable() && subscriber.blocked {
            self.turn(token, now);
        }
    }

    fn serve_queue(&mut self, now: Instant) {
        let count = self.queue.len().min(QUEUED_A_TURN);
        for token in self.queue.drain(..count).collect::<Vec<_>>() {
            if let Some(subscriber) = self.roster.get_mut(token) {
                subscriber.queued = false;
                self.turn(token, now);
            }
        }
    }

    fn remove(&mut self, token: Token, reason: CloseReason) {
        let Some(subscriber) = self.roster.remove(token) else { return };
        if let Sink::Body(body) = &subscriber.sink
            && subscriber.is_closing()
            && subscriber.is_clear()
        {
            body.finish();
        }
        if let Some(at) = subscriber.lease.as_deref().and_then(|lease| lease.expires) {
            self.expiries.remove(token, at);
        }
        self.totals.closed[reason.index()] += 1;
    }

    /// Ends those who have been blocked for too long, or have taken too little.
    fn end_stalls(&mut self, now: Instant) {
        while let Some(token) = self.stalls.pop_due(now) {
            let Some(subscriber) = self.roster.get_mut(token) else { continue };
            subscriber.stalled = false;
            if !subscriber.blocked {
                continue;
            }
            match subscriber.judge(self.stalls.pace(), now) {
                Verdict::Silent => self.remove(token, CloseReason::WriteTimeout),
                Verdict::TooSlow => self.remove(token, CloseReason::TooSlow),
                Verdict::Until(deadline) => {
                    subscriber.stalled = true;
                    self.stalls.insert(token, deadline);
                }
            }
        }
    }

    /// What need not be done at every turn.
    fn housekeep(&mut self, now: Instant) {
        if now - self.housekept < HOUSEKEEPING {
            return;
        }
        self.housekept = now;
        for token in std::mem::take(&mut self.unread) {
            if let Some(subscriber) = self.roster.get_mut(token) {
                subscriber.unread = false;
                self.turn(token, now);
            }
        }
        self.walk.refresh(self.window.stale_before(Timestamp::now()));
        let blocked = self.stalls.tokens().take(LAG_SAMPLE);
        let lags = blocked.filter_map(|token| self.roster.get(token)).map(|s| self.lag(s));
        self.totals.slowest_lag = lags.max().unwrap_or(0);
    }

    /// How many events a subscriber is behind.
    fn lag(&self, subscriber: &Subscriber) -> u64 {
        let Cursor::At(ReadFrom::After(position)) = subscriber.cursor else { return 0 };
        match self.ring.offset_after(position) {
            Some(offset) => self.offset.saturating_sub(offset),
            // Behind the ring, dense positions tell how far.
            None if self.position.epoch == position.epoch => {
                self.position.seq.saturating_sub(position.seq)
            }
            None => self.offset,
        }
    }
}
