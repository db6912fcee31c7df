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

/// The nodes as they were last heard, this one among them; `None` while nobody can be heard: not to know who is there is
/// not to know that nobody is.
#[derive(Debug, Default)]
pub(super) struct Membership(Mutex<Option<Vec<Value>>>);

/// Why the other nodes cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("it is not known which nodes there are")]
pub(super) struct NotHeard;

/// What a node says of itself.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) node: Node,
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
}

impl Membership {
    pub(super) fn nodes(&self) -> Option<Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of all nodes but this one.
    pub(super) fn others(&self, this: NodeId) -> Result<Vec<String>, NotHeard> {
        let this = this.to_string();
        let nodes = self.nodes().ok_or(NotHeard)?;
        let ids = nodes.into_iter().filter_map(|node| Some(node["id"].as_str()?.to_owned()));
        Ok(ids.filter(|id| *id != this).collect())
    }

    /// Sends this node's heartbeats, and notes those of the others, for ever.
    pub(super) async fn keep(&self, store: &ClusterStore, heartbeat: Heartbeat) {
        let mut ticks = interval(EVERY);
        let id = heartbeat.node.id.to_string();
        loop {
            ticks.tick().await;
            let heard = store.heartbeat(&id, &heartbeat.line(store).to_string()).await;
            if let Err(error) = &heard {
                tracing::debug!(%error, "the other nodes cannot be heard");
            }
            let nodes = heard.ok().map(|lines| {
                // A line of another version that is not understood says at least that it is there.
                let read = |line: &String| serde_json::from_str(line).unwrap_or_default();
                let mut nodes: Vec<Value> = lines.iter().map(read).collect();
                nodes.sort_by_key(|node| (node["name"].to_string(), node["id"].to_string()));
                nodes
            });
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
