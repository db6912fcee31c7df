//! A node: one hub with its clocks, its log, its shards and its readers, of which nothing does anything
//! by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fanfare_delivery::{
    DeliverySettings, Now, Ready, Retry, Seats, StepLimits, SteppedDelivery, SteppedReader,
};
use fanfare_disk::{DiskLog, DiskOptions, DiskWriter, Progress, SyncPolicy};
use fanfare_hub::{Hub, Window, WindowBounds};
use fanfare_log::{Environment, EventLog, Tail};
use fanfare_memory::{MemoryLog, MemorySettings};
use fanfare_redis::RedisWork;
use fanfare_testkit::{SimulatedDisk, SimulatedEnvironment};

use crate::lock::{lock, try_lock};
use crate::network::RedisNetwork;
use crate::plan::{KEY_WINDOW, SHARDS, Setup};

const HEARTBEAT: Duration = Duration::from_secs(5);

/// One that runs.
pub(crate) struct SimulatedNode {
    pub(crate) hub: Arc<Hub>,
    /// Whoever is in the middle of a turn has it.
    pub(crate) delivery: Mutex<SteppedDelivery>,
    reader: SteppedReader,
    pub(crate) seats: Seats,
    writer: Mutex<Worker>,
    /// What a poller has to say to each shard.
    ready: [Mutex<Vec<Ready>>; SHARDS],
    /// Which shards have been drained.
    drained: [Mutex<bool>; SHARDS],
    /// How many streams have been handed to shards.
    joined: Mutex<usize>,
    clock: NodeClock,
    /// What its reads go over, and as which node.
    network: Option<(Arc<RedisNetwork>, usize)>,
}

/// What does the log's own work.
enum Worker {
    None,
    Disk(Box<DiskWriter>),
    Redis(RedisWork, Arc<RedisNetwork>, usize),
}

/// What time it is on a node.
#[derive(Clone)]
pub(crate) struct NodeClock {
    pub(crate) environment: Arc<SimulatedEnvironment>,
    began: Instant,
}

impl NodeClock {
    pub(crate) fn new(seed: u64) -> Self {
        let environment = Arc::new(SimulatedEnvironment::new(seed));
        Self { environment, began: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { monotonic: self.began + self.environment.elapsed(), wall: self.environment.now() }
    }
}

/// On what a node is to run.
pub(crate) enum NodeStorage {
    Memory,
    Disk(SimulatedDisk, SyncPolicy),
    Redis(Arc<RedisNetwork>, usize),
}

impl SimulatedNode {
    /// Starts; `None` where its log does not open.
    pub(crate) fn start(
        setup: &Setup,
        node_storage: &NodeStorage,
        clock: &NodeClock,
    ) -> Option<Self> {
        let retention = setup.retention();
        let bounds = WindowBounds { count: setup.window, bytes: 1 << 20 };
        let window = Arc::new(Window::new(bounds, retention));
        let tail = Arc::clone(&window) as Arc<dyn Tail>;
        let environment = Arc::clone(&clock.environment) as Arc<dyn Environment>;
        let (log, writer): (Arc<dyn EventLog>, _) = match node_storage {
            NodeStorage::Memory => {
                let settings =
                    MemorySettings { retention, key_window: KEY_WINDOW, key_capacity: 1000 };
                (MemoryLog::open_in(environment, settings, tail), Worker::None)
            }
            NodeStorage::Disk(disk, sync) => {
                let mut options = DiskOptions::new(retention);
                options.retain_topic_count = setup.retain_topic_count;
                options.sync = *sync;
                options.segment_bytes = 4096;
                options.key_window = KEY_WINDOW;
                options.key_capacity = 1000;
                let storage = Arc::new(disk.clone());
                let (log, writer) =
                    DiskLog::open_by_hand(storage, environment, options, tail).ok()?;
                (Arc::new(log), Worker::Disk(Box::new(writer)))
            }
            NodeStorage::Redis(network, number) => {
                let (log, work) = network.open(*number, setup, environment, tail).ok()?;
                (log, Worker::Redis(work, Arc::clone(network), *number))
            }
        };
        let seats = Seats::new(64);
        let settings = DeliverySettings {
            shards: SHARDS,
            heartbeat: HEARTBEAT,
            longest_heartbeat: 4 * HEARTBEAT,
            write_timeout: Duration::from_secs(30),
            min_rate: 16,
            max_age: None,
            retry: Retry(Duration::from_secs(3)),
            seats: seats.clone(),
            limits: StepLimits::SMALL,
        };
        let hub = Arc::new(Hub::new(window, log));
        // As little or as much as it takes, as at any start; what cannot be read is not served from there.
        let _ = match node_storage {
            NodeStorage::Redis(network, number) => {
                network.reading(*number, true, || hub.warm(|| true))
            }
            NodeStorage::Memory | NodeStorage::Disk(..) => hub.warm(|| true),
        };
        let delivery = SteppedDelivery::new(&hub, &settings, clock.now()).expect("a poller");
        Some(Self {
            hub,
            reader: delivery.reader(),
            delivery: Mutex::new(delivery),
            seats,
            writer: Mutex::new(writer),
            ready: Default::default(),
            drained: Default::default(),
            joined: Mutex::new(0),
            clock: clock.clone(),
            network: match node_storage {
                NodeStorage::Redis(network, number) => Some((Arc::clone(network), *number)),
                NodeStorage::Memory | NodeStorage::Disk(..) => None,
            },
        })
    }

    /// The shard that the next stream goes to.
    pub(crate) fn next_shard(&self) -> usize {
        let mut joined = lock(&self.joined);
        *joined += 1;
        (*joined - 1) % SHARDS
    }

    /// A poller says this to a shard at its next turn.
    pub(crate) fn queue_ready(&self, shard: usize, ready: Ready) {
        lock(&self.ready[shard]).push(ready);
    }

    /// A shard takes a turn, unless one is in the middle of one.
    pub(crate) fn turn(&self, shard: usize) {
        let Some(mut delivery) = try_lock(&self.delivery) else { return };
        if *lock(&self.drained[shard]) {
            return;
        }
        let ready = std::mem::take(&mut *lock(&self.ready[shard]));
        let done = delivery.turn(shard, self.clock.now(), ready);
        *lock(&self.drained[shard]) |= done;
    }

    /// A publisher takes a short turn of each shard, unless one is in the middle of a turn.
    pub(crate) fn short_turns(&self) {
        let Some(mut delivery) = try_lock(&self.delivery) else { return };
        for (shard, drained) in self.drained.iter().enumerate() {
            if !*lock(drained) {
                // Whether it did everything is of no consequence: shards get their turns in any case.
                delivery.short_turn(shard, self.clock.now());
            }
        }
    }

    /// Whether a shard has something to do at once.
    pub(crate) fn is_busy(&self, shard: usize) -> bool {
        let now = self.clock.now();
        !*lock(&self.drained[shard])
            && lock(&self.delivery).poll_timeout(shard, now) == Some(Duration::ZERO)
    }

    /// Whether any shard has been drained.
    pub(crate) fn has_drained(&self) -> bool {
        self.drained.iter().any(|drained| *lock(drained))
    }

    /// Reads a page; whether one was asked for.
    pub(crate) fn read(&self) -> bool {
        match &self.network {
            Some((network, number)) => network.reading(*number, true, || self.reader.read_page()),
            None => self.reader.read_page(),
        }
    }

    /// Does a piece of the log's own work; whether there was any.
    pub(crate) fn work(&self) -> bool {
        match try_lock(&self.writer).as_deref_mut() {
            Some(Worker::Disk(writer)) => writer.step() == Progress::Worked,
            Some(Worker::Redis(work, network, number)) => network.work(*number, work),
            Some(Worker::None) | None => false,
        }
    }

    /// Stops in good order: what is queued is written.
    pub(crate) fn close(self) {
        let Self { hub, delivery, reader, writer, .. } = self;
        drop((delivery, reader, hub));
        if let Worker::Disk(mut writer) =
            writer.into_inner().unwrap_or_else(PoisonError::into_inner)
        {
            while writer.step() != Progress::Ended {}
        }
    }

    /// Is gone: nothing is written any more.
    pub(crate) fn kill(self) {
        let Self { hub, delivery, reader, writer, .. } = self;
        drop(writer);
        drop((delivery, reader, hub));
    }
}
