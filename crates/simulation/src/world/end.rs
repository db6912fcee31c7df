//! The end of a history.

use super::World;
use crate::judge::FindingKind;
use crate::lock::lock;
use crate::plan::{HistoryStep, NodeStop, SHARDS, TOPICS, With};

/// How often everything gets its turn before someone is said to be stuck.
const ROUNDS: usize = 300;
/// How many rounds a node takes at most to find its Redis again.
const COMING_BACK: usize = 10;

impl World {
    /// Whatever went wrong is over: everyone comes back and has to have everything, and what is
    /// published then.
    pub(crate) fn finish(&self) {
        lock(&self.meanwhile).clear();
        if let Some(disk) = &self.disk {
            disk.clear_faults();
        }
        if let Some(network) = &self.network {
            network.clear_faults();
            // A node comes back by itself.
            for _ in 0..COMING_BACK {
                self.round();
                let is_back = |node: usize| {
                    let is_ready = self.node(node).is_some_and(|it| it.hub.ready().is_ok());
                    is_ready && !network.has_unreported_loss(node)
                };
                if (0..self.setup.nodes).all(is_back) {
                    break;
                }
            }
        }
        for node in 0..self.setup.nodes {
            let is_well =
                self.node(node).is_some_and(|node| node.hub.ready().is_ok() && !node.has_drained());
            if !is_well {
                self.take(&HistoryStep::Restart { node, how: NodeStop::Closed });
            }
        }
        for round in 0..ROUNDS {
            self.come_back();
            self.round();
            if self.finding().is_some() || (self.is_settled() && self.all_are_open()) {
                break;
            }
            if round + 1 == ROUNDS {
                let open = |it: &usize| lock(&self.ledger).reader(*it).is_open();
                let out: Vec<_> = (0..self.setup.clients.len()).filter(|it| !open(it)).collect();
                let text = format!("not everything comes to rest, and these are not in: {out:?}");
                lock(&self.ledger).report(FindingKind::Stuck, text);
            }
        }
        for topic in 0..TOPICS.len() {
            self.take(&HistoryStep::Publish {
                node: topic % self.setup.nodes,
                topic,
                count: 1,
                typed: true,
                size: 0,
                keyed: false,
                private: false,
            });
        }
        for _ in 0..ROUNDS {
            self.come_back();
            self.round();
            let clients = 0..self.setup.clients.len();
            let all = clients.into_iter().all(|it| lock(&self.ledger).owed(it).is_none());
            if self.finding().is_some() || (self.is_settled() && all) {
                break;
            }
        }
        let mut ledger = lock(&self.ledger);
        for client in 0..self.setup.clients.len() {
            ledger.settle(client);
        }
        if !lock(&self.pending).is_empty() {
            ledger.report(FindingKind::Stuck, "a publisher is never answered".to_owned());
        }
    }

    fn come_back(&self) {
        for client in 0..self.setup.clients.len() {
            self.make_room(client, usize::MAX / 2);
            self.connect(client, client % self.setup.nodes, With::Last, false, None);
        }
    }

    /// Everything gets a turn.
    fn round(&self) {
        for node in 0..self.setup.nodes {
            let drained = self.node(node).is_some_and(|node| node.has_drained());
            if drained {
                self.take(&HistoryStep::Restart { node, how: NodeStop::Closed });
            }
            for _ in 0..4 {
                self.take(&HistoryStep::Work { node });
                (0..SHARDS).for_each(|shard| self.take(&HistoryStep::Turn { node, shard }));
                self.take(&HistoryStep::Read { node });
            }
        }
        self.take(&HistoryStep::Pass { millis: 600 });
    }

    fn all_are_open(&self) -> bool {
        let clients = lock(&self.clients);
        let ledger = lock(&self.ledger);
        clients
            .iter()
            .enumerate()
            .all(|(number, client)| client.socket.is_some() && ledger.reader(number).is_open())
    }

    fn is_settled(&self) -> bool {
        let idle = |node: usize| {
            self.node(node).is_some_and(|node| (0..SHARDS).all(|shard| !node.is_busy(shard)))
        };
        lock(&self.pending).is_empty()
            && lock(&self.moving).is_empty()
            && (0..self.setup.nodes).all(idle)
    }
}
