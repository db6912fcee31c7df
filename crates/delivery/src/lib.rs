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

mod arrears;
mod bell;
mod body;
mod counters;
mod cut;
mod delivery;
mod inbox;
mod lease;
mod listing;
mod readers;
mod retry;
#[cfg(test)]
mod script;
mod seats;
mod shard;
mod sink;
mod subscriber;

/// A test has the bell take its atomics from elsewhere.
use std::sync;

pub use body::{Aborted, BodyReader, BodyWriter, body};
pub use counters::{CloseReason, Totals};
pub use cut::Cut;
pub use delivery::{Delivery, DeliverySettings, NewSubscriber};
pub use lease::Lease;
pub use listing::{InvalidListFrom, InvalidSubscriberId, ListFrom, Listed, Listing, SubscriberId};
pub use retry::Retry;
pub use seats::{Seat, Seats};
pub use sink::{Framing, Sink};
