//! The observer: what the hub is doing, one second's statistics at a time.
//!
//! Every figure counts since the start, as in `/metrics`; a rate follows from the times. The
//! exceptions are latencies and busy topics, which are of the last seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_delivery::{CloseReason, Delivery, TopicCount};
use fanfare_event::{Timestamp, Topic};
use fanfare_hub::{BusyTopic, GapReason, Hub};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cluster::{Cluster, Member};
use crate::metrics::{LastUpgrade, LatencySnapshot, Metrics, resident_memory};
use crate::node::Node;

/// How many of the busiest topics are named.
const TOPICS: usize = 10;
/// How long the shards may take to count subscribers; a shard that takes longer is left out.
const COUNTING: Duration = Duration::from_millis(500);

/// Takes the statistics.
#[derive(Debug)]
pub struct Observer {
    hub: Arc<Hub>,
    delivery: Arc<Delivery>,
    metrics: Arc<Metrics>,
    node: Node,
    cluster: Option<Arc<dyn Cluster>>,
    began: Instant,
    /// The latencies at the last look.
    before: LatencySnapshot,
}

impl Observer {
    /// `cluster` is the other nodes, where there may be some.
    pub fn new(
        hub: Arc<Hub>,
        delivery: Arc<Delivery>,
        metrics: Arc<Metrics>,
        node: Node,
        cluster: Option<Arc<dyn Cluster>>,
    ) -> Self {
        let before = metrics.latencies();
        Self { hub, delivery, metrics, node, cluster, began: Instant::now(), before }
    }

    /// One second's statistics; `assets/openapi.json` has their schema. While nobody looks, topics
    /// are not counted: that would cost every publish, and every shard.
    pub(super) async fn observe(&mut self, now: Timestamp, watched: bool) -> Value {
        let busy = if watched {
            self.hub.busiest(now, TOPICS)
        } else {
            self.hub.stop_counting_topics();
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
        let total = |name, value| self.metrics.total(name, "", value);
        let by_reason = |name, counts: &[(&'static str, u64)]| -> Map<String, Value> {
            let total = |(reason, count): &(&str, u64)| self.metrics.total(name, reason, *count);
            counts.iter().map(|it| (it.0.to_owned(), total(it).into())).collect()
        };
        json!({
            "at": now.as_millis(),
            "node": {"id": self.node.id.to_string(), "name": self.node.name},
            "nodes": self.cluster.as_ref().map(|cluster| nodes(&cluster.members())),
            "uptime": self.began.elapsed().as_secs(),
            "subscribers": seats.taken(),
            "max_subscribers": seats.capacity(),
            "publishes": total("publishes", counted.published_events),
            "published_bytes": total("published_bytes", counted.published_bytes),
            "repeated_publishes": total("repeated_publishes", counted.repeated_publishes),
            "deliveries": total("deliveries", totals.deliveries),
            "delivered_bytes": total("delivered_bytes", totals.bytes),
            "slowest_lag": totals.slowest_lag,
            "gaps": by_reason("gaps", &GapReason::ALL.map(|r| (r.as_str(), totals.gaps[r.index()]))),
            "closed": by_reason("closed", &CloseReason::ALL.map(|r| (r.as_str(), totals.closed[r.index()]))),
            "refused": by_reason("refused", &self.metrics.refusals()),
            "window": {"events": events, "bytes": bytes},
            "log": self.hub.log_size().map(|size| {
                json!({"events": size.events, "bytes": size.bytes})
            }),
            "resident_memory": resident_memory(),
            "publish_latency": percentiles(&lately),
            "topics": topics,
            "upgrade": upgrade(self.metrics.upgrades().last()),
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
        let mut sums = vec![TopicCount::default(); busy.len()];
        let sum = async {
            for _ in 0..shards {
                let Some(counts) = counted.recv().await else { break };
                for (sum, count) in sums.iter_mut().zip(counts) {
                    sum.subscribers += count.subscribers;
                    sum.more |= count.more;
                }
            }
        };
        if timeout(COUNTING, sum).await.is_err() {
            tracing::debug!("a shard did not count its subscribers in time");
            sums.iter_mut().for_each(|sum| sum.more = true);
        }
        let topics = busy.iter().zip(sums);
        topics
            .map(|(BusyTopic { topic, rate }, TopicCount { subscribers, more })| {
                json!({"topic": topic.as_str(), "rate": rate, "subscribers": subscribers, "more": more})
            })
            .collect()
    }
}

fn nodes(members: &[Member]) -> Vec<Value> {
    members.iter().map(Member::to_json).collect()
}

/// `None` without an upgrade.
fn upgrade(last: LastUpgrade) -> Option<Value> {
    let LastUpgrade { count, moved, closed, pause_micros } = last;
    let pause = pause_micros as f64 / 1e6;
    (count > 0).then(|| json!({"count": count, "moved": moved, "closed": closed, "pause": pause}))
}

/// `None` without a publish.
fn percentiles(lately: &LatencySnapshot) -> Option<Value> {
    let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| lately.quantile(share));
    Some(json!({"p50": p50?, "p90": p90?, "p99": p99?, "max": max?}))
}
