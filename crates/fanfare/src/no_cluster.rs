//! What stands for the other nodes in a program that was built without an engine that nodes share:
//! there are none, and nothing here is ever called.

use std::convert::Infallible;
use std::sync::Arc;

use fanfare_auth::MemoryTickets;
use fanfare_delivery::Delivery;
use fanfare_hub::Hub;
use fanfare_shares::Amount;
use serde_json::Value;

use crate::node::Node;

/// The other nodes.
#[derive(Debug)]
pub(crate) enum Cluster {}

/// Why they could not be told.
pub(crate) type CommonsError = Infallible;

/// What this node would say of itself.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(crate) node: Node,
    pub(crate) hub: Arc<Hub>,
    pub(crate) delivery: Arc<Delivery>,
}

impl Cluster {
    pub(crate) fn tickets(&self, _: Amount) -> MemoryTickets {
        match *self {}
    }

    pub(crate) fn obey(&self, _: Vec<Arc<Delivery>>) {
        match *self {}
    }

    pub(crate) fn nodes(&self) -> Vec<Value> {
        match *self {}
    }

    pub(crate) async fn attend(&self, presence: Presence) {
        drop((presence.node.started, presence.hub, presence.delivery));
        match *self {}
    }

    pub(crate) async fn leave(&self) {
        match *self {}
    }

    pub(crate) async fn cut(&self, _: &str) -> Result<(), CommonsError> {
        match *self {}
    }
}
