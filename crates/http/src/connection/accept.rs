//! Accepting: connections are taken from the system as they come, and refused where there is no room.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::connections::Connections;
use super::lifecycle::Lifecycle;
use super::serve::serve;
use crate::gate::GateState;
use crate::metrics::RefusalReason;

/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often those in the table whose time is over are seen to.
const EXPIRY: Duration = Duration::from_millis(250);

/// Accepts connections until the hub is stopping, and then those that the system has accepted
/// before; none while the hub changes hands, nor after that. Never fails: what the system refuses for
/// want of descriptors is tried again.
pub async fn accept(listener: TcpListener, connections: Connections) {
    let connections = Arc::new(connections);
    let mut stopped = pin!(connections.reached(Lifecycle::Stopping));
    // It ends with this.
    let mut expiry = JoinSet::new();
    expiry.spawn(expire(Arc::clone(&connections)));
    let gate = Arc::clone(&connections.endpoint.app.gate);
    let mut parking_wanted = pin!(connections.parking_wanted());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut parking_wanted => {
                // They wait where the system keeps them.
                let decided = |state| matches!(state, GateState::Open | GateState::Gone);
                if gate.reached(decided).await == GateState::Gone {
                    return;
                }
                parking_wanted.set(connections.parking_wanted());
                continue;
            }
            () = &mut stopped => break,
        };
        match accepted {
            Ok((socket, address)) => admit(socket, address, &connections),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever is there by now gets an answer, and not a reset.
    while let Ok(Ok((socket, address))) = timeout(Duration::ZERO, listener.accept()).await {
        admit(socket, address, &connections);
    }
}

/// Makes those leave whose time is over, while everyone is let in. There may be very many to look at.
async fn expire(connections: Arc<Connections>) {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.endpoint.app.gate.reached(|state| state == GateState::Open).await;
        let table = Arc::clone(&connections.table);
        let broken_off = spawn_blocking(move || table.expire(Instant::now())).await;
        for _ in 0..broken_off.unwrap_or_default() {
            connections.refused(RefusalReason::Unread);
        }
    }
}

/// Serves a connection, if there is room for it.
fn admit(socket: TcpStream, address: SocketAddr, connections: &Arc<Connections>) {
    match connections.enter(address) {
        Ok((entry, leave)) => {
            let (nothing, connections) = (Bytes::new(), Arc::clone(connections));
            drop(tokio::spawn(serve(socket, address, nothing, entry, leave, connections)));
        }
        Err(reason) => connections.refused(reason),
    }
}
