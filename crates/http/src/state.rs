//! The state: what the handlers of requests work with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::http::request::Parts;
use fanfare_delivery::{Cut, Delivery};
use fanfare_hub::Hub;
use tokio::sync::mpsc;

#[cfg(any(test, fuzzing))]
use crate::access::AccessConfig;
use crate::access::{Access, CurrentKeys};
use crate::audit::{Trail, audit};
use crate::cluster::Cluster;
use crate::console::Console;
use crate::gate::{Gate, GateState};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::publish_streams::PublishStreams;
#[cfg(any(test, fuzzing))]
use crate::quotas::QuotaLimits;
use crate::quotas::{Quotas, RequestKind, RequestPlace};
use crate::refusal::Refusal;
use crate::reserved::ReservedNames;

/// What one hub's handlers share.
#[derive(Debug)]
pub struct AppState {
    /// Where events go, and what cursors are held against.
    pub hub: Arc<Hub>,
    /// Where streams go.
    pub delivery: Arc<Delivery>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The hub of statistics, and its streams.
    pub console: Arc<Console>,
    /// Who callers are.
    pub access: Access,
    /// Who was let in, and who was not.
    pub trail: Trail,
    /// The other nodes, where there may be some.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// This one.
    pub node: Node,
    /// How much one client may take up.
    pub quotas: Quotas,
    /// Publishers that stream.
    pub publish_streams: Arc<PublishStreams>,
    /// What only the hub publishes.
    pub reserved: Vec<Arc<dyn ReservedNames>>,
    /// The longest message, in bytes.
    pub max_message: usize,
    /// Through which whoever acts on the hub goes.
    pub gate: Arc<Gate>,
    /// Set once the hub is shutting down.
    pub draining: AtomicBool,
}

impl AppState {
    /// Whoever comes from now on is asked to come back.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.publish_streams.drain();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Accepts these keys from now on, and no others but those of the key set.
    pub fn replace_keys(&self, keys: CurrentKeys) {
        self.access.replace_keys(keys);
        audit!("keys_read");
    }

    /// Ends the streams that were let in by keys that are no longer accepted.
    pub async fn end_withdrawn(&self) {
        for credential in self.access.withdrawn() {
            let streams = self.end_streams(credential.name()).await;
            tracing::warn!(
                streams,
                "a key was removed, and the streams that it had admitted were ended"
            );
            audit!("key_withdrawn", streams);
        }
    }

    /// Why nothing new is begun that would go on for long, if so.
    pub(crate) fn is_ending(&self) -> Option<Refusal> {
        if self.is_draining() {
            return Some(Refusal::Draining);
        }
        (self.gate.state() != GateState::Open).then_some(Refusal::Moving)
    }

    /// A place for a request while it is being answered.
    pub(crate) fn place(&self, request: &Parts) -> Result<RequestPlace, Refusal> {
        let address = self.access.address(&request.extensions, &request.headers);
        let address = address.ok_or(Refusal::NoPeer)?;
        self.quotas.places.take(address, RequestKind::of(request.uri.path()))
    }

    /// Ends the streams of a subject, or those that a credential let in, consoles among them, at this
    /// node; how many those were.
    pub(crate) async fn end_streams(&self, subject: &str) -> usize {
        let (done, mut counts) = mpsc::unbounded_channel();
        let cut: Arc<[_]> = Arc::from([Cut { subject: subject.into(), at: Instant::now() }]);
        self.publish_streams.cut(&cut);
        // The channel closes when the last shard has answered, or has gone.
        for delivery in [&self.delivery, &self.console.delivery] {
            let done = done.clone();
            delivery.cut(&cut, move |count| {
                let _ = done.send(count);
            });
        }
        drop(done);
        let mut count = 0;
        while let Some(more) = counts.recv().await {
            count += more;
        }
        count
    }
}

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "for tests, which fail by panicking")]
impl AppState {
    /// Of a hub that nobody uses, with so many seats for streams.
    pub(crate) fn idle(limits: &QuotaLimits, access: AccessConfig, seats: usize) -> Arc<Self> {
        use std::time::Duration;

        use fanfare_delivery::{DeliverySettings, Retry, Seats, StepLimits};
        use fanfare_hub::{Window, WindowBounds};
        use fanfare_log::{Retention, Tail};
        use fanfare_memory::{MemoryLog, MemorySettings};

        use crate::console::StreamConfig;

        let second = Duration::from_secs(1);
        let retention = Retention { count: 1, bytes: 1, age: second };
        let window = Arc::new(Window::new(WindowBounds { count: 1, bytes: 1 }, retention));
        let memory = MemorySettings { retention, key_window: second, key_capacity: 1 };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Arc::new(Hub::new(window, log));
        let window = Console::window();
        let memory = MemorySettings { retention: Console::RETENTION, ..memory };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let delivery = DeliverySettings {
            shards: 1,
            heartbeat: second,
            longest_heartbeat: second,
            write_timeout: second,
            min_rate: 0,
            max_age: None,
            retry: Retry(second),
            seats: Seats::new(seats),
            limits: StepLimits::default(),
        };
        let delivery = Arc::new(Delivery::start(&hub, &delivery).unwrap());
        let streams =
            StreamConfig { heartbeat: second, write_timeout: second, min_rate: 0, retry: second };
        Arc::new(Self {
            metrics: Arc::new(Metrics::new(Arc::clone(&hub), Arc::clone(&delivery), Vec::new())),
            access: Access::new(access),
            trail: Trail::default(),
            cluster: None,
            node: Node::new(None, ([127, 0, 0, 1], 0).into()),
            quotas: Quotas::new(limits),
            console: Arc::new(Console::new(streams, window, log).unwrap()),
            hub,
            delivery,
            publish_streams: PublishStreams::new(),
            reserved: Vec::new(),
            max_message: 1,
            gate: Gate::new(),
            draining: AtomicBool::new(false),
        })
    }
}
