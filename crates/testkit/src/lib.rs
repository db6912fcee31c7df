//! What the tests of several crates share: a redis-server of their own, a way to it that can fail,
//! and an event log that loses what it accepted. For tests only: whatever goes wrong here is a panic
//! that says what is missing.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod fickle_log;
mod proxy;
mod redis_server;

pub use fickle_log::{FickleLog, Loss};
pub use proxy::Proxy;
pub use redis_server::{RedisServer, free_port};
