//! What the hub answers over HTTP.
//!
//! Requests go through one axum router whatever carries them. A subscription that was granted
//! leaves the router as a [`stream::Granted`], and [`connection`] decides how its bytes travel: the
//! socket of plain HTTP/1 is taken over for a delivery shard, elsewhere a response body is fed by
//! one.

mod access;
mod admin;
mod answer;
mod client;
mod connection;
mod console;
mod credentials;
mod docs;
mod embedded;
mod error;
mod guard;
mod limits;
mod openapi;
mod operations;
mod pages;
mod peer;
#[cfg(any(test, fuzzing))]
mod probe;
mod publish;
mod query;
mod quotas;
mod refusals;
mod request_body;
mod revoke;
mod roster;
mod router;
mod stream;
mod subscribe;
mod subscribers;
mod takeover;
mod tickets;

pub(crate) use access::Access;
pub(crate) use connection::{Connections, accept};
pub(crate) use limits::Limits;
#[cfg(fuzzing)]
pub use probe::probe_head;
pub(crate) use quotas::Quotas;
pub(crate) use roster::{Census, Roster};
pub(crate) use router::{Shared, router};
