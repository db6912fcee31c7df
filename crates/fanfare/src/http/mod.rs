//! What the hub answers over HTTP.
//!
//! Requests go through one axum router whatever carries them. A subscription that was granted
//! leaves the router as a [`stream::Granted`], and [`connection`] decides how its bytes travel: the
//! socket of plain HTTP/1 is taken over for a delivery shard, elsewhere a response body is fed by
//! one.

mod admin;
mod connection;
mod console;
mod docs;
mod error;
mod openapi;
mod operations;
mod pages;
mod publish;
mod query;
mod router;
mod stream;
mod subscribe;
mod subscribers;

pub(crate) use connection::{Connections, accept};
pub(crate) use router::{Shared, router};
