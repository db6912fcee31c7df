//! The cluster on Redis: how this node shares tickets, cuts, questions and its presence with the others on the same
//! log. On an engine of its own a node is alone, and there is none of this.

mod membership;
mod notices;
mod questions;
mod tickets;

use std::sync::Arc;

use fanfare_auth::{Pending, TicketStore};
use fanfare_delivery::Delivery;
use fanfare_http::{Answers, Cluster, NodeId, PublishStreams, QuestionHandler, Unreachable};
use fanfare_redis::ClusterStore;
use fanfare_shares::Amount;
use serde_json::Value;

pub(crate) use self::membership::Heartbeat;
use self::membership::Membership;
use self::notices::NoticeReader;
use self::questions::Questions;
use self::tickets::SharedTickets;

/// The other nodes, as this one reaches them through Redis.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    node: NodeId,
    store: Arc<ClusterStore>,
    membership: Membership,
}

impl RedisCluster {
    pub(crate) fn new(node: NodeId, store: Arc<ClusterStore>) -> Self {
        Self { node, store, membership: Membership::default() }
    }

    /// Ends in `deliveries`, from now on, what other nodes say is to end, and has `answers` answer what they ask. To be
    /// called on a runtime.
    pub(crate) fn listen(
        &self,
        deliveries: Vec<Arc<Delivery>>,
        publishers: Arc<PublishStreams>,
        answers: Option<Arc<dyn QuestionHandler>>,
    ) {
        let questions = Questions::new(self.node, Arc::clone(&self.store), answers);
        let node = self.node;
        self.store.listen(Arc::new(NoticeReader { node, deliveries, publishers, questions }));
    }

    /// Tells the other nodes every few seconds that this one is there, for ever.
    pub(crate) async fn send_heartbeats(&self, heartbeat: Heartbeat) {
        self.membership.keep(&self.store, heartbeat).await;
    }

    /// Tells the other nodes that this one goes; where that fails they notice in a few seconds.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.store.leave(&self.node.to_string()).await {
            tracing::debug!(%error, "the other nodes could not be told of the end");
        }
    }
}

impl Cluster for RedisCluster {
    fn tickets(&self, capacity: Amount) -> Box<dyn TicketStore> {
        Box::new(SharedTickets::new(Arc::clone(&self.store), capacity))
    }

    fn announce_cut<'a>(&'a self, subject: &'a str) -> Pending<'a, Result<(), Unreachable>> {
        Box::pin(async move {
            let notice = notices::cut(self.node, subject);
            self.store.broadcast(&notice).await.map_err(Unreachable::because)
        })
    }

    fn ask<'a>(&'a self, question: &'a str) -> Pending<'a, Result<Answers, Unreachable>> {
        Box::pin(async move {
            let members = self.membership.others(self.node).map_err(Unreachable::because)?;
            let asked = questions::ask(&self.store, self.node, question, members).await;
            asked.map_err(Unreachable::because)
        })
    }

    fn members(&self) -> Vec<Value> {
        self.membership.nodes().unwrap_or_default()
    }
}
