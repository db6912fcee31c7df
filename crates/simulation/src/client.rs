//! A client: its socket, and what it knows of itself.

use std::time::Duration;

use fanfare_delivery::SimulatedSocket;
use fanfare_hub::Requested;

use crate::judge::{ConnectCursor, SpecEnvelope, SubscriptionSpec};

/// What clients may ask for.
pub(crate) const SPECS: [SubscriptionSpec; 8] = [
    spec(&["**"], &[], SpecEnvelope::None, true),
    spec(&["a"], &[], SpecEnvelope::None, true),
    spec(&["b/*"], &[], SpecEnvelope::Json, true),
    spec(&["b/1", "c/**"], &[], SpecEnvelope::Sealed, true),
    spec(&["**"], &["typed"], SpecEnvelope::None, false),
    spec(&["c/d/e"], &["message"], SpecEnvelope::Json, true),
    spec(&["*/1", "a"], &[], SpecEnvelope::Sealed, false),
    spec(&["quiet", "**/e"], &[], SpecEnvelope::None, true),
];

/// Of which topics clients may have been granted private events.
pub(crate) const GRANTS: [&[&str]; 4] = [&[], &["a"], &["b/*", "c/**"], &["**"]];

const fn spec(
    topics: &'static [&'static str],
    types: &'static [&'static str],
    envelope: SpecEnvelope,
    chunked: bool,
) -> SubscriptionSpec {
    SubscriptionSpec { topics, types, envelope, chunked, granted: &[] }
}

/// A client.
#[derive(Debug, Default)]
pub(crate) struct SimulatedClient {
    pub(crate) node: usize,
    /// On which shard its stream is, or is on its way to.
    pub(crate) shard: usize,
    pub(crate) socket: Option<SimulatedSocket>,
    /// Counts its connections.
    pub(crate) connection: u64,
    /// Its socket has always taken everything, and it has not gone itself.
    pub(crate) is_smooth: bool,
    pub(crate) waiting: Option<WaitingClient>,
}

/// It holds an id that its node has not come to.
#[derive(Debug, Clone)]
pub(crate) struct WaitingClient {
    pub(crate) requested: Requested,
    pub(crate) beginning: ConnectCursor,
    /// By the clock that never goes back.
    pub(crate) until: Duration,
    pub(crate) leased: bool,
    pub(crate) room: Option<usize>,
}
