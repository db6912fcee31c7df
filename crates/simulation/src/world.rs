//! The world: nodes, clients and their publishers, in one thread. It carries out steps and shows the
//! ledger what came of them; it judges nothing.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use fanfare_delivery::Detached;
use fanfare_disk::SyncPolicy;
use fanfare_event::Timestamp;
use fanfare_log::{Appending, Environment};
use fanfare_testkit::SimulatedDisk;

use crate::client::{GRANTS, SPECS, SimulatedClient};
use crate::judge::{BatchNumber, BrokenGuarantee, Guarantees, JudgeLedger, SubscriptionSpec};
use crate::lock::{lock, try_lock};
use crate::network::RedisNetwork;
use crate::node::{NodeClock, SimulatedNode};
use crate::plan::{HistoryPlan, HistoryStep, NodeEngine, SHARDS, Setup};
use crate::trace::Trace;

mod clients;
mod end;
mod faults;
mod publishers;

/// Everything there is.
pub(crate) struct World {
    setup: Setup,
    disk: Option<SimulatedDisk>,
    network: Option<Arc<RedisNetwork>>,
    clocks: Vec<NodeClock>,
    /// `None` while one is being started.
    nodes: Vec<Mutex<Option<Arc<SimulatedNode>>>>,
    clients: Mutex<Vec<SimulatedClient>>,
    ledger: Mutex<JudgeLedger>,
    pending: Mutex<Vec<(BatchNumber, usize, Appending)>>,
    /// What was sent with a key: which batch, with which key, by when it was first sent.
    keyed: Mutex<Vec<(BatchNumber, String, Duration)>>,
    /// What happens in the middle of something else, and before which operation.
    meanwhile: Mutex<Vec<(u32, HistoryStep)>>,
    /// Streams on their way from one shard to another, and on which node.
    moving: Arc<Mutex<Vec<(usize, Detached)>>>,
    /// Connections of clients that were cut, and by how many shards this is known.
    cuts: Arc<Mutex<Vec<(usize, u64, usize)>>>,
    /// By how much keys may have aged.
    keys_aged: Mutex<Duration>,
    /// By how much the wall clock was put on or back: a start on disk goes by it.
    wall_stepped: Mutex<Duration>,
    trace: Mutex<Trace>,
}

impl World {
    pub(crate) fn new(plan: &HistoryPlan, trace: Trace) -> Arc<Self> {
        let setup = plan.setup.clone();
        // Delivery draws its intervals here.
        fastrand::seed(plan.seed);
        let guarantees = Guarantees {
            keeps_all: setup.keeps_all(),
            forgets_at_restart: setup.engine == NodeEngine::Memory,
            tells_late: matches!(setup.engine, NodeEngine::Redis(_)),
        };
        let spec = |&(spec, grant): &(usize, usize)| SubscriptionSpec {
            granted: GRANTS[grant],
            ..SPECS[spec].clone()
        };
        let specs = setup.clients.iter().map(spec);
        let ledger = JudgeLedger::new(guarantees, specs);
        let disk =
            matches!(setup.engine, NodeEngine::Disk(_)).then(|| SimulatedDisk::new(plan.seed));
        let network = match setup.engine {
            NodeEngine::Redis(persistence) => {
                Some(RedisNetwork::new(plan.seed, setup.nodes, persistence))
            }
            NodeEngine::Memory | NodeEngine::Disk(_) => None,
        };
        let clocks: Vec<_> = (0..setup.nodes)
            .map(|node| NodeClock::new(plan.seed ^ ((node as u64) << 32)))
            .collect();
        let world = Arc::new_cyclic(|this: &Weak<Self>| {
            let hook = |this: &Weak<Self>| {
                let this = Weak::clone(this);
                move || {
                    if let Some(world) = this.upgrade() {
                        world.inject_faults();
                    }
                }
            };
            if let Some(disk) = &disk {
                disk.before_each_read(hook(this));
                disk.before_each_change(hook(this));
            }
            if let Some(network) = &network {
                network.before_each_call(hook(this));
            }
            Self {
                nodes: (0..setup.nodes).map(|_| Mutex::new(None)).collect(),
                clients: Mutex::new(
                    setup.clients.iter().map(|_| SimulatedClient::default()).collect(),
                ),
                setup,
                disk,
                network,
                clocks,
                ledger: Mutex::new(ledger),
                pending: Mutex::default(),
                keyed: Mutex::default(),
                meanwhile: Mutex::default(),
                moving: Arc::default(),
                cuts: Arc::default(),
                keys_aged: Mutex::default(),
                wall_stepped: Mutex::default(),
                trace: Mutex::new(trace),
            }
        });
        (0..world.setup.nodes).for_each(|node| world.start(node));
        world
    }

    pub(crate) fn finding(&self) -> Option<BrokenGuarantee> {
        lock(&self.ledger).finding().cloned()
    }

    pub(crate) fn into_trace(self: Arc<Self>) -> Trace {
        std::mem::take(&mut *lock(&self.trace))
    }

    /// Carries out a step, and looks what has come of it.
    pub(crate) fn take(&self, step: &HistoryStep) {
        lock(&self.trace).note(|| format!("{step:?}"));
        self.apply_step(step);
        self.settle_crash();
        self.look();
    }

    fn apply_step(&self, step: &HistoryStep) {
        match step {
            HistoryStep::Publish { .. } => self.publish(step),
            HistoryStep::Repeat { node, nth } => self.repeat(*node, *nth),
            HistoryStep::Turn { node, shard } => self.with(*node, |node| node.turn(*shard)),
            HistoryStep::Read { node } => self.with(*node, |node| _ = node.read()),
            HistoryStep::Work { node } => self.with(*node, |node| _ = node.work()),
            HistoryStep::Pass { millis } => self.pass(Duration::from_millis(*millis)),
            HistoryStep::SetClock { node, seconds } => self.set_clock(*node, *seconds),
            HistoryStep::Expire { node } => {
                let now = self.clocks[*node].environment.now();
                self.with(*node, |node| node.hub.expire(now));
            }
            HistoryStep::Connect { client, node, with, leased, room } => {
                self.connect(*client, *node, *with, *leased, *room);
            }
            HistoryStep::Room { client, bytes } => self.make_room(*client, *bytes),
            HistoryStep::Leave { client, breaks } => self.leave(*client, *breaks),
            HistoryStep::Cut { client } => self.cut(*client),
            HistoryStep::Reverify { node } => self.with(*node, |it| {
                if let Some(delivery) = try_lock(&it.delivery) {
                    let at = self.clocks[*node].now().monotonic;
                    delivery.delivery().reverify(at, |_| ());
                }
            }),
            HistoryStep::HandOver { node, shard } => self.hand_over(*node, *shard),
            HistoryStep::Drain { node, millis } => self.with(*node, |node| {
                if let Some(delivery) = try_lock(&node.delivery) {
                    delivery.delivery().drain(Duration::from_millis(*millis));
                }
            }),
            HistoryStep::Restart { node, how } => self.restart(*node, *how),
            HistoryStep::FailDisk { ahead, fault } => {
                if let Some(disk) = &self.disk {
                    disk.fail(*ahead, *fault);
                    if self.setup.engine != NodeEngine::Disk(SyncPolicy::Disk) {
                        lock(&self.ledger).may_lose();
                    }
                }
            }
            HistoryStep::During { ahead, step } => {
                lock(&self.meanwhile).push((*ahead, HistoryStep::clone(step)));
            }
            HistoryStep::Redis(fault) => self.fail_redis(*fault),
            HistoryStep::Reach { node, reach } => {
                if let Some(network) = &self.network {
                    network.set_reachable(*node, *reach);
                }
            }
        }
    }

    fn node(&self, node: usize) -> Option<Arc<SimulatedNode>> {
        lock(&self.nodes[node]).clone()
    }

    fn with(&self, node: usize, act: impl FnOnce(&SimulatedNode)) {
        if let Some(node) = self.node(node) {
            act(&node);
        }
    }

    /// An operation of the disk, or a call of Redis, is about to happen.
    fn inject_faults(&self) {
        let due = {
            let mut meanwhile = lock(&self.meanwhile);
            let at = meanwhile.iter().position(|(ahead, _)| *ahead == 0);
            meanwhile.iter_mut().for_each(|(ahead, _)| *ahead = ahead.saturating_sub(1));
            at.map(|at| meanwhile.remove(at).1)
        };
        if let Some(step) = due {
            lock(&self.trace).note(|| format!("  meanwhile {step:?}"));
            self.apply_step(&step);
        }
    }

    // Time.

    fn pass(&self, time: Duration) {
        self.clocks.iter().for_each(|clock| clock.environment.pass(time));
        *lock(&self.keys_aged) += time;
        if let Some(network) = &self.network {
            network.pass(time);
        }
    }

    fn set_clock(&self, node: usize, seconds: i64) {
        let environment = &self.clocks[node].environment;
        let now = environment.now().as_millis();
        let millis = seconds.unsigned_abs() * 1000;
        let set = if seconds < 0 { now - millis } else { now + millis };
        environment.set_wall(Timestamp(set));
        // By this clock a log on disk tells at its next start how old keys are.
        if matches!(self.setup.engine, NodeEngine::Disk(_)) {
            *lock(&self.wall_stepped) += Duration::from_millis(millis);
        }
    }

    /// Looks what sockets took, and what publishers were told.
    fn look(&self) {
        self.answer();
        self.move_on();
        self.admit_waiting();
        self.listen();
        self.answer();
        let mut cuts = lock(&self.cuts);
        for (client, connection, shards) in cuts.iter_mut().filter(|cut| cut.2 == SHARDS) {
            *shards = usize::MAX / 2;
            let clients = lock(&self.clients);
            if clients[*client].connection == *connection {
                lock(&self.ledger).was_cut(*client);
            }
        }
    }

    /// What a person wants to see who looks for the cause.
    pub(crate) fn describe(setup: &Setup) -> String {
        let mut text = format!("{:?}, {} node(s)", setup.engine, setup.nodes);
        if setup.keeps_all() {
            text += ", everything is kept";
        }
        let _ = write!(text, ", windows of {}", setup.window);
        text
    }
}
