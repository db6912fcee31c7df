//! What every connection shares, and how each is entered in the table and counted.

use std::convert::Infallible;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_rustls::rustls::ServerConfig;

use super::answer::Answerer;
use super::lifecycle::Lifecycle;
use super::limits::ConnectionLimits;
use super::parking::Parking;
use super::table::{ConnectionEntry, ConnectionTable, Eviction};
use crate::access::Peer;
use crate::dialect::NATIVE;
use crate::endpoint::Endpoint;
use crate::front::Front;
use crate::gate::GateState;
use crate::metrics::RefusalReason;
use crate::quotas::Addresses;
use crate::request_body::MemoryBudget;
use crate::state::AppState;

/// What every connection shares: how requests are answered, what is allowed, and when to stop.
#[derive(Debug, Clone)]
pub struct Connections {
    front: Front,
    pub(super) endpoint: Endpoint,
    pub(super) table: Arc<ConnectionTable>,
    pub(super) limits: ConnectionLimits,
    budget: Arc<MemoryBudget>,
    answers: Arc<MemoryBudget>,
    pub(super) addresses: Arc<Addresses>,
    /// Where it is, nothing but TLS is spoken.
    pub(super) tls: Option<Arc<ServerConfig>>,
    lifecycle: watch::Receiver<Lifecycle>,
    pub(super) parking: Arc<Parking>,
    /// Dropped with the last connection.
    _alive: mpsc::Sender<Infallible>,
}

impl Connections {
    /// Answers by `front` until the hub is stopping. The receiver ends once every connection has.
    pub fn new(
        front: Front,
        app: Arc<AppState>,
        table: Arc<ConnectionTable>,
        limits: ConnectionLimits,
        addresses: Addresses,
        tls: Option<Arc<ServerConfig>>,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> (Self, mpsc::Receiver<Infallible>) {
        let (alive, ended) = mpsc::channel(1);
        let [budget, answers] = [(); 2].map(|()| MemoryBudget::new(limits.bodies));
        let addresses = Arc::new(addresses);
        let connections = Self {
            front,
            endpoint: Endpoint { app, dialect: &NATIVE },
            table,
            limits,
            budget,
            answers,
            addresses,
            tls,
            lifecycle,
            parking: Arc::default(),
            _alive: alive,
        };
        (connections, ended)
    }

    pub(crate) fn app(&self) -> &Arc<AppState> {
        &self.endpoint.app
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where connections wait while the hub changes hands.
    pub fn parking(&self) -> &Arc<Parking> {
        &self.parking
    }

    /// Resolves when connections are to be parked.
    pub(super) async fn parking_wanted(&self) {
        let parks = |state| matches!(state, GateState::Quiescing | GateState::Closed);
        self.endpoint.app.gate.reached(parks).await;
    }

    pub(super) fn is_narrow(&self) -> bool {
        matches!(self.endpoint.app.gate.state(), GateState::Quiescing | GateState::Closed)
    }

    pub(super) fn answer(&self, peer: Peer, entry: &Arc<ConnectionEntry>) -> Answerer {
        Answerer {
            front: self.front.clone(),
            endpoint: self.endpoint.clone(),
            limits: self.limits,
            budget: Arc::clone(&self.budget),
            answers: Arc::clone(&self.answers),
            addresses: Arc::clone(&self.addresses),
            peer,
            entry: Arc::clone(entry),
        }
    }

    /// Enters a connection in the table, if its address and the hub have room for it.
    pub(super) fn enter(
        &self,
        address: SocketAddr,
    ) -> Result<(Arc<ConnectionEntry>, Eviction), RefusalReason> {
        let now = Instant::now();
        let place = self.addresses.enter(address.ip(), now)?;
        self.table.enter(address.ip(), place, now).ok_or(RefusalReason::Connections)
    }

    pub(super) fn refused(&self, reason: RefusalReason) {
        self.endpoint.app.metrics.refused(reason);
    }

    /// Counts how hyper left a connection, if that was a refusal.
    pub(super) fn count(&self, served: hyper::Result<()>) -> hyper::Result<()> {
        served.inspect_err(|error| {
            if let Some(reason) = refusal(error) {
                self.refused(reason);
            }
        })
    }

    /// Resolves when the hub has come so far.
    pub(super) async fn reached(&self, awaited: Lifecycle) {
        let mut lifecycle = self.lifecycle.clone();
        // The sender outlives the server; if it were gone, stopping would be right too.
        let _ = lifecycle.wait_for(|lifecycle| *lifecycle >= awaited).await;
    }

    pub(super) fn has_reached(&self, awaited: Lifecycle) -> bool {
        *self.lifecycle.borrow() >= awaited
    }
}

/// Whether a connection ended for what its peer should not have sent.
fn refusal(error: &hyper::Error) -> Option<RefusalReason> {
    if error.is_parse_too_large() {
        return Some(RefusalReason::HeadTooLarge);
    }
    if error.is_parse() {
        return Some(RefusalReason::Malformed);
    }
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    if error.is_remote() {
        // The peer has had enough of us.
        return None;
    }
    match error.reason() {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Some(RefusalReason::Flood),
        _ => error.is_library().then_some(RefusalReason::Malformed),
    }
}
