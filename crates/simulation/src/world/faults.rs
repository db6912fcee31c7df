//! What stops nodes, and what goes wrong beneath them.

use std::sync::Arc;
use std::time::Duration;

use fanfare_disk::SyncPolicy;
use fanfare_simulated_redis::Persistence;
use fanfare_testkit::SimulatedDisk;

use super::World;
use crate::judge::FindingKind;
use crate::lock::lock;
use crate::node::{NodeStorage, SimulatedNode};
use crate::plan::{COMMANDS, KEYS, NodeEngine, NodeStop, RedisFault};

/// Where nobody is left who knows of an epoch, the next is named by the clock alone, which may be behind its
/// name by some four seconds. The judge goes by the order of epochs.
const UNTIL_NAMED_ANEW: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn start(&self, node: usize) {
        let node_storage = match self.setup.engine {
            NodeEngine::Memory => NodeStorage::Memory,
            NodeEngine::Disk(sync) => {
                NodeStorage::Disk(self.disk.clone().expect("there is one"), sync)
            }
            NodeEngine::Redis(_) => {
                NodeStorage::Redis(Arc::clone(self.network.as_ref().expect("there is one")), node)
            }
        };
        // Whatever fault was still to come: a start may fail, as long as the next works.
        for _ in 0..30 {
            if let Some(started) =
                SimulatedNode::start(&self.setup, &node_storage, &self.clocks[node])
            {
                *lock(&self.nodes[node]) = Some(Arc::new(started));
                return;
            }
            if let Some(disk) = &self.disk {
                if disk.has_crashed() {
                    disk.restart();
                } else {
                    disk.clear_faults();
                }
            }
            if let Some(network) = &self.network {
                network.clear_faults();
            }
        }
        let text = format!("node {node} does not start");
        lock(&self.ledger).report(FindingKind::Stuck, text);
    }

    /// What comes into the middle of something else never stops a node.
    pub(super) fn restart(&self, node: usize, how: NodeStop) {
        if let Some(network) = &self.network {
            // What nobody is left to know of cannot be told: docs/gaps.md.
            if network.has_unreported_loss(node) {
                lock(&self.trace).note(|| "  it is spared: it may know of a loss".to_owned());
                return;
            }
        }
        self.stop_and_start(node, how);
    }

    fn stop_and_start(&self, node: usize, how: NodeStop) {
        if let Some(network) = &self.network {
            network.set_reachable(node, true);
        }
        if self.setup.engine == NodeEngine::Memory {
            lock(&self.ledger).may_lose();
            lock(&self.keyed).clear();
        }
        let is_safe =
            matches!(self.setup.engine, NodeEngine::Disk(SyncPolicy::Disk) | NodeEngine::Redis(_));
        if how == NodeStop::PowerCut && !is_safe {
            lock(&self.ledger).may_lose();
        }
        *lock(&self.keys_aged) += std::mem::take(&mut *lock(&self.wall_stepped));
        let Some(stopped) = lock(&self.nodes[node]).take() else { return };
        let stopped = Arc::into_inner(stopped).expect("nobody is in the middle of anything");
        if how != NodeStop::Closed || self.network.is_some() {
            // Nobody is told any more.
            let pending = std::mem::take(&mut *lock(&self.pending));
            let (gone, others): (Vec<_>, Vec<_>) =
                pending.into_iter().partition(|(_, at, _)| *at == node);
            let mut ledger = lock(&self.ledger);
            gone.iter().for_each(|(batch, ..)| ledger.unanswered(*batch));
            *lock(&self.pending) = others;
        }
        lock(&self.moving).retain(|(at, _)| *at != node);
        if how == NodeStop::Closed {
            stopped.close();
        } else {
            stopped.kill();
        }
        if let Some(disk) = &self.disk {
            match how {
                NodeStop::PowerCut => disk.restart(),
                NodeStop::Killed => disk.restart_process(),
                NodeStop::Closed => {}
            }
        }
        {
            let mut clients = lock(&self.clients);
            let its = clients.iter_mut().filter(|client| client.node == node);
            for client in its {
                client.is_smooth = false;
                client.waiting = None;
            }
        }
        self.start(node);
    }

    /// A disk that has stopped takes its machine along.
    pub(super) fn settle_crash(&self) {
        if self.disk.as_ref().is_some_and(SimulatedDisk::has_crashed) {
            lock(&self.trace).note(|| "  the disk has stopped".to_owned());
            // Half of the time only the process is gone, in the middle of what it was writing.
            let how = if fastrand::bool() { NodeStop::PowerCut } else { NodeStop::Killed };
            self.restart(0, how);
        }
    }

    pub(super) fn fail_redis(&self, fault: RedisFault) {
        let Some(network) = &self.network else { return };
        match fault {
            RedisFault::Succeed(lost) | RedisFault::KillAll(lost) => {
                if self.setup.engine == NodeEngine::Redis(Persistence::Lax) {
                    lock(&self.ledger).may_lose();
                }
                if matches!(fault, RedisFault::KillAll(_)) {
                    self.pass(UNTIL_NAMED_ANEW);
                }
                network.succeed(lost);
                if matches!(fault, RedisFault::KillAll(_)) {
                    // All at once: no node does anything after another is gone.
                    lock(&self.meanwhile).clear();
                    (0..self.setup.nodes)
                        .for_each(|node| self.stop_and_start(node, NodeStop::Killed));
                }
            }
            RedisFault::LoseReply => network.lose_reply(),
            RedisFault::LoseRequest => network.lose_request(),
            RedisFault::Trim(left) => {
                if !self.setup.keeps_all() {
                    network.trim(left);
                }
            }
            RedisFault::Delete(key) => {
                self.pass(UNTIL_NAMED_ANEW);
                lock(&self.ledger).may_lose();
                network.delete(KEYS[key % KEYS.len()]);
            }
            RedisFault::Deny(command) => network.deny(Some(COMMANDS[command % COMMANDS.len()])),
            RedisFault::Full => network.set_full(true),
            RedisFault::Mend => {
                network.deny(None);
                network.set_full(false);
            }
        }
    }
}
