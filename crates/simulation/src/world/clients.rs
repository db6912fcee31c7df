//! Those who listen: how they come, what they take, and how they go.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_delivery::{
    Connection, Cut, Framing, Lease, Movable, NewSubscriber, Ready, SimulatedSocket, Sink, Wire,
};
use fanfare_event::{Pattern, PrivateRights, Selector, Timestamp};
use fanfare_hub::{Envelope, Interest, Requested, Resolution, Start};
use fanfare_log::Environment;

use super::World;
use crate::client::{GRANTS, SPECS, SimulatedClient, WaitingClient};
use crate::judge::{ConnectCursor, SpecEnvelope};
use crate::lock::{lock, try_lock};
use crate::node::SimulatedNode;
use crate::plan::With;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
/// How long a client that is ahead of its node is kept waiting. Simpler than what the hub does: a node here tells a
/// gap then, whether or not it has heard all that Redis has.
const AHEAD: Duration = Duration::from_secs(2);
/// How long a lease lasts, in milliseconds.
const LEASE: u64 = 60_000;

impl World {
    pub(super) fn connect(
        &self,
        client: usize,
        node: usize,
        with: With,
        leased: bool,
        room: Option<usize>,
    ) {
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
                (With::Earliest, _) => ConnectCursor::Earliest,
                (With::Stray | With::Nonsense, Some(text)) => ConnectCursor::Stray(text.clone()),
                (_, Some(text)) => ConnectCursor::After(text.clone()),
                (_, None) => ConnectCursor::Live,
            };
            (Requested::parse(text.as_deref()), beginning)
        };
        let until = self.clocks[node].environment.elapsed() + AHEAD;
        let waiting = WaitingClient { requested, beginning, until, leased, room };
        let mut clients = lock(&self.clients);
        clients[client].node = node;
        clients[client].waiting = Some(waiting);
    }

    /// Lets those in whose node has come to what they hold, or who have waited for long enough.
    pub(super) fn admit_waiting(&self) {
        for client in 0..self.setup.clients.len() {
            let (node, waiting) = {
                let clients = lock(&self.clients);
                let SimulatedClient { node, waiting: Some(waiting), .. } = &clients[client] else {
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

    pub(super) fn join(
        &self,
        client: usize,
        node: usize,
        it: &SimulatedNode,
        waiting: WaitingClient,
        start: Start,
    ) {
        let WaitingClient { beginning, leased, room, requested, .. } = waiting;
        let (spec, grant) = self.setup.clients[client];
        let spec = &SPECS[spec];
        let granted = GRANTS[grant].iter().map(|text| Pattern::parse(text).expect("a pattern"));
        let envelope = match spec.envelope {
            SpecEnvelope::None => Envelope::None,
            SpecEnvelope::Json => Envelope::Json,
            SpecEnvelope::Sealed => Envelope::Sealed,
        };
        let framing = if spec.chunked { Framing::Chunked } else { Framing::Bare };
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
        let selector = Selector::parse(spec.topics.iter().copied(), spec.types.iter().copied());
        let subscriber = NewSubscriber {
            sink: Sink::Simulated(socket),
            wire: Wire::native(envelope, framing),
            head: Bytes::from_static(HEAD),
            cadence: None,
            interest: Interest::shared(
                selector.expect("what a spec asks for is a selector"),
                PrivateRights::of(granted),
            ),
            start,
            has_id: matches!(requested, Requested::After(_)),
            address: [127, 0, 0, 1 + client as u8].into(),
            seat: it.seats.take().expect("there are more seats than clients"),
            lease: Some(Box::new(lease)),
        };
        lock(&it.delivery).delivery().join(subscriber);
    }

    pub(super) fn make_room(&self, client: usize, bytes: usize) {
        let clients = lock(&self.clients);
        let SimulatedClient { node, shard, socket: Some(socket), .. } = &clients[client] else {
            return;
        };
        socket.make_room(bytes);
        if let (Some(key), Some(node)) = (socket.key(), self.node(*node)) {
            node.queue_ready(*shard, Ready { key, readable: false, writable: true });
        }
    }

    pub(super) fn leave(&self, client: usize, breaks: bool) {
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
            node.queue_ready(it.shard, Ready { key, readable: true, writable: false });
        }
    }

    pub(super) fn cut(&self, client: usize) {
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

    pub(super) fn hand_over(&self, node: usize, shard: usize) {
        let Some(it) = self.node(node) else { return };
        let Some(delivery) = try_lock(&it.delivery) else { return };
        let moving = Arc::clone(&self.moving);
        delivery.delivery().detach(shard, 2, Movable::Secured, move |detached| {
            lock(&moving).extend(detached.into_iter().map(|detached| (node, detached)));
        });
    }

    /// Those who have been taken out of one shard come to the next.
    pub(super) fn move_on(&self) {
        let moving = std::mem::take(&mut *lock(&self.moving));
        for (node, detached) in moving {
            let Some(it) = self.node(node) else { continue };
            let Some(delivery) = try_lock(&it.delivery) else {
                lock(&self.moving).push((node, detached));
                continue;
            };
            let shard = it.next_shard();
            if let Connection::Simulated(socket) = &detached.connection {
                let mut clients = lock(&self.clients);
                let is_its = |client: &&mut SimulatedClient| {
                    client.socket.as_ref().is_some_and(|its| its.is_same(socket))
                };
                if let Some(client) = clients.iter_mut().find(is_its) {
                    client.shard = shard;
                }
            }
            if let Some(refused) = delivery.delivery().attach(*Box::new(detached)) {
                // It was drained meanwhile: that stream ends without a word.
                let mut clients = lock(&self.clients);
                if let Connection::Simulated(socket) = &refused.connection {
                    let its = clients.iter_mut().find(|client| {
                        client.socket.as_ref().is_some_and(|its| its.is_same(socket))
                    });
                    its.into_iter().for_each(|client| client.is_smooth = false);
                }
            }
        }
    }

    pub(super) fn listen(&self) {
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
}

fn subject_of(client: usize) -> Arc<str> {
    format!("client {client}").into()
}
