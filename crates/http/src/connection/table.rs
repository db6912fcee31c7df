//! The table: every connection that carries requests, and who leaves when there are too many.
//!
//! A connection is *half-open* until the head of its first request is whole (handshake included),
//! *busy* while a request is being answered, *idle* between two. An answer that its peer does not
//! read is *unread*. A socket that was taken over for a stream is no longer on the table; it counts
//! among the sockets of [`Seats`].
//!
//! What must hold:
//!
//! - *Bounded*: never more connections than [`TableLimits`] allow, none half-open, idle or unread for
//!   longer than they allow. There is no timer for each: the longest-standing are looked at.
//! - *Who sends or reads nothing makes room for who does*: where there are too many, the one that
//!   has been half-open (then, idle, then unread) for longest leaves, and the newcomer stays. Of
//!   those that have been half-open for longest, one of the network with most of them goes first;
//!   idle connections and unread answers are taken from the network that has most of them.
//! - *Counting costs nothing*: nobody who asks for the counts, or connects, has all answers looked at; and whoever
//!   begins or ends one never waits until more than [`SLICE`] have been.
//! - *A crowd is no attack*: while there may be more connections, whoever is new has [`GRACE`] for
//!   its first request, however many others are new. One that is being answered, and reads, is never
//!   made to leave.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fanfare_delivery::{Seat, Seats};
use slab::Slab;
use tokio::sync::oneshot;

use super::eviction_order::{HeldItem, in_eviction_order};
use super::idle_queue::IdleQueue;
use super::progress::AnswerProgress;
use super::unfinished::Unfinished;
use crate::metrics::{MetricSource, RefusalReason, Rows};
use crate::network64::Network64;

/// How long a newcomer has for its first request before it can be one too many half-open ones, and
/// a peer to read something before its connection can be one too many.
const GRACE: Duration = Duration::from_secs(1);
/// How many of the longest-standing are looked at to find one that leaves.
const CANDIDATES: usize = 16;
/// How many answers are looked at before others have their turn: streams of HTTP/2 are answers that do not end, and
/// there may be a hundred thousand of them.
const SLICE: usize = 1024;
/// How long others then have it to themselves.
const PAUSE: Duration = Duration::from_micros(50);

/// What the table allows.
#[derive(Debug, Clone, Copy)]
pub struct TableLimits {
    /// The most connections, streams' included.
    pub connections: usize,
    /// The most that have not sent a request's head yet, beside those that are new.
    pub half_open: usize,
    /// The most that are idle.
    pub idle: usize,
    /// The most answers that are not being read.
    pub unread: usize,
    /// For how long one may be half-open.
    pub head_timeout: Duration,
    /// For how long one may be idle.
    pub idle_timeout: Duration,
    /// For how long a peer may read nothing of an answer.
    pub write_timeout: Duration,
}

/// Every connection that carries requests.
#[derive(Debug)]
pub struct ConnectionTable {
    bounds: TableLimits,
    seats: Seats,
    records: Mutex<Records>,
}

/// How many connections there are, of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionCounts {
    pub(crate) connections: usize,
    pub(crate) half_open: usize,
    pub(crate) idle: usize,
    /// Answers, not connections; as when they were last looked at.
    pub(crate) unread: usize,
}

/// A connection's entry; it leaves the table when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionEntry {
    table: Arc<ConnectionTable>,
    key: usize,
    /// Its place among those of its address.
    place: Mutex<Option<Seat>>,
    ended: AtomicBool,
    unfinished: Arc<Unfinished>,
}

/// Marks its connection as busy, for as long as there is something of one answer.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    entry: Arc<ConnectionEntry>,
    answer: usize,
    pub(super) progress: Arc<AnswerProgress>,
}

/// Tells a connection to leave, and why if that is a refusal.
pub(crate) type Eviction = oneshot::Receiver<Option<RefusalReason>>;

#[derive(Debug, Default)]
struct Records {
    connections: Slab<ConnectionRecord>,
    answers: Slab<AnswerRecord>,
    half_open: EntryQueue,
    /// How many of those each network has.
    networks: HashMap<Network64, usize>,
    idle: IdleQueue,
    turn: u64,
    unread: Unread,
}

/// The answers that are not being read, as when they were last looked at.
#[derive(Debug, Default)]
struct Unread {
    count: usize,
    /// Those that have not been for long, the first to leave at the end.
    leaving: Vec<HeldItem<AnswerId>>,
}

/// An answer, which is still told from others when one of them has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AnswerId {
    key: usize,
    turn: u64,
}

/// Entries in the order in which they joined it.
type EntryQueue = BTreeMap<u64, usize>;

#[derive(Debug)]
struct ConnectionRecord {
    kind: ConnectionKind,
    network: Network64,
    /// Since when it is of its kind, and its place in that kind's queue.
    since: Instant,
    turn: u64,
    /// Gone once it has been told.
    leave: Option<oneshot::Sender<Option<RefusalReason>>>,
}

#[derive(Debug)]
struct AnswerRecord {
    connection: usize,
    /// When it began, by the table's count.
    turn: u64,
    /// Whose it is: behind a proxy, not the connection's.
    network: Network64,
    progress: Arc<AnswerProgress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionKind {
    HalfOpen,
    Busy { requests: u32 },
    Idle,
}

impl ConnectionTable {
    /// An empty one. Of `seats`, the sockets count as connections.
    pub fn new(bounds: TableLimits, seats: Seats) -> Arc<Self> {
        Arc::new(Self { bounds, seats, records: Mutex::default() })
    }

    /// Adds a connection from `address` that was accepted `now`, as half-open. Others may have to
    /// leave for it; if none can, it is refused. `place` is given back when it ends.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        place: Option<Seat>,
        now: Instant,
    ) -> Option<(Arc<ConnectionEntry>, Eviction)> {
        let mut records = self.lock();
        if records.connections.len() + self.seats.sockets() >= self.bounds.connections {
            let room = records.evict_half_open(RefusalReason::Connections, None)
                || records.evict_from_idle(RefusalReason::Connections)
                || records.evict_unread(RefusalReason::Connections);
            if !room {
                return None;
            }
        }
        if records.half_open.len() >= self.bounds.half_open {
            records.evict_half_open(RefusalReason::HalfOpen, Some(now));
        }
        let (leave, left) = oneshot::channel();
        let turn = records.next_turn();
        let network = Network64::of(address);
        let kind = ConnectionKind::HalfOpen;
        let connection = ConnectionRecord { kind, network, since: now, turn, leave: Some(leave) };
        let key = records.connections.insert(connection);
        records.half_open.insert(turn, key);
        *records.networks.entry(network).or_default() += 1;
        drop(records);
        let place = Mutex::new(place);
        let (table, ended) = (Arc::clone(self), AtomicBool::new(false));
        let unfinished = Arc::default();
        Some((Arc::new(ConnectionEntry { table, key, place, ended, unfinished }), left))
    }

    /// Makes those leave whose time is over, and those that are too many and no longer new. Returns
    /// how many answers were broken off whose connections stay. To be called a few times a second, where it may block
    /// for a while.
    pub(crate) fn expire(&self, now: Instant) -> usize {
        let mut records = self.lock();
        let over = |since, allowed| now.saturating_duration_since(since) >= allowed;
        while records.oldest_half_open().is_some_and(|since| over(since, self.bounds.head_timeout))
        {
            records.evict_oldest_half_open(RefusalReason::HeadTimeout);
        }
        while records.half_open.len() > self.bounds.half_open
            && records.evict_half_open(RefusalReason::HalfOpen, Some(now))
        {}
        while records.oldest_idle().is_some_and(|since| over(since, self.bounds.idle_timeout)) {
            let over = records.idle.pop_oldest();
            records.evict_idle(over, None);
        }
        drop(records);
        let timeout = self.bounds.write_timeout;
        let (late, unread): (Vec<_>, Vec<_>) =
            self.unread(now).into_iter().partition(|one| over(one.since, timeout));
        let many = unread.len().saturating_sub(self.bounds.unread);
        let count = unread.len() - many;
        let mut order = in_eviction_order(unread);
        let broken_off: Vec<_> = late.into_iter().chain(order.by_ref().take(many)).collect();
        let mut leaving: Vec<_> = order.filter(|one| over(one.since, GRACE)).collect();
        leaving.reverse();
        let mut records = self.lock();
        records.unread = Unread { count, leaving };
        broken_off.iter().filter(|one| records.break_off(one, RefusalReason::Unread)).count()
    }

    /// The answers that are not being read.
    fn unread(&self, now: Instant) -> Vec<HeldItem<AnswerId>> {
        let mut unread = Vec::new();
        let mut slice = 0..SLICE;
        loop {
            let records = self.lock();
            unread.extend(slice.clone().filter_map(|key| records.unread_at(key, now)));
            if slice.end >= records.answers.capacity() {
                return unread;
            }
            drop(records);
            // Nobody is next for a mutex: whoever waits for it needs a moment to wake up.
            std::thread::sleep(PAUSE);
            slice = slice.end..slice.end + SLICE;
        }
    }

    /// How many there are now.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        let sockets = self.seats.sockets();
        let records = self.lock();
        ConnectionCounts {
            connections: records.connections.len() + sockets,
            half_open: records.half_open.len(),
            idle: records.idle.len(),
            unread: records.unread.count,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetricSource for ConnectionTable {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let ConnectionCounts { connections, half_open, idle, unread } = self.counts();
        let open = "Open connections, those of streams included";
        rows.gauge("connections", open, connections as u64)?;
        let new = "Connections without a first request yet";
        rows.gauge("half_open_connections", new, half_open as u64)?;
        rows.gauge("idle_connections", "Connections between two requests", idle as u64)?;
        rows.gauge("unread_answers", "Answers that wait for their peers to read", unread as u64)
    }
}

impl ConnectionEntry {
    /// A request's head is whole; it is being answered until what is returned is dropped. It is of
    /// the connection's network where `network` does not say otherwise.
    pub(crate) fn begin(self: &Arc<Self>, network: Option<Network64>) -> ActiveRequest {
        let mut records = self.table.lock();
        records.leave_queue(self.key);
        let connection = &mut records.connections[self.key];
        match &mut connection.kind {
            ConnectionKind::Busy { requests } => *requests += 1,
            kind => *kind = ConnectionKind::Busy { requests: 1 },
        }
        let (connection, network) = (self.key, network.unwrap_or(connection.network));
        let (turn, progress) = (records.next_turn(), Arc::<AnswerProgress>::default());
        let pending = AnswerRecord { connection, turn, network, progress: Arc::clone(&progress) };
        let answer = records.answers.insert(pending);
        drop(records);
        ActiveRequest { entry: Arc::clone(self), answer, progress }
    }

    /// What the protocol does not tell of it.
    pub(crate) fn unfinished(&self) -> &Arc<Unfinished> {
        &self.unfinished
    }

    /// Whether it waits for a request, and nothing is left of an earlier one.
    pub(crate) fn is_quiet(&self) -> bool {
        let is_busy = || {
            let kind = self.table.lock().connections[self.key].kind;
            matches!(kind, ConnectionKind::Busy { .. })
        };
        !self.unfinished.is_something() && !is_busy()
    }

    /// Whether it is between two requests.
    pub(crate) fn is_idle(&self) -> bool {
        self.table.lock().connections[self.key].kind == ConnectionKind::Idle
    }

    /// Ends the connection, and tells those who would begin something on it.
    pub(crate) fn end(&self, why: RefusalReason) {
        self.ended.store(true, Ordering::Relaxed);
        self.table.lock().evict(self.key, Some(why));
    }

    /// Whether it was told to end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Its place among those of its address, for whoever has the socket from now on.
    pub(crate) fn take_place(&self) -> Option<Seat> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        let mut records = self.table.lock();
        records.leave_queue(self.key);
        records.connections.remove(self.key);
    }
}

impl ActiveRequest {
    /// The connection on which it is.
    pub(super) fn connection(&self) -> &ConnectionEntry {
        &self.entry
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let ConnectionEntry { table, key, .. } = &*self.entry;
        let mut records = table.lock();
        records.answers.remove(self.answer);
        let turn = records.next_turn();
        let Records { connections, idle, .. } = &mut *records;
        let connection = &mut connections[*key];
        match &mut connection.kind {
            ConnectionKind::Busy { requests } if *requests > 1 => *requests -= 1,
            kind => {
                *kind = ConnectionKind::Idle;
                connection.since = Instant::now();
                connection.turn = turn;
                idle.insert(turn, *key, connection.network);
            }
        }
        if records.idle.len() > table.bounds.idle {
            records.evict_from_idle(RefusalReason::Idle);
        }
    }
}

impl Records {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn oldest_half_open(&self) -> Option<Instant> {
        self.half_open.first_key_value().map(|(_, key)| self.connections[*key].since)
    }

    fn oldest_idle(&self) -> Option<Instant> {
        self.idle.oldest().map(|key| self.connections[key].since)
    }

    /// Takes an entry out of the queue in which it is, if it is in one.
    fn leave_queue(&mut self, key: usize) {
        let ConnectionRecord { turn, network, .. } = self.connections[key];
        self.idle.remove(turn);
        if self.half_open.remove(&turn).is_some() {
            self.leave_network(network);
        }
    }

    fn leave_network(&mut self, network: Network64) {
        if let Some(half_open) = self.networks.get_mut(&network) {
            *half_open -= 1;
            if *half_open == 0 {
                self.networks.remove(&network);
            }
        }
    }

    /// Tells a half-open one to leave: of those that have been so for longest, one of the network
    /// that has most of them. With a time, only if that one is no longer new then. False: nobody
    /// leaves.
    fn evict_half_open(&mut self, why: RefusalReason, now: Option<Instant>) -> bool {
        let oldest = self.half_open.iter().take(CANDIDATES).map(|(turn, key)| (*turn, *key));
        let network_size = |key: usize| self.networks.get(&self.connections[key].network).copied();
        let is_old = |key: usize| {
            let since = self.connections[key].since;
            now.is_none_or(|now| now.saturating_duration_since(since) >= GRACE)
        };
        let leaves = oldest.min_by_key(|(_, key)| Reverse(network_size(*key)));
        self.evict_from_half_open(leaves.filter(|(_, key)| is_old(*key)), why)
    }

    fn evict_oldest_half_open(&mut self, why: RefusalReason) -> bool {
        let oldest = self.half_open.first_key_value().map(|(turn, key)| (*turn, *key));
        self.evict_from_half_open(oldest, why)
    }

    fn evict_from_half_open(&mut self, whom: Option<(u64, usize)>, why: RefusalReason) -> bool {
        let Some((turn, key)) = whom else { return false };
        self.half_open.remove(&turn);
        self.leave_network(self.connections[key].network);
        self.evict(key, Some(why));
        true
    }

    /// Tells an idle one to leave: of the network that has most of them, the one that has been so for longest.
    fn evict_from_idle(&mut self, why: RefusalReason) -> bool {
        let leaves = self.idle.pop_from_largest_network();
        self.evict_idle(leaves, Some(why))
    }

    fn evict_idle(&mut self, whom: Option<usize>, why: Option<RefusalReason>) -> bool {
        let Some(key) = whom else { return false };
        self.evict(key, why);
        true
    }

    /// Tells a connection to leave with an answer that has not been read for long: of the network that
    /// has most of them, the one that has waited for longest.
    fn evict_unread(&mut self, why: RefusalReason) -> bool {
        while let Some(unread) = self.unread.leaving.pop() {
            let Some(AnswerRecord { connection, .. }) = self.still_unread(&unread) else {
                continue;
            };
            let key = *connection;
            if self.connections[key].leave.is_some() {
                self.evict(key, Some(why));
                return true;
            }
        }
        false
    }

    /// The answer with this key, if there is one, and it is not being read.
    fn unread_at(&self, key: usize, now: Instant) -> Option<HeldItem<AnswerId>> {
        let AnswerRecord { turn, network, progress, .. } = self.answers.get(key)?;
        let since = progress.waits_since().filter(|since| *since <= now)?;
        Some(HeldItem { since, what: AnswerId { key, turn: *turn }, by: *network })
    }

    /// An answer that was not being read, if nothing of it has been since.
    fn still_unread(&self, unread: &HeldItem<AnswerId>) -> Option<&AnswerRecord> {
        let answer = self.answers.get(unread.what.key)?;
        let is_same = answer.turn == unread.what.turn;
        (is_same && answer.progress.waits_since() == Some(unread.since)).then_some(answer)
    }

    /// Breaks one answer off, if it is still not being read. False: nothing was, or its connection is told to leave
    /// with it, since it cannot carry anything else.
    fn break_off(&mut self, unread: &HeldItem<AnswerId>, why: RefusalReason) -> bool {
        let Some(AnswerRecord { connection, progress, .. }) = self.still_unread(unread) else {
            return false;
        };
        let (key, apart) = (*connection, progress.break_off());
        if !apart {
            self.evict(key, Some(why));
        }
        apart
    }

    fn evict(&mut self, key: usize, why: Option<RefusalReason>) {
        if let Some(leave) = self.connections[key].leave.take() {
            // Who is not listening has left already.
            let _ = leave.send(why);
        }
    }
}

#[cfg(test)]
mod tests;
