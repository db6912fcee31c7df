//! The cluster on Redis: how this node shares tickets, cuts, questions and its presence with the others on the same
//! log. A node on an engine of its own is alone, and has none of this.
//!
//! What must hold: nothing waits for a node that does not answer longer than a named bound, and a node that was cut off
//! from the others ends what they have cut meanwhile.

mod membership;
mod notices;
mod questions;
mod tickets;

use std::sync::Arc;

use fanfare_auth::{Pending, TicketStore};
use fanfare_delivery::Delivery;
use fanfare_http::{
    Answers, AppState, Cluster, Member, NodeId, PublishStreams, QuestionHandler, Unreachable,
};
use fanfare_redis::ClusterStore;
use fanfare_shares::Amount;

use self::membership::Membership;
use self::notices::NoticeReader;
use self::questions::Questions;
use self::tickets::SharedTickets;
use crate::engine::Engine;

/// The other nodes, as this one reaches them through Redis.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    node: NodeId,
    store: Arc<ClusterStore>,
    membership: Membership,
}

impl RedisCluster {
    /// The way from this node to the others, if the engine is one that nodes share.
    pub(crate) fn of(engine: &Engine, node: NodeId) -> Option<Self> {
        let Engine::Redis(log) = engine else { return None };
        let store = Arc::clone(log.cluster_store());
        Some(Self { node, store, membership: Membership::default() })
    }

    /// From now on, ends in `deliveries` the streams that other nodes say are to end, and has `answers` answer their
    /// questions. To be called on a runtime.
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
    pub(crate) async fn send_heartbeats(&self, app: &AppState) {
        self.membership.keep(&self.store, app).await;
    }

    /// Tells the other nodes that this one goes; if that fails, they notice in a few seconds.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.store.leave(&self.node.to_string()).await {
            tracing::debug!(%error, "the other nodes could not be told that this one ends");
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
            let others = self.membership.others(self.node);
            let (nodes, unknown) = others.map_err(Unreachable::because)?;
            let asked = questions::ask(&self.store, self.node, question, nodes).await;
            let Answers { given, missing } = asked.map_err(Unreachable::because)?;
            Ok(Answers { given, missing: missing + unknown })
        })
    }

    fn members(&self) -> Vec<Member> {
        self.membership.members().unwrap_or_default()
    }
}
