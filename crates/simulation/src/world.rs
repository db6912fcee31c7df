//! The world: nodes, clients and their publishers, in one thread. It carries out steps and shows the
//! ledger what came of them; it judges nothing.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fanfare_delivery::{
    Cut, Detached, Framing, Lease, NewSubscriber, Ready, SimulatedSocket, Sink, Wire,
};
use fanfare_event::{Draft, EventType, PrivateRights, Selector, Timestamp, Topic};
use fanfare_hub::{Envelope, Interest, Requested, Resolution};
use fanfare_log::{AppendError, Appending, Batch, Environment, IdempotencyKey, SyncPolicy};
use fanfare_testkit::SimulatedDisk;

use crate::client::{Client, WISHES, Waiting};
use crate::judge::{
    BatchNumber, Beginning, Finding, FindingKind, Id, Ledger, Message, Promises, WishEnvelope,
};
use crate::node::{Clock, Ground, KEY_WINDOW, Node, lock, try_lock};
use crate::plan::{Engine, EngineFault, Plan, SHARDS, Setup, Step, Stop, TOPICS, With};
use crate::shared_engine::SharedEngine;
use crate::trace::Trace;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// How long a client that is ahead of its node is kept waiting.
const AHEAD: Duration = Duration::from_secs(2);
/// How long a lease lasts.
const LEASE: u64 = 60_000;
/// How often everything gets its turn at the end before someone is said to be stuck.
const ROUNDS: usize = 300;

/// Everything there is.
pub(crate) struct World {
    setup: Setup,
    disk: Option<SimulatedDisk>,
    engine: Option<Arc<SharedEngine>>,
    clocks: Vec<Clock>,
    /// `None` while one is being started.
    nodes: Vec<Mutex<Option<Arc<Node>>>>,
    clients: Mutex<Vec<Client>>,
    ledger: Mutex<Ledger>,
    pending: Mutex<Vec<(BatchNumber, usize, Appending)>>,
    /// What was sent with a key: which batch, with which key, by when it was first sent.
    keyed: Mutex<Vec<(BatchNumber, String, Duration)>>,
    /// What happens in the middle of something else, and before which operation.
    meanwhile: Mutex<Vec<(u32, Step)>>,
    /// Streams on their way from one shard to another, and on which node.
    moving: Arc<Mutex<Vec<(usize, Detached)>>>,
    /// Connections of clients that were cut, and by how many shards this is known.
    cuts: Arc<Mutex<Vec<(usize, u64, usize)>>>,
    /// By how much wall clocks may have gone on.
    wall_passed: Mutex<Duration>,
    trace: Mutex<Trace>,
}

impl World {
    pub(crate) fn new(plan: &Plan, trace: Trace) -> Arc<Self> {
        let setup = plan.setup.clone();
        // Delivery draws its intervals here.
        fastrand::seed(plan.seed);
        let promises = Promises {
            keeps_all: setup.keeps_all(),
            forgets_at_restart: setup.engine == Engine::Memory,
        };
        let wishes = setup.clients.iter().map(|wish| WISHES[*wish].clone());
        let ledger = Ledger::new(promises, wishes);
        let disk = matches!(setup.engine, Engine::Disk(_)).then(|| SimulatedDisk::new(plan.seed));
        let engine = (setup.engine == Engine::Shared)
            .then(|| SharedEngine::new(plan.seed, setup.retain_count, setup.retain_age));
        let clocks: Vec<_> =
            (0..setup.nodes).map(|node| Clock::new(plan.seed ^ ((node as u64) << 32))).collect();
        let world = Arc::new_cyclic(|this: &Weak<Self>| {
            let hook = |this: &Weak<Self>| {
                let this = Weak::clone(this);
                move || {
                    if let Some(world) = this.upgrade() {
                        world.happens_meanwhile();
                    }
                }
            };
            if let Some(disk) = &disk {
                disk.before_each_read(hook(this));
                disk.before_each_change(hook(this));
            }
            if let Some(engine) = &engine {
                engine.before_each_part(hook(this));
            }
            Self {
                nodes: (0..setup.nodes).map(|_| Mutex::new(None)).collect(),
                clients: Mutex::new(setup.clients.iter().map(|_| Client::default()).collect()),
                setup,
                disk,
                engine,
                clocks,
                ledger: Mutex::new(ledger),
                pending: Mutex::default(),
                keyed: Mutex::default(),
                meanwhile: Mutex::default(),
                moving: Arc::default(),
                cuts: Arc::default(),
                wall_passed: Mutex::default(),
                trace: Mutex::new(trace),
            }
        });
        (0..world.setup.nodes).for_each(|node| world.start(node));
        world
    }

    pub(crate) fn finding(&self) -> Option<Finding> {
        lock(&self.ledger).finding().cloned()
    }

    pub(crate) fn into_trace(self: Arc<Self>) -> Trace {
        std::mem::take(&mut *lock(&self.trace))
    }

    /// Carries out a step, and looks what has come of it.
    pub(crate) fn take(&self, step: &Step) {
        lock(&self.trace).note(|| format!("{step:?}"));
        self.carry_out(step);
        self.settle_crash();
        self.look();
    }

    fn carry_out(&self, step: &Step) {
        match step {
            Step::Publish { node, topic, count, typed, size, keyed } => {
                self.publish(*node, *topic, *count, *typed, *size, *keyed);
            }
            Step::Repeat { node, nth } => self.repeat(*node, *nth),
            Step::Turn { node, shard } => self.with(*node, |node| node.turn(*shard)),
            Step::Read { node } => self.with(*node, |node| _ = node.read()),
            Step::Work { node } => self.with(*node, |node| _ = node.work()),
            Step::Pass { millis } => self.pass(Duration::from_millis(*millis)),
            Step::SetClock { node, seconds } => self.set_clock(*node, *seconds),
            Step::Expire { node } => {
                let now = self.clocks[*node].environment.now();
                self.with(*node, |node| node.hub.expire(now));
            }
            Step::Connect { client, node, with, leased, room } => {
                self.connect(*client, *node, *with, *leased, *room);
            }
            Step::Room { client, bytes } => self.make_room(*client, *bytes),
            Step::Leave { client, breaks } => self.leave(*client, *breaks),
            Step::Cut { client } => self.cut(*client),
            Step::Reverify { node } => self.with(*node, |it| {
                if let Some(delivery) = try_lock(&it.delivery) {
                    let at = self.clocks[*node].now().monotonic;
                    delivery.delivery().reverify(at, |_| ());
                }
            }),
            Step::HandOver { node, shard } => self.hand_over(*node, *shard),
            Step::Drain { node, millis } => self.with(*node, |node| {
                if let Some(delivery) = try_lock(&node.delivery) {
                    delivery.delivery().drain(Duration::from_millis(*millis));
                }
            }),
            Step::Restart { node, how } => self.restart(*node, *how),
            Step::FailDisk { ahead, fault } => {
                if let Some(disk) = &self.disk {
                    disk.fail(*ahead, *fault);
                    if self.setup.engine != Engine::Disk(SyncPolicy::Disk) {
                        lock(&self.ledger).may_lose();
                    }
                }
            }
            Step::During { ahead, step } => {
                lock(&self.meanwhile).push((*ahead, Step::clone(step)));
            }
            Step::Engine(fault) => self.fail_engine(*fault),
            Step::Reach { node, reach } => {
                if let Some(engine) = &self.engine {
                    engine.set_reachable(*node, *reach);
                }
            }
        }
    }

    fn node(&self, node: usize) -> Option<Arc<Node>> {
        lock(&self.nodes[node]).clone()
    }

    fn with(&self, node: usize, act: impl FnOnce(&Node)) {
        if let Some(node) = self.node(node) {
            act(&node);
        }
    }

    /// An operation of the disk, or a part of a page, is about to happen.
    fn happens_meanwhile(&self) {
        let due = {
            let mut meanwhile = lock(&self.meanwhile);
            let at = meanwhile.iter().position(|(ahead, _)| *ahead == 0);
            meanwhile.iter_mut().for_each(|(ahead, _)| *ahead = ahead.saturating_sub(1));
            at.map(|at| meanwhile.remove(at).1)
        };
        if let Some(step) = due {
            lock(&self.trace).note(|| format!("  meanwhile {step:?}"));
            self.carry_out(&step);
        }
    }

    // Publishers.

    fn publish(
        &self,
        node: usize,
        topic: usize,
        count: usize,
        typed: bool,
        size: usize,
        keyed: bool,
    ) {
        let Some(it) = self.node(node) else { return };
        let (batch, messages) = {
            let mut ledger = lock(&self.ledger);
            let message = |n: usize| Message {
                topic: TOPICS[(topic + n) % TOPICS.len()].to_owned(),
                event_type: (typed && n.is_multiple_of(2)).then(|| "typed".to_owned()),
                text: ledger.next_text(n) + &"x\n".repeat(size / 60) + &"y\"".repeat(size / 3),
            };
            let messages: Vec<_> = (0..count).map(message).collect();
            (ledger.published(messages.clone()), messages)
        };
        let key = keyed.then(|| format!("key {batch}"));
        if let Some(key) = &key {
            lock(&self.keyed).push((batch, key.clone(), *lock(&self.wall_passed)));
        }
        let appending = it.hub.publish(batch_of(messages, key.as_deref()));
        lock(&self.pending).push((batch, node, appending));
    }

    fn repeat(&self, node: usize, nth: usize) {
        let Some(it) = self.node(node) else { return };
        let passed = *lock(&self.wall_passed);
        let keyed = lock(&self.keyed).clone();
        let mut valid = keyed.iter().rev().filter(|(.., at)| passed - *at < KEY_WINDOW / 2);
        let found = valid.clone().nth(nth).or_else(|| valid.next()).cloned();
        let Some((batch, key, _)) = found else { return };
        let messages = {
            let mut ledger = lock(&self.ledger);
            ledger.repeated(batch);
            ledger.messages(batch)
        };
        let appending = it.hub.publish(batch_of(messages, Some(&key)));
        lock(&self.pending).push((batch, node, appending));
    }

    /// Tells publishers what has become of what they sent.
    fn answer(&self) {
        let mut context = Context::from_waker(Waker::noop());
        let pending = std::mem::take(&mut *lock(&self.pending));
        for (batch, node, mut appending) in pending {
            let Poll::Ready(answer) = Pin::new(&mut appending).poll(&mut context) else {
                lock(&self.pending).push((batch, node, appending));
                continue;
            };
            lock(&self.trace).note(|| format!("  batch {batch}: {answer:?}"));
            let mut ledger = lock(&self.ledger);
            match answer {
                Ok(appended) => {
                    let first = Id { epoch: appended.first.epoch, seq: appended.first.seq };
                    ledger.accepted(batch, first, appended.count);
                }
                Err(AppendError::OutcomeUnknown { .. }) => ledger.unanswered(batch),
                Err(_) => ledger.refused(batch),
            }
        }
    }

    // Time.

    fn pass(&self, time: Duration) {
        self.clocks.iter().for_each(|clock| clock.environment.pass(time));
        *lock(&self.wall_passed) += time;
        if let Some(engine) = &self.engine {
            engine.pass(time);
        }
    }

    fn set_clock(&self, node: usize, seconds: i64) {
        let environment = &self.clocks[node].environment;
        let now = environment.now().as_millis();
        let millis = seconds.unsigned_abs() * 1000;
        let set = if seconds < 0 { now - millis } else { now + millis };
        environment.set_wall(Timestamp(set));
        // A key is answered for a window by this clock, too.
        *lock(&self.wall_passed) += Duration::from_millis(millis);
    }

    // Clients.

    fn connect(&self, client: usize, node: usize, with: With, leased: bool, room: Option<usize>) {
        let (requested, beginning) = {
            let clients = lock(&self.clients);
            if clients[client].socket.is_some() || clients[client].waiting.is_some() {
                return;
            }
            let ledger = lock(&self.ledger);
            let ids = ledger.reader(client).ids();
            let id = match with {
                With::Last => ids.last(),
                With::Earlier(nth) => ids.get(nth % ids.len().max(1)),
                With::Earliest | With::Nothing | With::Stray | With::Nonsense => None,
            };
            let text = match with {
                With::Earliest => Some("earliest".to_owned()),
                With::Stray => Some(format!("{}-3", 7 + client)),
                With::Nonsense => Some("nonsense".to_owned()),
                With::Last | With::Earlier(_) | With::Nothing => id.cloned(),
            };
            let beginning = match (with, &text) {
                (With::Earliest, _) => Beginning::Earliest,
                (With::Stray | With::Nonsense, Some(text)) => Beginning::Stray(text.clone()),
                (_, Some(text)) => Beginning::After(text.clone()),
                (_, None) => Beginning::Live,
            };
            (Requested::parse(text.as_deref()), beginning)
        };
        let until = self.clocks[node].environment.elapsed() + AHEAD;
        let waiting = Waiting { requested, beginning, until, leased, room };
        let mut clients = lock(&self.clients);
        clients[client].node = node;
        clients[client].waiting = Some(waiting);
    }

    /// Lets those in whose node has come to what they hold, or who have waited for long enough.
    fn let_in(&self) {
        for client in 0..self.setup.clients.len() {
            let (node, waiting) = {
                let clients = lock(&self.clients);
                let Client { node, waiting: Some(waiting), .. } = &clients[client] else {
                    continue;
                };
                (*node, waiting.clone())
            };
            let Some(it) = self.node(node) else { continue };
            if try_lock(&it.delivery).is_none() {
                continue;
            }
            let late = self.clocks[node].environment.elapsed() >= waiting.until;
            let start = match it.hub.resolve(&waiting.requested) {
                Resolution::Ready(start) => start,
                Resolution::Ahead(start) if late => start,
                Resolution::Ahead(_) => continue,
            };
            self.join(client, node, &it, waiting, start);
        }
    }

    fn join(
        &self,
        client: usize,
        node: usize,
        it: &Node,
        waiting: Waiting,
        start: fanfare_hub::Start,
    ) {
        let Waiting { beginning, leased, room, requested, .. } = waiting;
        let wish = &WISHES[self.setup.clients[client]];
        let envelope = match wish.envelope {
            WishEnvelope::None => Envelope::None,
            WishEnvelope::Json => Envelope::Json,
            WishEnvelope::Sealed => Envelope::Sealed,
        };
        let framing = if wish.chunked { Framing::Chunked } else { Framing::Bare };
        // One of them holds back what it has accepted, as TLS does.
        let socket =
            if client == 1 { SimulatedSocket::sealing() } else { SimulatedSocket::default() };
        socket.make_room(room.unwrap_or(usize::MAX / 2));
        let now = self.clocks[node].now();
        let lease = Lease {
            subject: Some(subject_of(client)),
            credential: None,
            address: [127, 0, 0, 1].into(),
            expires: leased.then(|| Timestamp(now.wall.as_millis() + LEASE)),
            verified: now.monotonic,
            seats: Vec::new(),
        };
        lock(&self.ledger).connecting(client, beginning);
        {
            let mut clients = lock(&self.clients);
            let it_is = &mut clients[client];
            it_is.waiting = None;
            it_is.socket = Some(socket.clone());
            it_is.connection += 1;
            it_is.is_smooth = room.is_none();
            it_is.shard = it.next_shard();
        }
        let selector = Selector::parse(wish.topics.iter().copied(), wish.types.iter().copied());
        let subscriber = NewSubscriber {
            sink: Sink::Simulated(socket),
            wire: Wire::native(envelope, framing),
            head: Bytes::from_static(HEAD),
            cadence: None,
            interest: Interest::shared(
                selector.expect("a wish is a selector"),
                PrivateRights::None,
            ),
            start,
            has_id: matches!(requested, Requested::After(_)),
            address: [127, 0, 0, 1 + client as u8].into(),
            seat: it.seats.take().expect("there are more seats than clients"),
            lease: Some(Box::new(lease)),
        };
        lock(&it.delivery).delivery().join(subscriber);
    }

    fn make_room(&self, client: usize, bytes: usize) {
        let clients = lock(&self.clients);
        let Client { node, shard, socket: Some(socket), .. } = &clients[client] else { return };
        socket.make_room(bytes);
        if let (Some(key), Some(node)) = (socket.key(), self.node(*node)) {
            node.poller_says(*shard, Ready { key, readable: false, writable: true });
        }
    }

    fn leave(&self, client: usize, breaks: bool) {
        let mut clients = lock(&self.clients);
        let it = &mut clients[client];
        it.waiting = None;
        it.is_smooth = false;
        let Some(socket) = &it.socket else { return };
        if breaks {
            socket.break_off();
        } else {
            socket.hang_up();
        }
        if let (Some(key), Some(node)) = (socket.key(), self.node(it.node)) {
            node.poller_says(it.shard, Ready { key, readable: true, writable: false });
        }
    }

    fn cut(&self, client: usize) {
        let (node, connection, is_there) = {
            let clients = lock(&self.clients);
            let it = &clients[client];
            (it.node, it.connection, it.socket.is_some())
        };
        let Some(it) = self.node(node) else { return };
        let Some(delivery) = try_lock(&it.delivery) else { return };
        let at = self.clocks[node].now().monotonic;
        let number = {
            let mut cuts = lock(&self.cuts);
            cuts.push((client, connection, if is_there { 0 } else { usize::MAX / 2 }));
            cuts.len() - 1
        };
        let cuts = Arc::clone(&self.cuts);
        let done = move |_| lock(&cuts)[number].2 += 1;
        delivery.delivery().cut(&Arc::from([Cut { subject: subject_of(client), at }]), done);
    }

    fn hand_over(&self, node: usize, shard: usize) {
        let Some(it) = self.node(node) else { return };
        let Some(delivery) = try_lock(&it.delivery) else { return };
        let moving = Arc::clone(&self.moving);
        delivery.delivery().detach(shard, 2, move |detached| {
            lock(&moving).extend(detached.into_iter().map(|detached| (node, detached)));
        });
    }

    /// Those who have been taken out of one shard come to the next.
    fn move_on(&self) {
        let moving = std::mem::take(&mut *lock(&self.moving));
        for (node, detached) in moving {
            let Some(it) = self.node(node) else { continue };
            let Some(delivery) = try_lock(&it.delivery) else {
                lock(&self.moving).push((node, detached));
                continue;
            };
            let shard = it.next_shard();
            if let Sink::Simulated(socket) = &detached.sink {
                let mut clients = lock(&self.clients);
                let is_its = |client: &&mut Client| {
                    client.socket.as_ref().is_some_and(|its| its.is_same(socket))
                };
                if let Some(client) = clients.iter_mut().find(is_its) {
                    client.shard = shard;
                }
            }
            if let Some(refused) = delivery.delivery().attach(*Box::new(detached)) {
                // It was drained meanwhile: that stream ends without a word.
                let mut clients = lock(&self.clients);
                if let Sink::Simulated(socket) = &refused.sink {
                    let its = clients.iter_mut().find(|client| {
                        client.socket.as_ref().is_some_and(|its| its.is_same(socket))
                    });
                    its.into_iter().for_each(|client| client.is_smooth = false);
                }
            }
        }
    }

    // Nodes.

    fn start(&self, node: usize) {
        let ground = match self.setup.engine {
            Engine::Memory => Ground::Memory,
            Engine::Disk(sync) => Ground::Disk(self.disk.clone().expect("there is one"), sync),
            Engine::Shared => {
                Ground::Shared(Arc::clone(self.engine.as_ref().expect("there is one")), node)
            }
        };
        // Whatever fault was still to come: a start may fail, as long as the next works.
        for _ in 0..30 {
            if let Some(started) = Node::start(&self.setup, &ground, &self.clocks[node]) {
                *lock(&self.nodes[node]) = Some(Arc::new(started));
                return;
            }
            if let Some(disk) = &self.disk {
                if disk.has_crashed() {
                    disk.restart();
                } else {
                    disk.mend();
                }
            }
        }
        let text = format!("node {node} does not start");
        lock(&self.ledger).report(FindingKind::Stuck, text);
    }

    /// What comes into the middle of something else never stops a node.
    fn restart(&self, node: usize, how: Stop) {
        if self.setup.engine == Engine::Memory {
            lock(&self.ledger).may_lose();
            lock(&self.keyed).clear();
        }
        let is_safe = matches!(self.setup.engine, Engine::Disk(SyncPolicy::Disk) | Engine::Shared);
        if how == Stop::PowerCut && !is_safe {
            lock(&self.ledger).may_lose();
        }
        let Some(stopped) = lock(&self.nodes[node]).take() else { return };
        let stopped = Arc::into_inner(stopped).expect("nobody is in the middle of anything");
        if how != Stop::Closed || self.setup.engine == Engine::Shared {
            // Nobody is told any more.
            let pending = std::mem::take(&mut *lock(&self.pending));
            let (gone, others): (Vec<_>, Vec<_>) =
                pending.into_iter().partition(|(_, at, _)| *at == node);
            let mut ledger = lock(&self.ledger);
            gone.iter().for_each(|(batch, ..)| ledger.unanswered(*batch));
            *lock(&self.pending) = others;
        }
        lock(&self.moving).retain(|(at, _)| *at != node);
        if how == Stop::Closed {
            stopped.close();
        } else {
            stopped.kill();
        }
        if let Some(disk) = &self.disk {
            match how {
                Stop::PowerCut => disk.restart(),
                Stop::Killed => disk.restart_process(),
                Stop::Closed => {}
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
    fn settle_crash(&self) {
        if self.disk.as_ref().is_some_and(SimulatedDisk::has_crashed) {
            lock(&self.trace).note(|| "  the disk has stopped".to_owned());
            // Half of the time only the process is gone, in the middle of what it was writing.
            let how = if fastrand::bool() { Stop::PowerCut } else { Stop::Killed };
            self.restart(0, how);
        }
    }

    fn fail_engine(&self, fault: EngineFault) {
        let Some(engine) = &self.engine else { return };
        match fault {
            EngineFault::FailOver(lost) => {
                if engine.fail_over(lost) {
                    lock(&self.ledger).may_lose();
                }
            }
            EngineFault::LoseReply => engine.lose_reply(),
            EngineFault::LoseRequest => engine.lose_request(),
            EngineFault::Trim(events) => {
                if !self.setup.keeps_all() {
                    engine.trim(events);
                }
            }
        }
    }

    // What has come of it.

    /// Looks what sockets took, and what publishers were told.
    fn look(&self) {
        self.answer();
        self.move_on();
        self.let_in();
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

    fn listen(&self) {
        let mut clients = lock(&self.clients);
        for (number, client) in clients.iter_mut().enumerate() {
            let Some(socket) = &client.socket else { continue };
            let closed = socket.is_closed();
            let taken = socket.taken();
            if !taken.is_empty() {
                lock(&self.trace).take(number, &taken);
                lock(&self.ledger).took(number, &taken);
            }
            if closed {
                lock(&self.trace).note(|| format!("  client {number} is disconnected"));
                lock(&self.ledger).ended(number, client.is_smooth && !socket.is_broken());
                client.socket = None;
            }
        }
    }

    // The end.

    /// Whatever went wrong is over: everyone comes back and has to have everything, and what is
    /// published then.
    pub(crate) fn finish(&self) {
        lock(&self.meanwhile).clear();
        if let Some(disk) = &self.disk {
            disk.mend();
        }
        for node in 0..self.setup.nodes {
            if let Some(engine) = &self.engine {
                engine.set_reachable(node, true);
            }
            let is_well =
                self.node(node).is_some_and(|node| node.hub.ready().is_ok() && !node.has_drained());
            if !is_well {
                self.take(&Step::Restart { node, how: Stop::Closed });
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
            self.take(&Step::Publish {
                node: topic % self.setup.nodes,
                topic,
                count: 1,
                typed: true,
                size: 0,
                keyed: false,
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
                self.take(&Step::Restart { node, how: Stop::Closed });
            }
            for _ in 0..4 {
                self.take(&Step::Work { node });
                (0..SHARDS).for_each(|shard| self.take(&Step::Turn { node, shard }));
                self.take(&Step::Read { node });
            }
        }
        self.take(&Step::Pass { millis: 600 });
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

fn subject_of(client: usize) -> Arc<str> {
    format!("client {client}").into()
}

fn batch_of(messages: Vec<Message>, key: Option<&str>) -> Batch {
    let draft = |Message { topic, event_type, text }: Message| Draft {
        topic: Topic::parse(&topic).expect("a topic"),
        event_type: event_type.map(|text| EventType::parse(&text).expect("an event type")),
        message: text.into(),
        extras: None,
    };
    Batch {
        drafts: messages.into_iter().map(draft).collect(),
        key: key.map(|key| IdempotencyKey::parse(key).expect("a key")),
    }
}
