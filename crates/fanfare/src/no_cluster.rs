//! What stands for the other nodes in a program that was built without an engine that nodes share:
//! there are none, and nothing here is ever called.

use std::sync::Arc;

use fanfare_auth::{Pending, TicketStore};
use fanfare_delivery::Delivery;
use fanfare_hub::Hub;
use fanfare_shares::Amount;
use serde_json::Value;

use fanfare_http::{Answers, Cluster, Node, PublishStreams, QuestionHandler, Unreachable};

/// The other nodes.
#[derive(Debug)]
pub(crate) enum RedisCluster {}

/// What this node would say of itself.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) node: Node,
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
}

impl RedisCluster {
    pub(crate) fn listen(
        &self,
        _: Vec<Arc<Delivery>>,
        _: Arc<PublishStreams>,
        _: Option<Arc<dyn QuestionHandler>>,
    ) {
        match *self {}
    }

    pub(crate) async fn send_heartbeats(&self, line: Heartbeat) {
        drop((line.node.started, line.hub, line.delivery));
        match *self {}
    }

    pub(crate) async fn leave(&self) {
        match *self {}
    }
}

impl Cluster for RedisCluster {
    fn tickets(&self, _: Amount) -> Box<dyn TicketStore> {
        match *self {}
    }

    fn announce_cut<'a>(&'a self, _: &'a str) -> Pending<'a, Result<(), Unreachable>> {
        match *self {}
    }

    fn ask<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Answers, Unreachable>> {
        match *self {}
    }

    fn members(&self) -> Vec<Value> {
        match *self {}
    }
}
