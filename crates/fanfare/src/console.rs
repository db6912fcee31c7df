//! The console's feed: what the hub is doing, once a second.
//!
//! The statistics are events of a log of their own, five minutes long, with a hub and a delivery of
//! their own. So they reach the console as every event reaches its subscribers; a console that is
//! opened begins with the last minutes, by asking for `earliest`; and one that reconnects has no
//! hole in its charts. A reserved topic in the users' log would have cost that log retention and
//! ids, would have reached whoever subscribes to `**`, and would have counted itself.
//!
//! Every figure counts since the start, as in `/metrics`; whoever wants a rate has the times. The
//! exceptions are latencies and busy topics, which are of the last seconds.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_delivery::{CloseReason, Delivery, DeliverySettings, Retry, Seats, StepLimits};
use fanfare_event::{Draft, Timestamp, Topic};
use fanfare_hub::{BusyTopic, GapReason, Hub, Window, WindowBounds};
use fanfare_log::{Batch, MemoryLog, MemorySettings, Retention, Tail};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use crate::cluster::Cluster;
use crate::latency::Tally;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::resident_memory::resident_memory;
use crate::settings::Settings;

/// How often statistics are published.
const EVERY: Duration = Duration::from_secs(1);
/// How far back they go.
const KEPT: Retention =
    Retention { count: 300, bytes: 4 * 1024 * 1024, age: Duration::from_secs(300) };
/// How many consoles may be open at once.
const CONSOLES: usize = 32;
/// How many of the busiest topics are named.
const TOPICS: usize = 10;
/// How long the shards may take to count subscribers before the second is left out.
const COUNTING: Duration = Duration::from_millis(500);

/// The log of statistics, and its delivery.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
}

/// Whatever takes the statistics.
#[derive(Debug)]
pub(crate) struct Observer {
    hub: Arc<Hub>,
    delivery: Arc<Delivery>,
    metrics: Arc<Metrics>,
    node: Node,
    cluster: Option<Arc<Cluster>>,
    began: Instant,
    /// The latencies at the last look.
    before: Tally,
}

impl Console {
    /// An empty log, whose streams are kept as the users' streams are.
    pub(crate) fn open(settings: &Settings) -> io::Result<Self> {
        let bounds = WindowBounds { count: KEPT.count as usize, bytes: KEPT.bytes as usize };
        let window = Arc::new(Window::new(bounds, KEPT));
        let memory =
            MemorySettings { retention: KEPT, key_window: Duration::ZERO, key_capacity: 0 };
        let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
        let hub = Arc::new(Hub::new(window, log));
        let seats = Seats::new(CONSOLES);
        let settings = DeliverySettings {
            shards: 1,
            heartbeat: settings.heartbeat,
            write_timeout: settings.write_timeout,
            min_rate: settings.min_rate.get(),
            retry: Retry(settings.retry),
            seats,
            limits: StepLimits::default(),
        };
        let delivery = Arc::new(Delivery::start(&hub, &settings)?);
        Ok(Self { hub, delivery })
    }

    /// Publishes what `observer` sees, every second, for ever.
    pub(crate) async fn feed(&self, mut observer: Observer) {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            let now = Timestamp::now();
            let watched = self.delivery.seats().taken() > 0;
            let message = observer.look(now, watched).await.to_string().into();
            let draft = Draft { topic: Topic::default(), event_type: None, message };
            if let Err(error) = self.hub.publish(Batch { drafts: vec![draft], key: None }).await {
                tracing::warn!(%error, "the console's statistics could not be published");
            }
            self.hub.expire(now);
        }
    }
}

impl Observer {
    /// `cluster` is the other nodes, where there may be some.
    pub(crate) fn new(
        hub: Arc<Hub>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        node: Node,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        let before = metrics.latencies();
        Self { hub, delivery, metrics, node, cluster, began: Instant::now(), before }
    }

    /// One second's statistics; `assets/openapi.json` has their schema. While nobody looks, topics
    /// are not counted: that would cost every publish, and every shard.
    async fn look(&mut self, now: Timestamp, watched: bool) -> Value {
        let busy = if watched {
            self.hub.busiest(now, TOPICS)
        } else {
            self.hub.unwatch();
            Vec::new()
        };
        let topics = self.topics(&busy).await;
        let totals = self.delivery.totals();
        let seats = self.delivery.seats();
        let counted = self.metrics.counted();
        let (events, bytes) = self.hub.window().held();
        let latencies = self.metrics.latencies();
        let lately = latencies.since(&self.before);
        self.before = latencies;
        json!({
            "at": now.as_millis(),
            "node": {"id": self.node.id.to_string(), "name": self.node.name},
            "nodes": self.cluster.as_ref().map(|cluster| cluster.nodes()),
            "uptime": self.began.elapsed().as_secs(),
            "subscribers": seats.taken(),
            "max_subscribers": seats.capacity(),
            "publishes": counted.published_events,
            "published_bytes": counted.published_bytes,
            "repeated_publishes": counted.repeated,
            "deliveries": totals.deliveries,
            "delivered_bytes": totals.bytes,
            "slowest_lag": totals.slowest_lag,
            "gaps": by_reason(GapReason::ALL.map(|r| (r.as_str(), totals.gaps[r.index()]))),
            "closed": by_reason(CloseReason::ALL.map(|r| (r.as_str(), totals.closed[r.index()]))),
            "refused": by_reason(counted.refused),
            "window": {"events": events, "bytes": bytes},
            "log": self.hub.log_size().map(|size| {
                json!({"events": size.events, "bytes": size.bytes})
            }),
            "resident_memory": resident_memory(),
            "publish_latency": percentiles(&lately),
            "topics": topics,
        })
    }

    /// The busy topics, each with its subscribers.
    async fn topics(&self, busy: &[BusyTopic]) -> Vec<Value> {
        if busy.is_empty() {
            return Vec::new();
        }
        let names: Arc<[Topic]> = busy.iter().map(|busy| busy.topic.clone()).collect();
        let shards = self.delivery.shards();
        let (counts, mut counted) = mpsc::channel(shards);
        // There is room for an answer of each shard.
        self.delivery.count(&names, move |count| drop(counts.try_send(count)));
        let mut subscribers = vec![0; busy.len()];
        let sum = async {
            for _ in 0..shards {
                let Some(counts) = counted.recv().await else { break };
                subscribers.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            }
        };
        if timeout(COUNTING, sum).await.is_err() {
            tracing::debug!("a shard did not count its subscribers in time");
        }
        let topics = busy.iter().zip(subscribers);
        topics
            .map(|(BusyTopic { topic, rate }, subscribers)| {
                json!({"topic": topic.as_str(), "rate": rate, "subscribers": subscribers})
            })
            .collect()
    }
}

/// `None` without a publish.
fn percentiles(lately: &Tally) -> Option<Value> {
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| lately.quantile(share));
    Some(json!({"p50": p50?, "p90": p90?, "p99": p99?, "max": max?}))
}

fn by_reason<const N: usize>(counts: [(&'static str, u64); N]) -> Map<String, Value> {
    counts.into_iter().map(|(reason, count)| (reason.to_owned(), count.into())).collect()
}
