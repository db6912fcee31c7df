//! A shard over a log that does what it is told, turned by hand.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use fanfare_event::{Draft, EventType, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, EventLog, Retention, Tail};
use fanfare_testkit::FickleLog;

use super::super::Shard;
use crate::delivery::Delivery;
use crate::now::Now;
use crate::ready::Ready;
use crate::retry::Retry;
use crate::seats::Seats;
use crate::settings::{DeliverySettings, StepLimits};
use crate::simulated_socket::SimulatedSocket;
use crate::sink::Sink;
use crate::stepped::SteppedDelivery;
use crate::subscription::NewSubscriber;
use crate::wire::{Framing, Wire};

pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
const WIDE: WindowBounds = WindowBounds { count: 1 << 20, bytes: 1 << 40 };
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A shard over a log, driven by hand.
pub(super) struct Rig {
    pub(super) hub: Arc<Hub>,
    pub(super) log: Arc<FickleLog>,
    stepped: SteppedDelivery,
    pub(super) settings: DeliverySettings,
    pub(super) now: Now,
}

impl Rig {
    pub(super) fn new(bounds: WindowBounds) -> Self {
        Self::build(bounds, |_| {})
    }

    /// With a wide window, and other settings.
    pub(super) fn with(change: impl FnOnce(&mut DeliverySettings)) -> Self {
        Self::build(WIDE, change)
    }

    fn build(bounds: WindowBounds, change: impl FnOnce(&mut DeliverySettings)) -> Self {
        let retention =
            Retention { count: 1 << 30, bytes: 1 << 40, age: Duration::from_secs(3600) };
        let window = Arc::new(Window::new(bounds, retention));
        let log = FickleLog::open(1 << 30, Arc::clone(&window) as Arc<dyn Tail>);
        let mut settings = DeliverySettings {
            shards: 1,
            heartbeat: HEARTBEAT,
            longest_heartbeat: 16 * HEARTBEAT,
            write_timeout: WRITE_TIMEOUT,
            min_rate: 256,
            max_age: None,
            retry: Retry(Duration::from_secs(3)),
            seats: Seats::new(1 << 20),
            limits: StepLimits::SMALL,
        };
        change(&mut settings);
        let hub = Arc::new(Hub::new(window, Arc::clone(&log) as Arc<dyn EventLog>));
        let now = Now::read();
        let stepped = SteppedDelivery::new(&hub, &settings, now).unwrap();
        Self { hub, log, stepped, settings, now }
    }

    pub(super) fn shard(&self) -> &Shard {
        self.stepped.shard(0)
    }

    pub(super) fn shard_mut(&mut self) -> &mut Shard {
        self.stepped.shard_mut(0)
    }

    pub(super) fn delivery(&self) -> &Delivery {
        self.stepped.delivery()
    }

    pub(super) fn wide() -> Self {
        Self::new(WIDE)
    }

    pub(super) fn publish(&self, drafts: impl IntoIterator<Item = (&'static str, String)>) {
        publish_to(&self.hub, drafts);
    }

    pub(super) fn publish_of_type(&self, topic: &str, event_type: &str, text: &str) {
        let (topic, event_type) = (Topic::parse(topic).unwrap(), EventType::parse(event_type).ok());
        publish_drafts(
            &self.hub,
            vec![Draft { topic, event_type, message: text.into(), extras: None }],
        );
    }

    /// Whether the shard has been woken since this was last asked.
    pub(super) fn is_woken(&mut self) -> bool {
        self.stepped.is_woken(0)
    }

    pub(super) fn subscriber(
        &self,
        topic: &str,
        socket: &SimulatedSocket,
        requested: &Requested,
    ) -> NewSubscriber {
        NewSubscriber {
            sink: Sink::Simulated(socket.clone()),
            wire: Wire::native(Envelope::None, Framing::Chunked),
            head: Bytes::from_static(HEAD),
            interest: Arc::new(Interest::new(
                Selector::parse([topic], []).unwrap(),
                PrivateRights::None,
            )),
            cadence: None,
            start: self.hub.resolve(requested).into_start(),
            has_id: false,
            address: [127, 0, 0, 1].into(),
            seat: self.settings.seats.take().unwrap(),
            lease: None,
        }
    }

    pub(super) fn ask(&self, topic: &str, requested: &Requested) -> SimulatedSocket {
        let socket = SimulatedSocket::default();
        let subscriber = self.subscriber(topic, &socket, requested);
        self.delivery().join(subscriber);
        socket
    }

    /// A subscriber of what is published from now on, whose sink takes everything.
    pub(super) fn listen(&mut self, topic: &str) -> SimulatedSocket {
        let socket = self.ask(topic, &Requested::Live);
        socket.make_room(usize::MAX);
        self.turn_until_idle();
        socket
    }

    /// Whether that was the last turn.
    pub(super) fn turn(&mut self) -> bool {
        self.stepped.turn(0, self.now, [])
    }

    /// A turn in which the poller says so much.
    pub(super) fn turn_with(&mut self, ready: impl IntoIterator<Item = Ready>) {
        self.stepped.turn(0, self.now, ready);
    }

    /// Whether there is something to do without the log and without room.
    pub(super) fn poll_is_due(&self) -> bool {
        self.stepped.poll_timeout(0, self.now) == Some(Duration::ZERO)
    }

    /// Lets the time pass until something is due.
    pub(super) fn sleep(&mut self) {
        if let Some(timeout) = self.stepped.poll_timeout(0, self.now) {
            self.now = self.now + timeout;
        }
    }

    /// Turns for as long as there is something to do without the log and without room.
    pub(super) fn turn_until_idle(&mut self) {
        self.turn();
        while self.poll_is_due() {
            self.turn();
        }
    }

    pub(super) fn room(&mut self, socket: &SimulatedSocket, bytes: usize) {
        socket.make_room(bytes);
        // A client that has left is none of its shard's business.
        let key = socket.key().unwrap();
        self.turn_with([Ready { key, readable: false, writable: true }]);
        self.turn_until_idle();
    }

    /// Reads one page that is asked for, and has it sent; whether there was one.
    pub(super) fn read_one(&mut self) -> bool {
        let did = self.stepped.read_page();
        if did {
            self.turn_until_idle();
        }
        did
    }

    /// Reads all pages that are asked for; how many those were.
    pub(super) fn read_all(&mut self) -> usize {
        let mut pages = 0;
        while self.read_one() {
            pages += 1;
        }
        pages
    }
}

pub(super) fn publish_to(hub: &Hub, drafts: impl IntoIterator<Item = (&'static str, String)>) {
    let draft = |(topic, text): (&str, String)| Draft {
        topic: Topic::parse(topic).unwrap(),
        event_type: None,
        message: text.into(),
        extras: None,
    };
    publish_drafts(hub, drafts.into_iter().map(draft).collect());
}

pub(super) fn publish_drafts(hub: &Hub, drafts: Vec<Draft>) {
    let mut appending = hub.publish(Batch { drafts, key: None });
    let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
}

pub(super) fn text(socket: &SimulatedSocket) -> String {
    String::from_utf8(socket.taken()).unwrap()
}

pub(super) fn events(text: &str) -> usize {
    text.matches("\ndata: ").count()
}
