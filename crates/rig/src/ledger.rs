//! What publishers were acknowledged and what clients heard: all that the judge knows.
//!
//! What must hold: nothing of it comes from the hub by another way than a publisher's answer or a
//! client's stream.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::book::Book;
use crate::id::ReceivedId;
use crate::message::{EventName, Meant};
use crate::topic::TopicChoice;

/// An event that a publisher was told is kept.
#[derive(Debug, Clone, Copy)]
pub struct AcknowledgedEvent {
    /// Its place.
    pub id: ReceivedId,
    /// What it is.
    pub meant: Meant,
    /// When, in milliseconds from the ledger's beginning.
    pub at: u64,
}

/// A batch of which nobody knows whether it was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Unknown {
    /// Its first event.
    pub first: EventName,
    /// How many there are.
    pub count: u32,
}

/// A connection of a client: with what it came, and what it heard.
#[derive(Debug, Clone)]
pub struct ClientStream {
    /// Whose.
    pub client: u32,
    /// At which node.
    pub node: usize,
    /// What it wanted.
    pub selector: Arc<TopicChoice>,
    /// The last id it knew.
    pub after: Option<ReceivedId>,
    /// When it began.
    pub at: u64,
    /// What it heard, in order.
    pub heard: Vec<Observation>,
    /// How it ended.
    pub end: String,
    /// It should have received everything that was acknowledged before it ended.
    pub to_the_end: bool,
}

/// Something heard, and when.
#[derive(Debug, Clone)]
pub struct Observation {
    /// In milliseconds from the ledger's beginning.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What a client can hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Events whose ids follow one on another: every one from the first to the last.
    Events {
        /// The first of them.
        first: ReceivedId,
        /// The last of them.
        last: ReceivedId,
    },
    /// A gap.
    Gap {
        /// Why.
        reason: String,
        /// Where the stream goes on.
        to: ReceivedId,
    },
    /// A cursor event.
    Cursor(ReceivedId),
}

/// A connection that its client did not end.
#[derive(Debug, Clone)]
pub struct BrokenConnection {
    /// To which node.
    pub node: usize,
    /// What was open: a stream, or a request that had no answer.
    pub open: ConnectionUse,
    /// When it was last known to be good.
    pub since: u64,
    /// When it was seen to have ended.
    pub at: u64,
    /// Whose, and how.
    pub told: String,
}

/// What a connection was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionUse {
    /// A stream.
    Stream,
    /// A stream on which nothing was heard yet.
    Beginning,
    /// A request under way.
    Request,
}

/// What an outage may end, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageScope {
    /// Every connection: the hub died.
    Everything,
    /// What was under way: a process died that another had taken the streams from.
    Requests,
    /// Streams that began meanwhile: whoever asked the old process too late is told to come again.
    Beginnings,
}

/// The time in which a node was not there, in milliseconds from the ledger's beginning.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// Which node.
    pub node: usize,
    /// What it may have ended.
    pub scope: OutageScope,
    /// Since when.
    pub from: u64,
    /// Until when.
    pub to: u64,
}

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// Acknowledged, wanted, neither delivered nor covered by a gap.
    SilentLoss,
    /// Twice on one connection.
    Duplicate,
    /// An event before its predecessor, or at or before the cursor.
    Reordered,
    /// An id that two events have.
    TwoEventsOneId,
    /// An event that has two ids.
    OneEventTwoIds,
    /// A batch of which a part was accepted, or whose ids do not follow one on another.
    TornBatch,
    /// What was promised to be durable is gone, with or without a gap.
    Lost,
    /// An event that was not asked for.
    Unwanted,
    /// An event that nobody published, or whose bytes are not what was published.
    Garbled,
    /// A stream that no client can read.
    Malformed,
    /// A gap that leads nowhere: who comes back with its id meets it again.
    Circular,
    /// A client that did not get to the end, although nothing was in its way any more.
    Stuck,
    /// A hub that did not start, or ended by itself, although nothing gave it cause.
    Down,
    /// A connection that ended although the hub that it was to only changed hands.
    Closed,
    /// A stream that outlived the token it was let in with.
    Overstayed,
    /// An upgrade of which came something else than had to.
    Outcome,
    /// Processes, descriptors or memory that were left behind.
    Leftover,
}

impl Wrong {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::SilentLoss,
        Self::Duplicate,
        Self::Reordered,
        Self::TwoEventsOneId,
        Self::OneEventTwoIds,
        Self::TornBatch,
        Self::Lost,
        Self::Unwanted,
        Self::Garbled,
        Self::Malformed,
        Self::Circular,
        Self::Stuck,
        Self::Down,
        Self::Closed,
        Self::Overstayed,
        Self::Outcome,
        Self::Leftover,
    ];
}

/// Something that went wrong, and how to see it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What it is.
    pub wrong: Wrong,
    /// How many events it is about.
    pub events: u64,
    /// Who, where, what was missing, and what was heard around it.
    pub trace: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({} events): {}", self.wrong, self.events, self.trace)
    }
}

/// The findings of each kind that are kept with their trace.
const TRACES: usize = 5;

/// Everything that was seen in a round.
#[derive(Debug)]
pub struct RoundLedger {
    begun: Instant,
    acknowledged: RwLock<Vec<AcknowledgedEvent>>,
    unknown: Mutex<Vec<Unknown>>,
    streams: Mutex<Vec<ClientStream>>,
    ends: Mutex<Vec<BrokenConnection>>,
    outages: Mutex<Vec<Outage>>,
    findings: Mutex<Vec<Violation>>,
    events: Mutex<Vec<(u64, String)>>,
    counts: [AtomicU64; Wrong::ALL.len()],
    /// Events that were delivered.
    pub delivered: AtomicU64,
    /// Streams that clients were given.
    pub connections: AtomicU64,
    /// Publishes that were refused, or had no answer.
    pub refused: AtomicU64,
    /// A fault happened after which acknowledged events may be gone.
    pub forgets: AtomicBool,
    /// After it, keys may be forgotten within their window.
    pub forgets_keys: AtomicBool,
    /// A node's wall clock was set: a start on its disk goes by it.
    pub stepped: AtomicBool,
    /// Publishers stop.
    pub closing: AtomicBool,
    /// Hubs change hands here and nothing else: no connection ends but in an outage.
    pub steady: AtomicBool,
    /// Which id belongs to which event.
    pub book: Book,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for RoundLedger {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            acknowledged: RwLock::default(),
            unknown: Mutex::default(),
            streams: Mutex::default(),
            ends: Mutex::default(),
            outages: Mutex::default(),
            findings: Mutex::default(),
            events: Mutex::default(),
            counts: [const { AtomicU64::new(0) }; Wrong::ALL.len()],
            delivered: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            forgets: AtomicBool::new(false),
            forgets_keys: AtomicBool::new(false),
            stepped: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            steady: AtomicBool::new(false),
            book: Book::default(),
        }
    }
}

impl RoundLedger {
    /// Milliseconds since it began.
    pub fn now(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }

    /// A batch was acknowledged.
    pub fn acknowledge(&self, batch: impl Iterator<Item = (ReceivedId, Meant)>) {
        let at = self.now();
        let batch = batch.map(|(id, meant)| AcknowledgedEvent { id, meant, at });
        self.acknowledged.write().unwrap_or_else(PoisonError::into_inner).extend(batch);
    }

    /// Looks at what was acknowledged, in the order of acknowledgement.
    pub fn look<R>(&self, at: impl FnOnce(&[AcknowledgedEvent]) -> R) -> R {
        at(&self.acknowledged.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nobody knows about a batch.
    pub fn unknown(&self, batch: Unknown) {
        lock(&self.unknown).push(batch);
    }

    /// All batches that nobody knows about.
    pub fn all_unknown(&self) -> Vec<Unknown> {
        lock(&self.unknown).clone()
    }

    /// A connection ended.
    pub fn record_stream(&self, stream: ClientStream) {
        lock(&self.streams).push(stream);
    }

    /// A connection ended that its client did not end.
    pub fn ended(
        &self,
        node: usize,
        open: ConnectionUse,
        since: u64,
        told: impl FnOnce() -> String,
    ) {
        if self.steady.load(Ordering::Relaxed) {
            let end = BrokenConnection { node, open, since, at: self.now(), told: told() };
            lock(&self.ends).push(end);
        }
    }

    /// A node was not there.
    pub fn outage(&self, outage: Outage) {
        lock(&self.outages).push(outage);
    }

    /// Every end that no outage explains is wrong.
    pub fn judge_ends(&self) {
        let outages = lock(&self.outages).clone();
        let ends = std::mem::take(&mut *lock(&self.ends));
        for BrokenConnection { node, open, since, at, told } in ends {
            let explains = |outage: &Outage| {
                let may = match (outage.scope, open) {
                    (OutageScope::Everything, _)
                    | (OutageScope::Requests, ConnectionUse::Request) => true,
                    (_, ConnectionUse::Beginning) => outage.from <= since,
                    _ => false,
                };
                may && outage.node == node && outage.from <= at && since <= outage.to
            };
            if outages.iter().any(explains) {
                continue;
            }
            self.wrong(Wrong::Closed, 1, || {
                let mut text =
                    format!("node {node}, {open:?}, good at {since} ms, ended at {at} ms: {told}");
                for (when, event) in self.events() {
                    if (since.saturating_sub(2_000)..=at + 500).contains(&when) {
                        let _ = write!(text, "\n  rig, {when} ms: {event}");
                    }
                }
                text
            });
        }
    }

    /// All connections.
    pub fn streams(&self) -> Vec<ClientStream> {
        std::mem::take(&mut lock(&self.streams))
    }

    /// The rig did something, to be told beside a finding.
    pub fn event(&self, what: String) {
        let now = self.now();
        lock(&self.events).push((now, what));
    }

    /// What the rig did.
    pub fn events(&self) -> Vec<(u64, String)> {
        lock(&self.events).clone()
    }

    /// Whether this is what may be: a log that forgot what it had accepted forgot under which keys, and
    /// a batch that is repeated is published again. A clock that was set while a log is open does not justify it.
    pub fn tolerates(&self, wrong: Wrong) -> bool {
        wrong == Wrong::OneEventTwoIds && self.forgets_keys.load(Ordering::Relaxed)
    }

    /// A node starts, and has nothing but its wall clock to tell how old the keys on its disk are.
    pub fn starts_by_its_clock(&self) {
        if self.stepped.load(Ordering::Relaxed) {
            self.forgets_keys.store(true, Ordering::Relaxed);
        }
    }

    /// Something went wrong with so many events.
    pub fn wrong(&self, wrong: Wrong, events: u64, trace: impl FnOnce() -> String) {
        self.counts[wrong as usize].fetch_add(events, Ordering::Relaxed);
        let mut findings = lock(&self.findings);
        if findings.iter().filter(|finding| finding.wrong == wrong).count() < TRACES {
            findings.push(Violation { wrong, events, trace: trace() });
        }
    }

    /// How many events went wrong so.
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.counts[wrong as usize].load(Ordering::Relaxed)
    }

    /// The first of what went wrong.
    pub fn findings(&self) -> Vec<Violation> {
        lock(&self.findings).clone()
    }
}
