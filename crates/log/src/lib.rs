//! The event log: one ordered sequence of events, of which everything else is a view.
//!
//! [`EventLog`] is the contract every engine meets; [`Tail`] is how an engine tells the hub above
//! it what it has accepted. Code here is synchronous and knows neither HTTP nor sockets, and no engine.
//!
//! Beside the contract there is what engines share: who remembers keys, ids and trims, and, as modules of
//! their own, how events and states are written down ([`record`], [`state_stream`], [`bytes`]).
//!
//! What must hold:
//!
//! - *Order*: positions are assigned once, grow, and are dense within an epoch; the tail hears of
//!   events in that order, each exactly once, and only after they are accepted.
//! - *No silent loss*: [`EventLog::read`] returns everything wanted after a position, or says that
//!   some of it was trimmed. A false alarm is allowed, false continuity is not.
//! - *Whole or nothing*: a batch is accepted as a whole, with consecutive positions, or not at all.

pub mod bytes;
mod environment;
mod epoch;
mod event_log;
mod idempotency;
mod idempotency_key;
mod idempotency_state;
mod ids;
mod lineage;
pub mod record;
mod remembered;
pub mod state_stream;
mod tail;
mod topics;

pub use environment::{Environment, MonotonicClock, SystemEnvironment};
pub use epoch::next_epoch;
pub use event_log::{
    AppendError, Appended, Appending, Batch, Cause, Durability, EventLog, Finding, Hearing,
    LogSize, Page, PageLimit, ReadError, ReadFrom, Retention, Unready,
};
pub use idempotency::{IdempotencyTable, OtherContent, TableFull};
pub use idempotency_key::{IdempotencyKey, InvalidKey, KeyDigest};
pub use idempotency_state::IdempotencyState;
pub use ids::IdTable;
pub use lineage::{Between, Ended, EpochStatus, Lineage, Loss};
pub use remembered::{Fingerprint, Remembered};
pub use state_stream::StateError;
pub use tail::Tail;
pub use topics::{TopicId, TopicTable};
