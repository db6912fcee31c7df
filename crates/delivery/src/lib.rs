//! Delivery: subscribers on shards, each shard one thread with one poller.
//!
//! A subscriber is a socket, a selector and a cursor. It has no queue and no timer: it reads the
//! log forward, out of its shard's copy of the window, and lags where its socket does.
//!
//! What must hold:
//!
//! - *Nobody waits for anybody*: a shard never blocks on a socket, a lock held across a system
//!   call, or the log; what the window no longer holds is read by reader threads.
//! - *Bounded*: a subscriber that does not read holds at most the rest of one frame, which it shares
//!   with all who were sent it.
//! - *In order, once*: frames reach a sink in the order of the log, each at most once for a
//!   connection, with no frame begun at a close of our choosing left unfinished while the peer
//!   still reads.

mod abort_on_panic;
mod address_group;
mod backpressure;
mod body;
mod cadence;
mod connection;
mod context;
mod counters;
mod cursor;
mod cut;
mod delivery;
mod heartbeat_interval;
mod inbox;
mod lease;
mod listing;
mod movable;
mod now;
mod readers;
mod ready;
mod retry;
mod seats;
mod settings;
mod shard;
mod shared_shard;
mod simulated_socket;
mod sink;
mod sink_io;
mod stepped;
mod stream_format;
mod subscriber;
mod subscriber_key;
mod subscription;
mod subscription_record;
mod tls;
mod vocabulary;
mod wake_flag;
mod wanted;
mod wire;
mod write_batch;

// wake_flag.rs says `crate::sync`, so that tests/sleeping_shard.rs can give it loom's.
use std::sync;

pub use address_group::AddressGroup;
pub use body::{Aborted, BodyReader, BodyWriter, body};
pub use cadence::{Cadence, InvalidCadence};
pub use connection::Connection;
pub use counters::{CloseReason, Metric, MetricByReason, MetricKind, Totals};
pub use cut::Cut;
pub use delivery::Delivery;
pub use lease::{Grant, Lease};
pub use listing::{
    InvalidListFrom, InvalidSubscriberId, ListFrom, Listed, Listing, SubscriberId, TopicCount,
};
pub use movable::Movable;
pub use now::Now;
pub use ready::Ready;
pub use retry::Retry;
pub use seats::{Seat, Seats};
pub use settings::{DeliverySettings, ShortTurnLimits, StepLimits};
pub use simulated_socket::SimulatedSocket;
pub use sink::Sink;
pub use stepped::{SteppedDelivery, SteppedReader};
pub use stream_format::{StreamFormat, native};
pub use subscriber_key::SubscriberKey;
pub use subscription::{Detached, NewSubscriber, Subscription};
pub use subscription_record::UnreadableSubscription;
pub use tls::{CipherSuite, Direction, KEY_LIMIT, TlsSocket, TlsState, TrafficSecret};
pub use vocabulary::Vocabulary;
pub use wire::{Framing, Wire};
