//! No cluster: stands for the other nodes in a program that was built without an engine that nodes share. There are
//! none, and nothing here but [`RedisCluster::of`] is ever called.

use std::sync::Arc;

use fanfare_auth::{Pending, TicketStore};
use fanfare_delivery::Delivery;
use fanfare_http::{
    Answers, AppState, Cluster, Member, NodeId, PublishStreams, QuestionHandler, Unreachable,
};
use fanfare_shares::Amount;

use crate::engine::Engine;

/// The other nodes.
#[derive(Debug)]
pub(crate) enum RedisCluster {}

impl RedisCluster {
    pub(crate) fn of(_: &Engine, _: NodeId) -> Option<Self> {
        None
    }

    pub(crate) fn listen(
        &self,
        _: Vec<Arc<Delivery>>,
        _: Arc<PublishStreams>,
        _: Option<Arc<dyn QuestionHandler>>,
    ) {
        match *self {}
    }

    pub(crate) async fn send_heartbeats(&self, _: &AppState) {
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

    fn members(&self) -> Vec<Member> {
        match *self {}
    }
}
