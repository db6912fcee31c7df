//! What the tests of several crates share: a redis-server and an nginx of their own, a way to Redis
//! that can fail, an event log that loses what it accepted, a disk that forgets what was not synced, and
//! clocks and chance that do as a seed says. For tests only: whatever goes wrong here is a panic that says
//! what is missing.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod fickle_log;
mod nginx;
mod proxy;
mod redis_server;
mod simulated_disk;
mod simulated_environment;

pub use fickle_log::{FickleLog, InjectedLoss};
pub use nginx::Nginx;
pub use proxy::Proxy;
pub use redis_server::{RedisServer, free_port};
pub use simulated_disk::{DiskFault, SimulatedDisk};
pub use simulated_environment::SimulatedEnvironment;
