//! The cluster: what this node shares with the others on the same engine, beside the log. On an
//! engine of its own a node is alone, and there is none of this.

mod cuts;
mod roll;
mod tickets;

use std::sync::Arc;

use fanfare_delivery::Delivery;
use fanfare_redis::Commons;
pub(crate) use fanfare_redis::CommonsError;
use fanfare_shares::Amount;
use serde_json::Value;

use self::cuts::HeardCuts;
pub(crate) use self::roll::Presence;
use self::roll::Roll;
pub(crate) use self::tickets::SharedTickets;
use crate::node::NodeId;

/// The other nodes, as this one reaches them.
#[derive(Debug)]
pub(crate) struct Cluster {
    node: NodeId,
    commons: Arc<Commons>,
    roll: Roll,
}

impl Cluster {
    pub(crate) fn new(node: NodeId, commons: Arc<Commons>) -> Self {
        Self { node, commons, roll: Roll::default() }
    }

    /// Tickets that are good once on any node, at most `capacity` of this node's at a time.
    pub(crate) fn tickets(&self, capacity: Amount) -> SharedTickets {
        SharedTickets::new(Arc::clone(&self.commons), capacity)
    }

    /// Ends in `deliveries` what other nodes say is to end.
    pub(crate) fn obey(&self, deliveries: Vec<Arc<Delivery>>) {
        self.commons.listen(Arc::new(HeardCuts { node: self.node, deliveries }));
    }

    /// The nodes that are there, as each last said of itself; empty while they cannot be heard.
    pub(crate) fn nodes(&self) -> Vec<Value> {
        self.roll.nodes()
    }

    /// Keeps this node on the roll, for ever.
    pub(crate) async fn attend(&self, presence: Presence) {
        self.roll.call(&self.commons, presence).await;
    }

    /// Takes this node off the roll; where that fails it is struck off in a few seconds.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.commons.leave(&self.node.to_string()).await {
            tracing::debug!(%error, "the other nodes could not be told of the end");
        }
    }

    /// Tells the other nodes that the streams of a subject are to end.
    pub(crate) async fn cut(&self, subject: &str) -> Result<(), CommonsError> {
        self.commons.notify(&cuts::notice(self.node, subject)).await
    }
}
