//! A shard: one thread, one poller, a slab of subscribers.
//!
//! A turn of its loop: take the inbox, follow the window, mark whom the new frames concern, give
//! each marked subscriber one turn, serve the inbox, serve the poller, walk a slice of the slab.
//!
//! What must hold:
//!
//! - A subscriber whose cursor is [`Cursor::Live`] has everything before `self.offset`; outside
//!   [`Shard::follow`] that is the end of the ring.
//! - The inbox is taken before the window is followed: whoever joins from it was given a position
//!   that the followed ring reaches, so that nobody receives what was published before.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::{Position, Timestamp};
use fanfare_hub::{Ring, Window, fresh_cursor};
use fanfare_log::{ReadError, ReadFrom};
use fanfare_sse::{Encoded, Fields, LAST_CHUNK, comment, encode, opening, retry};
use mio::{Events, Interest as Readiness, Poll, Token, Waker};
use slab::Slab;

use crate::body::Signal;
use crate::counters::{CloseReason, Totals};
use crate::cuts::Cuts;
use crate::delivery::{DeliverySettings, NewSubscriber};
use crate::drain::Drain;
use crate::expiries::Expiries;
use crate::inbox::{Command, ShardHandle};
use crate::readers::{Job, Page, Readers};
use crate::retry::Retry;
use crate::sink::{Framing, Heard, Sink};
use crate::stalls::Stalls;
use crate::subscriber::{Cursor, Subscriber, Turn};
use crate::token::{entry, find, generation, token};
use crate::topic_index::TopicIndex;

/// The poller's word that the inbox or the window has news.
const NEWS: Token = Token(usize::MAX);
/// How many readiness events one turn takes.
const EVENTS: usize = 1024;
/// How many subscribers that want another turn get one before the poller is asked again.
const QUEUED_A_TURN: usize = 256;
/// How many entries one step looks at for stale ids.
const REFRESHED_A_STEP: usize = 512;
/// How many steps the heartbeat walk takes for one pass over the slab.
const SLICES: u32 = 64;
/// How often the walk steps at least, and at most.
const STEP: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// A subscriber that joined less than this part of a heartbeat ago is left for the next pass.
const NEWCOMER: u32 = 8;
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
    subscribers: Slab<Subscriber>,
    generation: u32,
    index: TopicIndex,
    stalls: Stalls,
    expiries: Expiries,
    cuts: Cuts,
    /// Who wants another turn.
    queue: Vec<Token>,
    /// Whose read failed and is to be tried again.
    unread: Vec<Token>,
    totals: Totals,
    heartbeat: Duration,
    retry: Retry,
    walk: Walk,
    housekept: Instant,
    drain: Option<Drain>,
    keepalive: Encoded,
}

/// The walk over the slab that sees to every subscriber once in a heartbeat.
struct Walk {
    began: Instant,
    /// The next entry to look at.
    entry: usize,
    /// Before which offset ids were last seen to be stale.
    stale_before: u64,
    /// How long this pass takes.
    length: Duration,
    /// The next entry to look at for a stale id, while some are looked for.
    refreshing: Option<usize>,
}

impl Walk {
    /// A pass that takes a heartbeat, or up to a fifth less: shards and hubs that began together
    /// do not stay in step.
    fn begin(&mut self, now: Instant, heartbeat: Duration) {
        self.began = now;
        self.entry = 0;
        self.length = heartbeat.mul_f64(0.8 + 0.2 * fastrand::f64());
    }
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
            subscribers: Slab::new(),
            generation: 0,
            index: TopicIndex::default(),
            stalls: Stalls::new(settings.write_timeout),
            expiries: Expiries::default(),
            cuts: Cuts::default(),
            queue: Vec::new(),
            unread: Vec::new(),
            totals: Totals::default(),
            heartbeat: settings.heartbeat,
            retry: settings.retry,
            walk: Walk {
                began: now,
                entry: 0,
                stale_before: 0,
                length: settings.heartbeat,
                refreshing: None,
            },
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
            let inbox = self.handle.take();
            self.follow();
            let now = Instant::now();
            for command in inbox {
                self.obey(command, now);
            }
            for event in &events {
                if event.token() != NEWS {
                    self.hear(event, now);
                }
            }
            self.serve_queue(now);
            self.step(now);
            let drained = self.drain_step(now);
            self.handle.publish(&self.totals);
            if drained && self.handle.close() {
                return;
            }
        }
    }

    /// How long the poller may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            Some(Duration::ZERO)
        } else if self.walk.refreshing.is_some() {
            Some(STEP.0)
        } else if self.drain.is_some() {
            Some(DRAIN_STEP)
        } else if self.subscribers.is_empty() {
            None
        } else {
            let step = (self.heartbeat / SLICES).clamp(STEP.0, STEP.1);
            let expiry =
                self.expiries.next().map(|at| at.saturating_duration_since(Instant::now()));
            Some(expiry.map_or(step, |expiry| expiry.min(step)))
        }
    }

    /// Processes what the window has that is new: marks whom it concerns, then gives each of them
    /// one turn, with everything there is for it in as few writes as possible.
    fn follow(&mut self) {
        let before = self.offset;
        self.window.follow(&mut self.ring);
        if self.ring.end() == before {
            // The log may have begun just now.
            self.position = self.ring.position_before(before);
            return;
        }
        if self.ring.base() > before {
            // The window has moved on by more than it holds while this shard was busy. Those who
            // are behind already have something that will wake them.
            for (entry, subscriber) in &mut self.subscribers {
                if subscriber.cursor == Cursor::Live {
                    subscriber.cursor = Cursor::At(ReadFrom::After(self.position));
                    subscriber.queued = true;
                    self.queue.push(token(entry, subscriber.generation));
                }
            }
        }
        let mut marked = Vec::new();
        let first = before.max(self.ring.base());
        for (offset, slot) in (first..).zip(self.ring.from(first)) {
            let gap = slot.frame.gap();
            let mut mark = |token: Token, subscriber: &mut Subscriber| {
                if subscriber.cursor == Cursor::Live
                    && !subscriber.marked
                    && !subscriber.is_closing()
                {
                    subscriber.marked = true;
                    marked.push((token, offset));
                    if let Some(gap) = gap {
                        self.totals.gaps[gap.reason.index()] += 1;
                    }
                }
            };
            if let Some(event) = slot.frame.event() {
                self.index.visit(&event.topic, |token| {
                    if let Some(subscriber) = find(&mut self.subscribers, token) {
                        mark(token, subscriber);
                    }
                });
            } else {
                for (entry, subscriber) in &mut self.subscribers {
                    mark(token(entry, subscriber.generation), subscriber);
                }
            }
        }
        self.offset = self.ring.end();
        self.position = self.ring.position_before(self.offset);
        let now = Instant::now();
        for (token, offset) in marked {
            self.turn(token, Some(offset), now);
        }
    }

    /// Gives one subscriber a turn. From `offset`, where it is caught up but for that.
    fn turn(&mut self, token: Token, offset: Option<u64>, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        subscriber.marked = false;
        // While a page is on its way, the cursor belongs to it.
        let turned = if subscriber.reading || subscriber.is_closing() {
            subscriber.send_aside(&Bytes::new(), &mut self.totals)
        } else {
            subscriber.turn(&self.ring, offset, &mut self.totals)
        };
        // By far the most turns end so, and there is nothing to act on.
        if matches!(turned, Ok(Turn::CaughtUp)) && !subscriber.armed && !subscriber.is_closing() {
            return;
        }
        self.settle(token, turned, now);
    }

    /// Acts on how a turn ended.
    fn settle(&mut self, token: Token, turned: io::Result<Turn>, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
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
                if !subscriber.queued && !subscriber.reading {
                    subscriber.queued = true;
                    self.queue.push(token);
                }
            }
            Turn::NeedsLog => self.read_on(token),
            Turn::Blocked { progressed } => {
                if progressed {
                    subscriber.progressed = now;
                }
                if !subscriber.stalled {
                    subscriber.stalled = true;
                    self.stalls.insert(token, subscriber.progressed);
                }
            }
        }
        debug_assert!(
            find(&mut self.subscribers, token).is_none_or(|s| !s.is_forgotten()),
            "behind, and nothing will wake it"
        );
        self.arm(token);
    }

    /// Asks the poller for word of writability exactly while a socket is blocked.
    fn arm(&mut self, token: Token) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
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

    /// Has the log read for a subscriber that the ring cannot serve.
    fn read_on(&mut self, token: Token) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        let Cursor::At(from) = subscriber.cursor else { return };
        if subscriber.reading {
            return;
        }
        subscriber.reading = true;
        let handle = Arc::clone(&self.handle);
        self.readers.submit(Job {
            from,
            interest: Arc::clone(&subscriber.interest),
            envelope: subscriber.envelope(),
            done: Box::new(move |read| handle.send(Command::Read(token, read))),
        });
    }

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join(subscriber) => self.join(*subscriber, now),
            Command::Read(token, read) => self.take_read(token, read, now),
            Command::Signal(token, Signal::Room) => self.turn(token, None, now),
            Command::Signal(token, Signal::Gone) => self.remove(token, CloseReason::ClientGone),
            Command::Cut(subject, done) => done(self.cut(&subject, now)),
            Command::Drain(over) => {
                self.drain = Some(Drain::begin(now, over, self.subscribers.len()));
            }
            Command::List(query, reply) => {
                let lag = |subscriber: &Subscriber| self.lag(subscriber);
                reply(query.answer(&self.subscribers, now, lag));
            }
            Command::Count(topics, reply) => {
                reply(topics.iter().map(|topic| self.index.count(topic)).collect());
            }
            Command::CutOne(token, reply) => {
                let known = find(&mut self.subscribers, token).is_some_and(|s| !s.is_closing());
                if known {
                    self.dismiss(token, None, CloseReason::Cut, now);
                }
                reply(known);
            }
        }
    }

    fn join(&mut self, new: NewSubscriber, now: Instant) {
        let NewSubscriber {
            mut sink,
            framing,
            head,
            interest,
            envelope,
            start,
            has_id,
            seat,
            lease,
        } = new;
        let mut beginning = head.to_vec();
        let mut add = |encoded: &Encoded| beginning.extend_from_slice(framed(encoded, framing));
        add(&opening(self.retry.pick()));
        if let Some(gap) = &start.gap {
            add(&gap.encode());
            self.totals.gaps[gap.reason.index()] += 1;
        }
        let refreshed = match start.from {
            _ if start.gap.is_some() => Some(self.ring.end()),
            ReadFrom::After(position) if has_id => {
                Some(self.ring.offset_after(position).unwrap_or(0))
            }
            _ => None,
        };
        self.generation = self.generation.wrapping_add(1);
        let entry = self.subscribers.vacant_entry();
        let token = token(entry.key(), self.generation);
        match &mut sink {
            Sink::Socket(socket) => {
                if let Err(error) =
                    self.poll.registry().register(socket, token, Readiness::READABLE)
                {
                    tracing::warn!(%error, "a subscriber's socket could not be watched");
                    self.totals.closed[CloseReason::ConnectionError.index()] += 1;
                    return;
                }
            }
            Sink::Body(body) => {
                let handle = Arc::clone(&self.handle);
                body.on_signal(Arc::new(move |signal| {
                    handle.send(Command::Signal(token, signal));
                }));
            }
        }
        self.index.insert(&interest.selector().topics, token);
        entry.insert(Subscriber::new(
            sink,
            framing,
            envelope,
            interest,
            start.from,
            refreshed,
            beginning.into(),
            self.generation,
            seat,
            lease,
            now,
        ));
        if self.admit(token) {
            self.turn(token, None, now);
        } else {
            self.dismiss(token, None, CloseReason::Revoked, now);
        }
    }

    /// Notes when a subscriber's lease ends; false if its subject has been cut meanwhile.
    fn admit(&mut self, token: Token) -> bool {
        let subscriber = find(&mut self.subscribers, token);
        let Some(lease) = subscriber.and_then(|subscriber| subscriber.lease.as_deref()) else {
            return true;
        };
        if let Some(at) = lease.expires {
            self.expiries.insert(token, at);
        }
        lease.subject.as_deref().is_none_or(|subject| !self.cuts.hit(subject, lease.verified))
    }

    /// Ends all streams of `subject`; how many those were. Looks at every subscriber: this is
    /// rare, and an index would cost each of them memory.
    fn cut(&mut self, subject: &Arc<str>, now: Instant) -> usize {
        self.cuts.insert(Arc::clone(subject), now);
        let is_theirs = |subscriber: &Subscriber| {
            let lease = subscriber.lease.as_deref();
            lease.is_some_and(|lease| lease.subject.as_ref() == Some(subject))
                && !subscriber.is_closing()
        };
        let theirs = self.subscribers.iter().filter(|(_, subscriber)| is_theirs(subscriber));
        let theirs: Vec<_> = theirs.map(|(entry, s)| token(entry, s.generation)).collect();
        for token in &theirs {
            self.dismiss(*token, None, CloseReason::Revoked, now);
        }
        theirs.len()
    }

    /// Ends the streams whose lease has run out, each with word of it.
    fn expire(&mut self, now: Instant) {
        while let Some(token) = self.expiries.pop_due(now) {
            let Some(subscriber) = find(&mut self.subscribers, token) else { continue };
            if subscriber.is_closing() {
                continue;
            }
            let position = match subscriber.cursor {
                Cursor::Live => self.position,
                Cursor::At(ReadFrom::After(position)) => position,
                Cursor::At(ReadFrom::Earliest) => Position::ORIGIN,
            };
            let id = position.to_string();
            let notice = encode(Fields { id: &id, event: Some("fanfare.expired"), data: "{}" });
            self.dismiss(token, Some(&notice), CloseReason::Expired, now);
        }
    }

    /// Ends a stream in good order: what was begun is finished, `notice` and when to come back
    /// follow, and nothing of the log any more.
    fn dismiss(
        &mut self,
        token: Token,
        notice: Option<&Encoded>,
        reason: CloseReason,
        now: Instant,
    ) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        let framing = subscriber.framing();
        let mut last = notice.map_or_else(Vec::new, |notice| framed(notice, framing).to_vec());
        last.extend_from_slice(framed(&retry(self.retry.pick()), framing));
        if framing == Framing::Chunked {
            last.extend_from_slice(LAST_CHUNK);
        }
        let turned = subscriber.bid_farewell(&last.into(), reason, &mut self.totals);
        self.settle(token, turned, now);
    }

    fn take_read(&mut self, token: Token, read: Result<Page, ReadError>, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        subscriber.reading = false;
        if subscriber.is_closing() {
            return;
        }
        let page = match read {
            Ok(page) => page.catchup,
            Err(error) => {
                tracing::debug!(%error, "a subscriber's catching up has to wait");
                subscriber.unread = true;
                self.unread.push(token);
                return;
            }
        };
        self.totals.pages += 1;
        let gap = page.gap.map(|gap| {
            self.totals.gaps[gap.reason.index()] += 1;
            (framed_bytes(&gap.encode(), subscriber.framing()), gap.resumed_from)
        });
        let next = ReadFrom::After(page.next);
        let turned = subscriber.take_page(gap, &page.slots, next, &mut self.totals);
        self.settle(token, turned, now);
    }

    /// Reacts to what the poller says of a socket.
    fn hear(&mut self, event: &mio::event::Event, now: Instant) {
        let token = event.token();
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
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
            self.turn(token, None, now);
        }
    }

    fn serve_queue(&mut self, now: Instant) {
        let count = self.queue.len().min(QUEUED_A_TURN);
        for token in self.queue.drain(..count).collect::<Vec<_>>() {
            if let Some(subscriber) = find(&mut self.subscribers, token) {
                subscriber.queued = false;
                self.turn(token, None, now);
            }
        }
    }

    fn remove(&mut self, token: Token, reason: CloseReason) {
        if find(&mut self.subscribers, token).is_none() {
            return;
        }
        let subscriber = self.subscribers.remove(entry(token));
        if let Sink::Body(body) = &subscriber.sink
            && subscriber.is_closing()
            && subscriber.is_clear()
        {
            body.finish();
        }
        if let Some(at) = subscriber.lease.as_deref().and_then(|lease| lease.expires) {
            self.expiries.remove(token, at);
        }
        let subscribers = &self.subscribers;
        self.index.remove(&subscriber.interest.selector().topics, |other| {
            subscribers.get(entry(other)).is_some_and(|s| s.generation == generation(other))
        });
        self.totals.closed[reason.index()] += 1;
    }

    /// What is due by now: heartbeats for a slice of the slab, stalls that have lasted too long,
    /// housekeeping.
    fn step(&mut self, now: Instant) {
        if now - self.housekept >= HOUSEKEEPING {
            self.housekept = now;
            self.housekeep(now);
        }
        self.expire(now);
        while let Some(token) = self.stalls.pop_due(now) {
            let Some(subscriber) = find(&mut self.subscribers, token) else { continue };
            subscriber.stalled = false;
            if !subscriber.blocked {
                continue;
            }
            if self.stalls.is_over(subscriber.progressed, now) {
                self.remove(token, CloseReason::WriteTimeout);
            } else {
                subscriber.stalled = true;
                self.stalls.insert(token, subscriber.progressed);
            }
        }
        self.refresh_some(now);
        let passed = (now - self.walk.began).as_secs_f64() / self.walk.length.as_secs_f64();
        let until = (self.subscribers.capacity() as f64 * passed.min(1.0)) as usize;
        while self.walk.entry < until {
            if let Some(subscriber) = self.subscribers.get(self.walk.entry) {
                let token = token(self.walk.entry, subscriber.generation);
                self.beat(token, now);
            }
            self.walk.entry += 1;
        }
        if passed >= 1.0 {
            self.walk.begin(now, self.heartbeat);
        }
    }

    /// One subscriber's heartbeat: a comment; and for one that holds no id, or an old one, a
    /// fresh id too, so that it can resume.
    fn beat(&mut self, token: Token, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        let newcomer = now - subscriber.joined < self.heartbeat / NEWCOMER;
        if newcomer || subscriber.is_closing() || subscriber.blocked || !subscriber.is_clear() {
            return;
        }
        let framing = subscriber.framing();
        let stale = subscriber.refreshed.is_none_or(|at| at < self.walk.stale_before);
        let mut bytes = framed_bytes(&self.keepalive, framing);
        if stale && subscriber.cursor == Cursor::Live && self.position > Position::ORIGIN {
            subscriber.refreshed = Some(self.offset);
            self.totals.fresh_cursors += 1;
            let cursor = fresh_cursor(self.position);
            bytes = [&bytes[..], framed(&cursor, framing)].concat().into();
        }
        self.totals.keepalives += 1;
        let turned = subscriber.send_aside(&bytes, &mut self.totals);
        self.settle(token, turned, now);
    }

    fn housekeep(&mut self, now: Instant) {
        for token in std::mem::take(&mut self.unread) {
            if let Some(subscriber) = find(&mut self.subscribers, token) {
                subscriber.unread = false;
                self.turn(token, None, now);
            }
        }
        let stale_before = self.window.stale_before(Timestamp::now());
        if stale_before > self.walk.stale_before {
            self.walk.stale_before = stale_before;
            self.walk.refreshing = Some(0);
        }
        let lag = self.stalls.tokens().take(LAG_SAMPLE).filter_map(|token| {
            let subscriber = self.subscribers.get(entry(token))?;
            (subscriber.generation == generation(token)).then(|| self.lag(subscriber))
        });
        self.totals.slowest_lag = lag.max().unwrap_or(0);
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

    /// Sends a fresh id to those of a slice whose last has become stale. A pass begins at most
    /// sixteen times while the log turns over once.
    fn refresh_some(&mut self, now: Instant) {
        let Some(first) = self.walk.refreshing else { return };
        let end = self.subscribers.capacity().min(first + REFRESHED_A_STEP);
        for entry in first..end {
            let Some(subscriber) = self.subscribers.get_mut(entry) else { continue };
            let stale = subscriber.refreshed.is_some_and(|at| at < self.walk.stale_before);
            if stale
                && subscriber.cursor == Cursor::Live
                && subscriber.is_clear()
                && !subscriber.is_closing()
            {
                subscriber.refreshed = Some(self.offset);
                self.totals.fresh_cursors += 1;
                let token = token(entry, subscriber.generation);
                let bytes = framed_bytes(&fresh_cursor(self.position), subscriber.framing());
                let turned = subscriber.send_aside(&bytes, &mut self.totals);
                self.settle(token, turned, now);
            }
        }
        self.walk.refreshing = (end < self.subscribers.capacity()).then_some(end);
    }

    fn tokens(&self) -> Vec<Token> {
        self.subscribers.iter().map(|(entry, s)| token(entry, s.generation)).collect()
    }

    /// Closes those who are due. True once everyone is gone and the shard has no more to do.
    fn drain_step(&mut self, now: Instant) -> bool {
        let Some(drain) = &mut self.drain else { return false };
        let due = drain.due(now);
        let (complete, over) = (drain.is_complete(now), drain.is_over(now));
        let staying = self.subscribers.iter().filter(|(_, s)| !s.is_closing());
        let leaving: Vec<_> = staying
            .take(if complete { usize::MAX } else { due })
            .map(|(entry, s)| token(entry, s.generation))
            .collect();
        for token in leaving {
            self.dismiss(token, None, CloseReason::Shutdown, now);
        }
        if over {
            for token in self.tokens() {
                self.remove(token, CloseReason::ShutdownForced);
            }
        }
        complete && self.subscribers.is_empty()
    }
}

fn framed(encoded: &Encoded, framing: Framing) -> &[u8] {
    match framing {
        Framing::Chunked => encoded.chunked(),
        Framing::Bare => encoded.bare(),
    }
}

fn framed_bytes(encoded: &Encoded, framing: Framing) -> Bytes {
    match framing {
        Framing::Chunked => encoded.chunked_bytes(),
        Framing::Bare => encoded.bare_bytes(),
    }
}
