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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::{Position, Timestamp, Topic};
use fanfare_hub::{Notify, Ring, Window, fresh_cursor};
use fanfare_log::{ReadError, ReadFrom};
use fanfare_sse::{Encoded, LAST_CHUNK, comment, opening, retry};
use mio::{Events, Interest as Readiness, Poll, Token, Waker};
use slab::Slab;

use crate::body::Signal;
use crate::counters::{CloseReason, Published, Totals};
use crate::delivery::{DeliverySettings, NewSubscriber, Retry};
use crate::drain::Drain;
use crate::listing::{Listing, Query};
use crate::readers::{Job, Page, Readers};
use crate::sink::{Framing, Heard, Sink};
use crate::stalls::Stalls;
use crate::subscriber::{Cursor, Subscriber, Turn};
use crate::topic_index::TopicIndex;

/// The poller's word that the inbox or the window has news.
const NEWS: Token = Token(usize::MAX);
/// How many readiness events one turn takes.
const EVENTS: usize = 1024;
/// How many subscribers that want another turn get one before the poller is asked again.
const QUEUED_A_TURN: usize = 256;
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

/// What others see of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    inbox: Mutex<Vec<Command>>,
    /// Whether the poller has been told of news it has not acted on.
    notified: AtomicBool,
    waker: Waker,
    published: Published,
}

enum Command {
    Join(Box<NewSubscriber>),
    Read(Token, Result<Page, ReadError>),
    Signal(Token, Signal),
    Drain(Duration),
    List(Query, Reply<Listing>),
    /// How many each topic concerns.
    Count(Arc<[Topic]>, Reply<Vec<usize>>),
    /// Whether there was anyone.
    Cut(Token, Reply<bool>),
}

/// Whom to tell; called on the shard's thread, so it must be quick.
pub(crate) type Reply<T> = Box<dyn FnOnce(T) + Send>;

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
    began: Instant,
    index: TopicIndex,
    stalls: Stalls,
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
}

impl ShardHandle {
    pub(crate) fn join(&self, subscriber: NewSubscriber) {
        self.send(Command::Join(Box::new(subscriber)));
    }

    pub(crate) fn drain(&self, over: Duration) {
        self.send(Command::Drain(over));
    }

    pub(crate) fn list(&self, query: Query, reply: Reply<Listing>) {
        self.send(Command::List(query, reply));
    }

    pub(crate) fn count(&self, topics: Arc<[Topic]>, reply: Reply<Vec<usize>>) {
        self.send(Command::Count(topics, reply));
    }

    pub(crate) fn cut(&self, token: Token, reply: Reply<bool>) {
        self.send(Command::Cut(token, reply));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.published.get()
    }

    fn send(&self, command: Command) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.notify();
    }

    fn take_inbox(&self) -> Vec<Command> {
        std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for ShardHandle {
    fn notify(&self) {
        if !self.notified.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a shard could not be woken; its next heartbeat will");
        }
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Join(_) => "Join",
            Self::Read(..) => "Read",
            Self::Signal(..) => "Signal",
            Self::Drain(_) => "Drain",
            Self::List(..) => "List",
            Self::Count(..) => "Count",
            Self::Cut(..) => "Cut",
        })
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
            handle: Arc::new(ShardHandle {
                inbox: Mutex::default(),
                notified: AtomicBool::new(false),
                waker,
                published: Published::default(),
            }),
            poll,
            window,
            readers,
            offset: ring.end(),
            position: ring.position_before(ring.end()),
            ring,
            subscribers: Slab::new(),
            generation: 0,
            began: now,
            index: TopicIndex::default(),
            stalls: Stalls::new(settings.write_timeout),
            queue: Vec::new(),
            unread: Vec::new(),
            totals: Totals::default(),
            heartbeat: settings.heartbeat,
            retry: settings.retry,
            walk: Walk { began: now, entry: 0, stale_before: 0 },
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
            self.handle.notified.store(false, Ordering::Release);
            let inbox = self.handle.take_inbox();
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
            self.handle.published.set(&self.totals);
            if self.drain_step(now) {
                return;
            }
        }
    }

    /// How long the poller may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.queue.is_empty() {
            Some(Duration::ZERO)
        } else if self.drain.is_some() {
            Some(DRAIN_STEP)
        } else if self.subscribers.is_empty() {
            None
        } else {
            Some((self.heartbeat / SLICES).clamp(STEP.0, STEP.1))
        }
    }

    /// Processes what the window has that is new: marks whom it concerns, then gives each of them
    /// one turn, with everything there is for it in as few writes as possible.
    fn follow(&mut self) {
        let before = self.offset;
        self.window.follow(&mut self.ring);
        if self.ring.end() == before {
            return;
        }
        if self.ring.base() > before {
            // The window has moved on by more than it holds while this shard was busy.
            for (_, subscriber) in &mut self.subscribers {
                if subscriber.cursor == Cursor::Live {
                    subscriber.cursor = Cursor::At(ReadFrom::After(self.position));
                }
            }
            self.queue = self.tokens();
            self.subscribers.iter_mut().for_each(|(_, s)| s.queued = true);
        }
        let mut marked = Vec::new();
        let first = before.max(self.ring.base());
        for (offset, slot) in (first..).zip(self.ring.from(first)) {
            let mut mark = |token: Token, subscriber: &mut Subscriber| {
                if subscriber.cursor == Cursor::Live
                    && !subscriber.marked
                    && !subscriber.is_closing()
                {
                    subscriber.marked = true;
                    marked.push((token, offset));
                }
            };
            if let Some(event) = slot.frame.event() {
                self.index.visit(&event.topic, |token| {
                    if let Some(subscriber) = find(&mut self.subscribers, token) {
                        mark(token, subscriber);
                    }
                });
            } else if let Some(gap) = slot.frame.gap() {
                self.totals.gaps[gap.reason.index()] += self.subscribers.len() as u64;
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
        if let Some(reason) = subscriber.closing
            && subscriber.is_clear()
        {
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
            Turn::Blocked => {
                subscriber.progressed = now;
                if !subscriber.stalled {
                    subscriber.stalled = true;
                    self.stalls.insert(token, now);
                }
            }
        }
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
            Command::Drain(over) => {
                self.drain = Some(Drain::begin(now, over, self.subscribers.len()));
            }
            Command::List(query, reply) => {
                let lag = |subscriber: &Subscriber| self.lag(subscriber);
                reply(query.answer(&self.subscribers, self.age(now), lag));
            }
            Command::Count(topics, reply) => {
                reply(topics.iter().map(|topic| self.index.count(topic)).collect());
            }
            Command::Cut(token, reply) => {
                let known = find(&mut self.subscribers, token).is_some_and(|s| !s.is_closing());
                if known {
                    self.bid_farewell(token, CloseReason::Cut, now);
                }
                reply(known);
            }
        }
    }

    fn join(&mut self, new: NewSubscriber, now: Instant) {
        let NewSubscriber { mut sink, framing, head, interest, envelope, start, has_id, seat } =
            new;
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
        let joined = self.age(now);
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
                body.on_signal(Box::new(move |signal| {
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
            joined,
            seat,
            now,
        ));
        self.turn(token, None, now);
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
        let passed = (now - self.walk.began).as_secs_f64() / self.heartbeat.as_secs_f64();
        let until = (self.subscribers.capacity() as f64 * passed.min(1.0)) as usize;
        while self.walk.entry < until {
            if let Some(subscriber) = self.subscribers.get(self.walk.entry) {
                let token = token(self.walk.entry, subscriber.generation);
                self.beat(token, now);
            }
            self.walk.entry += 1;
        }
        if passed >= 1.0 {
            self.walk.began = now;
            self.walk.entry = 0;
        }
    }

    /// One subscriber's heartbeat: a comment; and for one that holds no id, or an old one, a
    /// fresh id too, so that it can resume.
    fn beat(&mut self, token: Token, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        let newcomer = now - subscriber.progressed < self.heartbeat / NEWCOMER;
        if newcomer || subscriber.is_closing() || !subscriber.is_clear() {
            return;
        }
        let framing = subscriber.framing();
        let stale = subscriber.refreshed.is_none_or(|at| at < self.walk.stale_before);
        let mut bytes = framed_bytes(&self.keepalive, framing);
        if stale && subscriber.cursor == Cursor::Live {
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
            self.read_on(token);
        }
        let stale_before = self.window.stale_before(Timestamp::now());
        if stale_before > self.walk.stale_before {
            self.walk.stale_before = stale_before;
            self.refresh(now);
        }
        let lag = self
            .stalls
            .tokens()
            .take(LAG_SAMPLE)
            .filter_map(|token| Some(self.lag(self.subscribers.get(entry(token))?)));
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

    /// For how long the shard has run, in seconds.
    fn age(&self, now: Instant) -> u32 {
        u32::try_from((now - self.began).as_secs()).unwrap_or(u32::MAX)
    }

    /// Sends a fresh id to everyone whose last has become stale. Happens at most sixteen times
    /// while the log turns over once.
    fn refresh(&mut self, now: Instant) {
        for token in self.tokens() {
            let Some(subscriber) = find(&mut self.subscribers, token) else { continue };
            let stale = subscriber.refreshed.is_some_and(|at| at < self.walk.stale_before);
            if stale
                && subscriber.cursor == Cursor::Live
                && subscriber.is_clear()
                && !subscriber.is_closing()
            {
                subscriber.refreshed = Some(self.offset);
                self.totals.fresh_cursors += 1;
                let bytes = framed_bytes(&fresh_cursor(self.position), subscriber.framing());
                let turned = subscriber.send_aside(&bytes, &mut self.totals);
                self.settle(token, turned, now);
            }
        }
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
            self.bid_farewell(token, CloseReason::Shutdown, now);
        }
        if over {
            for token in self.tokens() {
                self.remove(token, CloseReason::ShutdownForced);
            }
        }
        self.handle.published.set(&self.totals);
        complete && self.subscribers.is_empty()
    }

    /// Closes a subscriber after what was begun, with word of when to come back. One that reads
    /// nothing stays until its write timeout.
    fn bid_farewell(&mut self, token: Token, reason: CloseReason, now: Instant) {
        let Some(subscriber) = find(&mut self.subscribers, token) else { return };
        let framing = subscriber.framing();
        let mut last = framed(&retry(self.retry.pick()), framing).to_vec();
        if framing == Framing::Chunked {
            last.extend_from_slice(LAST_CHUNK);
        }
        let turned = subscriber.bid_farewell(&last.into(), reason, &mut self.totals);
        self.settle(token, turned, now);
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

/// A token is a slab entry and the generation of who is in it, so that word of someone who has
/// left is not taken for that of a successor.
pub(crate) fn token(entry: usize, generation: u32) -> Token {
    Token((generation as usize) << 32 | entry)
}

pub(crate) fn entry(token: Token) -> usize {
    token.0 & 0xffff_ffff
}

pub(crate) fn generation(token: Token) -> u32 {
    (token.0 >> 32) as u32
}

fn find(subscribers: &mut Slab<Subscriber>, token: Token) -> Option<&mut Subscriber> {
    subscribers.get_mut(entry(token)).filter(|s| s.generation == generation(token))
}
