//! What the hub answers over HTTP.
//!
//! Requests go through one front whatever carries them, and most through its axum router. A subscription that is
//! admitted leaves it as a stream, and [`connection`] decides how its bytes travel: the socket of plain HTTP/1 is
//! taken over for a delivery shard, elsewhere a response body is fed by one.
//!
//! What must hold: HTTP knows no engine, only a [`Cluster`]; each part is given a small configuration of
//! its own; nothing here imports what imports it.

mod access;
mod address_limit;
mod admission;
mod allowances;
mod audit;
mod cluster;
mod connection;
mod console;
mod dialect;
mod endpoint;
mod form;
mod front;
mod gate;
mod handed_over;
mod handlers;
mod layers;
mod metrics;
mod network64;
mod node;
mod pages;
#[cfg(any(test, fuzzing))]
mod probe;
#[cfg(any(test, fuzzing))]
mod probe_socket;
mod processor_time;
mod publish_streams;
mod query;
mod quotas;
mod rates;
mod refusal;
mod request_body;
mod reserved;
mod router;
mod shared_body;
mod state;
mod stream;

pub use self::access::{Access, AccessConfig, CurrentKeys, ForeignKeys, ForeignRealm, GuardConfig};
pub use self::audit::Trail;
pub use self::cluster::{Answers, Cluster, Member, NodeStatus, QuestionHandler, Unreachable};
pub use self::connection::{
    ConnectionLimits, ConnectionTable, Connections, Lifecycle, ParkedConnection, Parking,
    ReenteredConnection, TableLimits, accept,
};
pub use self::console::{Console, Observer, StreamConfig};
pub use self::dialect::{MercureConfig, MercureTokens, Presence};
pub use self::front::Front;
pub use self::gate::{Gate, GateState};
pub use self::handed_over::SubscriptionVocabulary;
pub use self::metrics::{LastUpgrade, MetricSource, Metrics, RefusalReason, Rows, Upgrades};
pub use self::node::{InvalidNodeId, Node, NodeId, NodeIdentity};
#[cfg(fuzzing)]
pub use self::probe::probe_head;
#[cfg(fuzzing)]
pub use self::probe_socket::probe_socket;
pub use self::publish_streams::PublishStreams;
pub use self::quotas::{AddressLimits, Addresses, QuotaLimits, Quotas};
pub use self::reserved::{ReservedField, ReservedName, ReservedNames};
pub use self::router::{RouterConfig, router};
pub use self::state::AppState;
