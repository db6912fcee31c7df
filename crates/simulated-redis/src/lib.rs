//! A Redis in memory: the commands that the hub sends and those that its scripts call, and the scripts
//! themselves, in the Lua of Redis (5.1). It has no thread, clock, disk or socket of its own, so that one seed
//! is one history; it loses its latest writes, restarts, refuses commands and is full as it is told.
//!
//! What must hold: it says what a redis-server 7 says. `tests/another_redis.rs` sends the same commands to
//! both.

mod commands;
mod database;
mod reply;
mod script;
mod server;
mod stream;

pub use server::{Persistence, SimulatedRedis};
