//! What the tests of several crates share: a redis-server and an nginx of their own, a way to Redis
//! that can fail, and an event log that loses what it accepted. For tests only: whatever goes wrong here is a panic
//! that says what is missing.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod fickle_log;
mod nginx;
mod proxy;
mod redis_server;

pub use fickle_log::{FickleLog, Loss};
pub use nginx::Nginx;
pub use proxy::Proxy;
pub use redis_server::{RedisServer, free_port};
