//! What the hub answers over HTTP.
//!
//! Requests go through one axum router whatever carries them. A subscription that was granted
//! leaves the router as a [`stream::Granted`], and [`connection`] decides how its bytes travel: the
//! socket of plain HTTP/1 is taken over for a delivery shard, elsewhere a response body is fed by
//! one.

mod access;
mod addresses;
mod admin;
mod answer;
mod audit;
mod client;
mod connection;
mod console;
mod credentials;
mod crowd;
mod docs;
mod embedded;
mod error;
mod failures;
mod frames;
mod guard;
mod idempotency_key;
mod key_files;
mod limits;
mod openapi;
mod operations;
mod pages;
mod peer;
mod places;
#[cfg(any(test, fuzzing))]
mod probe;
mod progress;
mod publish;
mod query;
mod quotas;
mod rates;
mod refusals;
mod request_body;
mod revoke;
mod roster;
mod router;
mod security_txt;
mod stream;
mod subscribe;
mod subscribers;
mod takeover;
mod tickets;

pub(crate) use access::Access;
pub(crate) use addresses::Addresses;
pub(crate) use audit::Trail;
pub(crate) use connection::{Connections, Phase, accept};
pub(crate) use key_files::keep_keys;
pub(crate) use limits::Limits;
#[cfg(fuzzing)]
pub use probe::probe_head;
pub(crate) use quotas::Quotas;
pub(crate) use roster::{Census, Roster};
pub(crate) use router::{Shared, router};
