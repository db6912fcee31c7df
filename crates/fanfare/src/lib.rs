//! The hub as a server: how it is built of its parts, run and drained.
//!
//! What must hold: nothing is bound or opened before all settings are good. Each part is
//! told what it needs of them, and no more.

mod certificate_metrics;
#[cfg_attr(not(feature = "redis"), path = "no_cluster.rs")]
mod cluster;
mod config;
mod control;
mod engine;
mod greeting;
mod key_files;
mod key_set_client;
mod listener;
mod logging;
mod logs;
mod notify_systemd;
mod open_files;
mod reload;
mod serve;
mod signals;
mod state;
mod upgrade;

pub use engine::EngineError;
pub use serve::{ServeError, serve};
pub use upgrade::TakeoverError;
