//! The faults: one table, a row for each.
//!
//! What must hold: what a fault may cost is said in its row, by the promise, not by what the hub happens to do.

use crate::engine::HubEngine;

/// Something that happens to a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// `kill -9` of a node, which comes back.
    NodeKilled,
    /// A node stands still for a while.
    NodeStopped,
    /// A node is asked to end, and comes back.
    NodeRestarted,
    /// Reads take long.
    SlowReads,
    /// Writes take long.
    SlowWrites,
    /// Syncs take long.
    SlowSyncs,
    /// Reads and writes transfer less than was asked.
    ShortTransfers,
    /// Some reads fail.
    FailingReads,
    /// Some writes fail; then the node is started anew.
    FailingWrites,
    /// Some syncs fail; then the node is started anew.
    FailingSyncs,
    /// The disk is full for a while.
    FullDisk,
    /// A bit of a file flips between two starts.
    BitFlip,
    /// The wall clock of nodes jumps ahead.
    ClockAhead,
    /// The wall clock of nodes jumps back.
    ClockBack,
    /// `kill -9` of Redis, which comes back with what it kept.
    RedisKilled,
    /// `kill -9` of Redis and all nodes at once, which come back: nobody is left who knows what is lost.
    AllKilled,
    /// Redis stands still for a while.
    RedisStopped,
    /// A replica takes over that lacks the last writes.
    Failover,
    /// `FLUSHALL`.
    Flushed,
    /// `DEL` of one of the hub's keys.
    KeyDeleted,
    /// Redis refuses a command for a while.
    CommandForbidden,
    /// Redis has no memory left for a while.
    OutOfMemory,
    /// Redis refuses to write, as a master without its replicas does.
    ReadOnly,
    /// The wall clock of Redis jumps.
    RedisClock,
    /// The way to Redis is slow for a while.
    SlowWay,
    /// The connections to Redis break.
    CutWay,
    /// The way to Redis holds back what nodes ask.
    LostRequests,
    /// The way to Redis holds back what it answers.
    LostAnswers,
    /// Many clients come at once and want everything.
    ColdHerd,
    /// Many clients come back at once with a recent cursor.
    WarmHerd,
}

use Fault::{
    AllKilled, BitFlip, ClockAhead, ClockBack, ColdHerd, CommandForbidden, CutWay, FailingReads,
    FailingSyncs, FailingWrites, Failover, Flushed, FullDisk, KeyDeleted, LostAnswers,
    LostRequests, NodeKilled, NodeRestarted, NodeStopped, OutOfMemory, ReadOnly, RedisClock,
    RedisKilled, RedisStopped, ShortTransfers, SlowReads, SlowSyncs, SlowWay, SlowWrites, WarmHerd,
};

/// Which engines a fault applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AppliesTo {
    Every,
    Disk,
    Redis,
    /// Where an epoch follows on its parent, whatever the clock says.
    Lineage,
}

/// What a fault may cost. Whatever it is, a client whose cursor lies before it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// Nothing that was acknowledged.
    Nothing,
    /// Events and keys where they are only in memory.
    Memory,
    /// The same where Redis takes only snapshots.
    Snapshots,
    /// What is older than the hub believes, where it goes by its own clock. Keys only at a start.
    Age,
    /// Events and keys, told by a gap.
    ReportedLoss,
}

/// The table.
const TABLE: [(Fault, &str, AppliesTo, Cost); 30] = [
    (NodeKilled, "node-killed", AppliesTo::Every, Cost::Memory),
    (NodeStopped, "node-stopped", AppliesTo::Every, Cost::Nothing),
    (NodeRestarted, "node-restarted", AppliesTo::Every, Cost::Memory),
    (SlowReads, "slow-reads", AppliesTo::Disk, Cost::Nothing),
    (SlowWrites, "slow-writes", AppliesTo::Disk, Cost::Nothing),
    (SlowSyncs, "slow-syncs", AppliesTo::Disk, Cost::Nothing),
    (ShortTransfers, "short-transfers", AppliesTo::Disk, Cost::Nothing),
    (FailingReads, "failing-reads", AppliesTo::Disk, Cost::Nothing),
    (FailingWrites, "failing-writes", AppliesTo::Disk, Cost::Nothing),
    (FailingSyncs, "failing-syncs", AppliesTo::Disk, Cost::Nothing),
    (FullDisk, "full-disk", AppliesTo::Disk, Cost::Nothing),
    (BitFlip, "bit-flip", AppliesTo::Disk, Cost::ReportedLoss),
    (ClockAhead, "clock-ahead", AppliesTo::Every, Cost::Age),
    (ClockBack, "clock-back", AppliesTo::Lineage, Cost::Age),
    (RedisKilled, "redis-killed", AppliesTo::Redis, Cost::Snapshots),
    (AllKilled, "all-killed", AppliesTo::Redis, Cost::Snapshots),
    (RedisStopped, "redis-stopped", AppliesTo::Redis, Cost::Nothing),
    (Failover, "failover", AppliesTo::Redis, Cost::ReportedLoss),
    (Flushed, "flushed", AppliesTo::Redis, Cost::ReportedLoss),
    (KeyDeleted, "key-deleted", AppliesTo::Redis, Cost::ReportedLoss),
    (CommandForbidden, "command-forbidden", AppliesTo::Redis, Cost::Nothing),
    (OutOfMemory, "out-of-memory", AppliesTo::Redis, Cost::Nothing),
    (ReadOnly, "read-only", AppliesTo::Redis, Cost::Nothing),
    (RedisClock, "redis-clock", AppliesTo::Redis, Cost::ReportedLoss),
    (SlowWay, "slow-way", AppliesTo::Redis, Cost::Nothing),
    (CutWay, "cut-way", AppliesTo::Redis, Cost::Nothing),
    (LostRequests, "lost-requests", AppliesTo::Redis, Cost::Nothing),
    (LostAnswers, "lost-answers", AppliesTo::Redis, Cost::Nothing),
    (ColdHerd, "cold-herd", AppliesTo::Every, Cost::Nothing),
    (WarmHerd, "warm-herd", AppliesTo::Every, Cost::Nothing),
];

impl Fault {
    /// Every fault that this engine can meet.
    pub fn of(engine: HubEngine) -> Vec<Self> {
        let concerns = |on| match on {
            AppliesTo::Every => true,
            AppliesTo::Disk => engine == HubEngine::Data,
            AppliesTo::Redis => engine.is_redis(),
            AppliesTo::Lineage => engine != HubEngine::Memory,
        };
        TABLE.iter().filter(|row| concerns(row.2)).map(|row| row.0).collect()
    }

    fn row(self) -> &'static (Self, &'static str, AppliesTo, Cost) {
        TABLE.iter().find(|row| row.0 == self).expect("every fault has a row")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The fault of this name.
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Whether acknowledged events may be gone after it. Those who were behind must be told.
    pub fn may_lose(self, engine: HubEngine) -> bool {
        match self.row().3 {
            Cost::Nothing => false,
            Cost::Memory => engine == HubEngine::Memory,
            Cost::Snapshots => engine == HubEngine::Snapshots,
            Cost::Age => !engine.is_redis(),
            Cost::ReportedLoss => true,
        }
    }

    /// Whether keys may be forgotten after it, beside those that a start forgets by a clock that was set.
    pub fn may_forget_keys(self, engine: HubEngine) -> bool {
        self.may_lose(engine) && self.row().3 != Cost::Age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_one_row_and_one_name() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(Fault::named(row.1), Some(row.0));
            assert!(TABLE[..at].iter().all(|other| other.0 != row.0 && other.1 != row.1));
        }
    }
}
