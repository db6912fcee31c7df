//! The network between nodes and the Redis that they share, and what goes wrong on it: requests and replies
//! that are late or lost, connections that break, a replica that takes over while some still talk to the
//! old master.
//!
//! What must hold: what a node sends is carried out when, and only when, the history gets to it. Each
//! connection carries one call at a time, as those of the engine do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare_log::{Environment, Tail};
use fanfare_redis::{
    ConnectError, Namespace, RedisLog, RedisSettings, RedisUrl, RedisWork, SimulatedNetwork,
};
use fanfare_simulated_redis::{Persistence, SimulatedRedis};
use fanfare_testkit::SimulatedEnvironment;
use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};

use crate::lock::lock;
use crate::plan::{KEY_WINDOW, Setup};

mod call;
mod state;
mod way;

use call::CallProgress;
use state::{NetworkState, NodeState, ServerConnection};
use way::NodeLink;

/// How many calls a node gets through in one piece of its work, at most.
const CALLS: usize = 12;
/// How many entries a block of a stream has: few, so that approximate trims trim.
const BLOCK: usize = 4;

/// Everything between the nodes and their Redis, and that.
pub(crate) struct RedisNetwork {
    state: Arc<Mutex<NetworkState>>,
    /// The clock of all servers.
    clock: SimulatedEnvironment,
    /// Where nodes keep time.
    runtime: Runtime,
    before_call: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl RedisNetwork {
    pub(crate) fn new(seed: u64, nodes: usize, persistence: Persistence) -> Arc<Self> {
        let mut rng = Rng::with_seed(seed);
        let master = SimulatedRedis::new(persistence, BLOCK, &mut rng);
        let node =
            |_| NodeState { is_reachable: true, is_reading: false, has_unreported_loss: false };
        let state = NetworkState {
            servers: vec![master],
            nodes: (0..nodes).map(node).collect(),
            connections: Vec::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            loses_reply: false,
            loses_request: false,
            rng,
        };
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        Arc::new(Self {
            state: Arc::new(Mutex::new(state)),
            clock: SimulatedEnvironment::new(!seed),
            runtime: runtime.expect("a runtime needs nothing"),
            before_call: Mutex::new(None),
        })
    }

    /// Calls `hook` before each call is carried out.
    pub(crate) fn before_each_call(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&self.before_call) = Some(Box::new(hook));
    }

    fn call_hook(&self) {
        let taken = lock(&self.before_call).take();
        if let Some(mut hook) = taken {
            hook();
            *lock(&self.before_call) = Some(hook);
        }
    }

    /// A node's log, with what does its work.
    pub(crate) fn open(
        self: &Arc<Self>,
        node: usize,
        setup: &Setup,
        environment: Arc<dyn Environment>,
        tail: Arc<dyn Tail>,
    ) -> Result<(Arc<RedisLog>, RedisWork), ConnectError> {
        let url = "redis://simulated".parse::<RedisUrl>().expect("a URL");
        let mut settings = RedisSettings::new(url, Namespace::parse("s").expect("a namespace"));
        settings.retention = setup.retention();
        // What Redis counts has a sign.
        settings.retention.count = settings.retention.count.min(1 << 40);
        settings.retention.bytes = settings.retention.bytes.min(1 << 40);
        settings.idempotency_window = KEY_WINDOW;
        settings.idempotency_keys = 1000;
        let way: Arc<dyn SimulatedNetwork> =
            Arc::new(NodeLink { state: Arc::clone(&self.state), node });
        let network = Arc::downgrade(self);
        let while_waiting = Arc::new(move || {
            if let Some(network) = network.upgrade() {
                network.advance_waiting_call(node);
            }
        });
        let runtime = self.runtime.handle();
        RedisLog::connect_by_hand(&settings, runtime, way, environment, while_waiting, tail)
    }

    /// Does a node's work until it has come to a few answers, or waits; whether there was anything.
    pub(crate) fn work(&self, node: usize, work: &mut RedisWork) -> bool {
        let mut moved = false;
        for _ in 0..CALLS {
            self.reading(node, false, || work.go_on());
            self.call_hook();
            match self.go_on(node, false) {
                CallProgress::Nothing => return moved,
                CallProgress::Done => moved = true,
                CallProgress::Half => return true,
            }
        }
        self.reading(node, false, || work.go_on());
        moved
    }

    /// Reads on behalf of a node.
    pub(crate) fn reading<T>(&self, node: usize, is_reading: bool, act: impl FnOnce() -> T) -> T {
        let before = std::mem::replace(&mut lock(&self.state).nodes[node].is_reading, is_reading);
        let result = act();
        lock(&self.state).nodes[node].is_reading = before;
        result
    }

    fn advance_waiting_call(&self, node: usize) {
        self.call_hook();
        let is_reading = lock(&self.state).nodes[node].is_reading;
        if matches!(self.go_on(node, is_reading), CallProgress::Nothing) {
            // Whoever waits for that waits in vain.
            let mut state = lock(&self.state);
            let its = |it: &&mut ServerConnection| it.node == node && it.is_readers == is_reading;
            state.connections.iter_mut().filter(its).for_each(|it| it.is_open = false);
        }
    }

    /// One call of a node gets somewhere, one that a read waits for or another.
    fn go_on(&self, node: usize, is_reading: bool) -> CallProgress {
        let now = self.clock.now().as_millis();
        lock(&self.state).go_on(node, is_reading, now, self.clock.elapsed())
    }

    // What goes wrong, and what does not.

    /// Time passes for nodes and servers.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.pass(time);
        self.runtime.block_on(tokio::time::advance(time));
    }

    /// A node that is cut off finds its connections broken, or hears nothing more on them.
    pub(crate) fn set_reachable(&self, node: usize, is_reachable: bool) {
        let mut state = lock(&self.state);
        state.nodes[node].is_reachable = is_reachable;
        if !is_reachable && state.rng.bool() {
            state.break_those(|it| it.node == node);
        }
    }

    /// Another process takes over, with all that this one had but so many of its last writes. Those who talk
    /// to the old one notice at once, or talk on.
    pub(crate) fn succeed(&self, lost_writes: usize) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(master) = state.servers.last() else { return };
        let is_lax = master.persistence() == Persistence::Lax;
        let lost_writes = if is_lax { lost_writes } else { 0 };
        let successor = master.successor(lost_writes, &mut state.rng);
        state.servers.push(successor);
        // A server that syncs every write has no replica: it is restarted itself.
        let lives_on = is_lax && state.rng.bool();
        let mut noticing = Rng::with_seed(state.rng.u64(..));
        state.break_those(|_| !lives_on || noticing.bool());
        state.nodes.iter_mut().for_each(|node| node.has_unreported_loss = is_lax);
    }

    pub(crate) fn lose_reply(&self) {
        lock(&self.state).loses_reply = true;
    }

    pub(crate) fn lose_request(&self) {
        lock(&self.state).loses_request = true;
    }

    /// Somebody trims the stream to so many entries.
    pub(crate) fn trim(&self, left: usize) {
        let (mut state, now) = (lock(&self.state), self.clock.now().as_millis());
        let words = ["XTRIM", "{s}:events", "MAXLEN", "=", &left.to_string()];
        let words = words.map(|word| word.as_bytes().to_vec());
        if let Some(master) = state.servers.last_mut() {
            master.execute(&words, now);
        }
    }

    /// Somebody deletes a key, or all; no replica has it any longer.
    pub(crate) fn delete(&self, key: &str) {
        let (mut state, now) = (lock(&self.state), self.clock.now().as_millis());
        if let Some(master) = state.servers.last_mut() {
            master.delete(key, now);
        }
    }

    /// Everyone loses the right to one command, or gets it back.
    pub(crate) fn deny(&self, command: Option<&str>) {
        if let Some(master) = lock(&self.state).servers.last_mut() {
            master.deny(command);
        }
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        if let Some(master) = lock(&self.state).servers.last_mut() {
            master.set_full(is_full);
        }
    }

    /// Whether a node may be the only one to know that something is gone. Were it killed, nobody would.
    pub(crate) fn has_unreported_loss(&self, node: usize) -> bool {
        lock(&self.state).nodes[node].has_unreported_loss
    }

    /// Everything works, and the old masters are gone.
    pub(crate) fn clear_faults(&self) {
        let mut state = lock(&self.state);
        let master = state.servers.len() - 1;
        state.break_those(|it| it.server != master);
        state.nodes.iter_mut().for_each(|node| node.is_reachable = true);
        (state.loses_reply, state.loses_request) = (false, false);
        state.servers[master].deny(None);
        state.servers[master].set_full(false);
    }
}

impl fmt::Debug for RedisNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
