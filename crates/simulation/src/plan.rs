//! A plan: what a history begins with, and what happens in it, step by step. All of it follows from a
//! seed; a plan with fewer steps is a plan too.

use std::time::Duration;

use fanfare_disk::SyncPolicy;
use fanfare_log::Retention;
use fanfare_simulated_redis::Persistence;
use fanfare_testkit::DiskFault;
use fastrand::Rng;

use crate::client::{GRANTS, SPECS};

/// How many shards a node has.
pub(crate) const SHARDS: usize = 2;

/// How long a key is answered.
pub(crate) const KEY_WINDOW: Duration = Duration::from_secs(600);

/// What topics there are.
pub(crate) const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c/d/e"];

/// What may be forbidden to everyone, which stops scripts half way.
pub(crate) const COMMANDS: [&str; 5] = ["xadd", "hset", "set", "xtrim", "xrange"];

/// What somebody may delete; an empty name is everything.
pub(crate) const KEYS: [&str; 3] = ["{s}:events", "{s}:lineage", ""];

/// A whole history.
#[derive(Debug, Clone)]
pub struct HistoryPlan {
    /// From which it was made.
    pub seed: u64,
    /// What it begins with.
    pub(crate) setup: Setup,
    /// What happens.
    pub(crate) steps: Vec<HistoryStep>,
}

/// What a history begins with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// What the nodes run on.
    pub(crate) engine: NodeEngine,
    /// How many nodes there are: one, unless they share their engine.
    pub(crate) nodes: usize,
    /// How many events are retained, `u64::MAX` for all.
    pub(crate) retain_count: u64,
    /// How many bytes are.
    pub(crate) retain_bytes: u64,
    /// For how long.
    pub(crate) retain_age: Duration,
    /// How many of each topic; on disk only.
    pub(crate) retain_topic_count: Option<u64>,
    /// How many frames the windows hold.
    pub(crate) window: usize,
    /// Which of the subscription specs each client has, and which of the grants.
    pub(crate) clients: Vec<(usize, usize)>,
}

/// What nodes run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeEngine {
    /// The log in memory.
    Memory,
    /// The log on disk.
    Disk(SyncPolicy),
    /// A Redis, which all nodes share.
    Redis(Persistence),
}

/// Something that happens between any two other things.
#[derive(Debug, Clone)]
pub(crate) enum HistoryStep {
    /// Somebody publishes.
    Publish {
        node: usize,
        topic: usize,
        count: usize,
        typed: bool,
        size: usize,
        keyed: bool,
        private: bool,
    },
    /// Somebody sends an earlier batch with a key again.
    Repeat { node: usize, nth: usize },
    /// A shard takes a turn.
    Turn { node: usize, shard: usize },
    /// A reader reads a page.
    Read { node: usize },
    /// A writer, or what listens to an engine, does its next piece of work.
    Work { node: usize },
    /// Time passes, for all alike.
    Pass { millis: u64 },
    /// A node's wall clock is set, on or back.
    SetClock { node: usize, seconds: i64 },
    /// A node lets go of what is old.
    Expire { node: usize },
    /// A client connects, if it is not connected.
    Connect { client: usize, node: usize, with: With, leased: bool, room: Option<usize> },
    /// A client's socket takes so many bytes more.
    Room { client: usize, bytes: usize },
    /// A client goes, or its connection breaks.
    Leave { client: usize, breaks: bool },
    /// A client's streams are cut.
    Cut { client: usize },
    /// Cuts may have been missed: everyone is verified anew.
    Reverify { node: usize },
    /// A shard's streams go on in another.
    HandOver { node: usize, shard: usize },
    /// A node begins to close its streams.
    Drain { node: usize, millis: u64 },
    /// A node stops and starts.
    Restart { node: usize, how: NodeStop },
    /// An operation of the disk, so many from now, goes wrong.
    FailDisk { ahead: u64, fault: DiskFault },
    /// Something happens in the middle of another step, before an operation of the disk or a part of
    /// a page, so many from now.
    During { ahead: u32, step: Box<HistoryStep> },
    /// Something happens to the Redis that nodes share.
    Redis(RedisFault),
    /// A node can reach its Redis, or cannot.
    Reach { node: usize, reach: bool },
}

/// With what a client connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// The last id that it was given; nothing, if there is none.
    Last,
    /// One that it was given earlier.
    Earlier(usize),
    /// `earliest`.
    Earliest,
    /// Nothing, though it may hold an id.
    Nothing,
    /// An id of another log.
    Stray,
    /// No id at all.
    Nonsense,
}

/// How a node stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeStop {
    /// In good order.
    Closed,
    /// Its process is gone at once.
    Killed,
    /// Its machine is.
    PowerCut,
}

/// What may happen to a Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisFault {
    /// It is restarted, or a replica takes over that lacks so many of the last writes.
    Succeed(usize),
    /// The same, and all nodes are killed with it: nobody is left who knows.
    KillAll(usize),
    /// The next reply is lost.
    LoseReply,
    /// The next request is.
    LoseRequest,
    /// Another node trims it to so many entries.
    Trim(usize),
    /// Somebody deletes a key, or all.
    Delete(usize),
    /// Nobody may call a command any more: scripts stop half way.
    Deny(usize),
    /// It has no memory left.
    Full,
    /// Whatever it refused it accepts.
    Mend,
}

impl HistoryPlan {
    /// The history of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let engine = match rng.u8(..20) {
            0..7 => NodeEngine::Memory,
            7..11 => NodeEngine::Disk(SyncPolicy::Disk),
            11..13 => NodeEngine::Disk(SyncPolicy::Os),
            13 => NodeEngine::Disk(SyncPolicy::Interval(Duration::from_secs(2))),
            _ if rng.u8(..3) == 0 => NodeEngine::Redis(Persistence::Always),
            _ => NodeEngine::Redis(Persistence::Lax),
        };
        let mut setup = Setup::of(engine, &mut rng);
        let length = rng.usize(30..150);
        let mut steps: Vec<_> = (0..length).map(|_| HistoryStep::of(&setup, &mut rng)).collect();
        // Draws of their own, so that the others remain what they were.
        let mut rng = Rng::with_seed(!seed ^ 3);
        if rng.u8(..3) == 0 {
            setup.clients.iter_mut().for_each(|(_, grant)| *grant = rng.usize(..GRANTS.len()));
            steps.iter_mut().for_each(|step| step.hide(&mut rng));
        }
        Self { seed, setup, steps }
    }
}

impl Setup {
    fn of(engine: NodeEngine, rng: &mut Rng) -> Self {
        let nodes = if matches!(engine, NodeEngine::Redis(_)) { rng.usize(1..=3) } else { 1 };
        let is_on_disk = matches!(engine, NodeEngine::Disk(_));
        let mut setup = Self {
            engine,
            nodes,
            retain_count: u64::MAX,
            retain_bytes: u64::MAX,
            retain_age: Duration::from_secs(1 << 24),
            retain_topic_count: None,
            window: rng.usize(1..24),
            clients: Vec::new(),
        };
        match rng.u8(..8) {
            0..3 => {}
            3..5 => setup.retain_count = rng.u64(2..40),
            5 if !matches!(engine, NodeEngine::Redis(_)) => {
                setup.retain_bytes = rng.u64(500..20_000);
            }
            6 => setup.retain_age = Duration::from_secs(rng.u64(2..40)),
            _ if is_on_disk => setup.retain_topic_count = Some(rng.u64(1..6)),
            _ => setup.retain_count = rng.u64(2..40),
        }
        let clients = rng.usize(2..=4);
        setup.clients = (0..clients).map(|_| (rng.usize(..SPECS.len()), 0)).collect();
        setup
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention { count: self.retain_count, bytes: self.retain_bytes, age: self.retain_age }
    }

    /// Whether nothing is ever trimmed.
    pub(crate) fn keeps_all(&self) -> bool {
        self.retain_count == u64::MAX
            && self.retain_bytes == u64::MAX
            && self.retain_age > Duration::from_secs(1 << 20)
            && self.retain_topic_count.is_none()
    }
}

impl HistoryStep {
    fn of(setup: &Setup, rng: &mut Rng) -> Self {
        let node = rng.usize(..setup.nodes);
        let client = rng.usize(..setup.clients.len());
        let shard = rng.usize(..SHARDS);
        let is_on_disk = matches!(setup.engine, NodeEngine::Disk(_));
        let is_on_redis = matches!(setup.engine, NodeEngine::Redis(_));
        match rng.u8(..100) {
            0..17 => Self::publish(node, rng),
            17..19 => Self::Repeat { node, nth: rng.usize(..8) },
            19..41 => Self::Turn { node, shard },
            41..50 => Self::Read { node },
            50..61 if setup.engine != NodeEngine::Memory => Self::Work { node },
            50..61 => Self::publish(node, rng),
            61..66 => Self::Pass { millis: 1 << rng.u32(..15) },
            66 => Self::SetClock { node, seconds: rng.i64(-100..100) },
            67..69 => Self::Expire { node },
            69..79 => Self::Connect {
                client,
                node,
                with: match rng.u8(..16) {
                    0..10 => With::Last,
                    10..12 => With::Earlier(rng.usize(..64)),
                    12 => With::Earliest,
                    13 => With::Nothing,
                    14 => With::Stray,
                    _ => With::Nonsense,
                },
                leased: rng.u8(..3) == 0,
                room: rng.bool().then(|| rng.usize(..2000)),
            },
            79..86 => Self::Room { client, bytes: 1 << rng.u32(..13) },
            86..89 => Self::Leave { client, breaks: rng.bool() },
            89 => Self::Cut { client },
            90 => match rng.u8(..4) {
                0 => Self::Reverify { node },
                _ => Self::HandOver { node, shard },
            },
            91 => Self::Drain { node, millis: rng.u64(..300) },
            92..94 => {
                let how = match rng.u8(..3) {
                    0 => NodeStop::Closed,
                    1 => NodeStop::Killed,
                    _ => NodeStop::PowerCut,
                };
                Self::Restart { node, how }
            }
            94..97 if is_on_disk => Self::FailDisk {
                ahead: rng.u64(..12),
                fault: match rng.u8(..8) {
                    0..4 => DiskFault::Crash,
                    4..6 => DiskFault::Short,
                    6 => DiskFault::Full,
                    _ => DiskFault::Error,
                },
            },
            94..96 if is_on_redis => Self::Redis(match rng.u8(..13) {
                0..4 => RedisFault::Succeed(rng.usize(..6)),
                4 => RedisFault::LoseReply,
                5 => RedisFault::LoseRequest,
                6..8 => RedisFault::Trim(rng.usize(..12)),
                8 => RedisFault::Deny(rng.usize(..COMMANDS.len())),
                9 => RedisFault::Full,
                10 => RedisFault::KillAll(rng.usize(..6)),
                11 => RedisFault::Delete(rng.usize(..KEYS.len())),
                _ => RedisFault::Mend,
            }),
            96 if is_on_redis => Self::Reach { node, reach: rng.bool() },
            _ if setup.engine != NodeEngine::Memory => {
                let step = match rng.u8(..8) {
                    0..3 => Self::publish(node, rng),
                    3..5 => Self::Work { node },
                    5 => Self::Turn { node, shard },
                    6 => Self::Read { node },
                    _ => Self::Expire { node },
                };
                Self::During { ahead: rng.u32(..6), step: Box::new(step) }
            }
            _ => Self::Turn { node, shard },
        }
    }

    /// Makes some of what is published private.
    fn hide(&mut self, rng: &mut Rng) {
        match self {
            Self::Publish { private, .. } => *private = rng.bool(),
            Self::During { step, .. } => step.hide(rng),
            _ => {}
        }
    }

    fn publish(node: usize, rng: &mut Rng) -> Self {
        Self::Publish {
            node,
            topic: rng.usize(..TOPICS.len()),
            count: if rng.bool() { 1 } else { rng.usize(1..6) },
            typed: rng.u8(..4) == 0,
            size: if rng.u8(..3) == 0 { rng.usize(..900) } else { rng.usize(..20) },
            keyed: rng.u8(..3) == 0,
            private: false,
        }
    }
}
