//! Membership: which nodes are there, by the heartbeat that each sends every few seconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_delivery::Delivery;
use fanfare_http::{Node, NodeId};
use fanfare_hub::Hub;
use fanfare_redis::ClusterStore;
use serde_json::{Value, json};
use tokio::time::interval;

/// How often a node says that it is there; a few times within [`ClusterStore::HEARTBEAT_TIMEOUT`].
const EVERY: Duration = Duration::from_secs(3);

/// The nodes as they were last heard, this one among them; empty while nobody can be heard.
#[derive(Debug, Default)]
pub(super) struct Membership(Mutex<Vec<Value>>);

/// What a node says of itself.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) node: Node,
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
}

impl Membership {
    pub(super) fn nodes(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of all nodes but this one.
    pub(super) fn others(&self, this: NodeId) -> Vec<String> {
        let this = this.to_string();
        let ids = self.nodes().into_iter().filter_map(|node| Some(node["id"].as_str()?.to_owned()));
        ids.filter(|id| *id != this).collect()
    }

    /// Sends this node's heartbeats, and notes those of the others, for ever.
    pub(super) async fn keep(&self, store: &ClusterStore, heartbeat: Heartbeat) {
        let mut ticks = interval(EVERY);
        let id = heartbeat.node.id.to_string();
        loop {
            ticks.tick().await;
            let heard = match store.heartbeat(&id, &heartbeat.line(store).to_string()).await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::debug!(%error, "the other nodes cannot be heard");
                    Vec::new()
                }
            };
            // A line of another version that is not understood says at least that it is there.
            let mut nodes: Vec<Value> =
                heard.iter().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
            let place = |node: &Value| (node["name"].to_string(), node["id"].to_string());
            nodes.sort_by_key(place);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
        }
    }
}

impl Heartbeat {
    fn line(&self, store: &ClusterStore) -> Value {
        json!({
            "id": self.node.id.to_string(),
            "name": self.node.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started": self.node.started.as_millis(),
            "subscribers": self.delivery.seats().taken(),
            "heard": self.hub.window().last().to_string(),
            "lag": store.lag(),
            "ready": self.hub.ready().is_ok(),
        })
    }
}
