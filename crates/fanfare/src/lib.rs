//! The hub as a server: how it is built of its parts, run and drained.
//!
//! What must hold: nothing is bound or opened before all settings are good. Each part is
//! told what it needs of them, and no more.

mod built_hub;
mod certificate_metrics;
#[cfg_attr(not(feature = "redis"), path = "no_cluster.rs")]
mod cluster;
mod config;
mod control;
mod engine;
mod greeting;
mod hub_core;
mod hub_state;
mod key_files;
mod key_set_client;
mod listener;
mod logging;
mod logs;
mod notify_systemd;
mod open_files;
mod reload;
mod running_hub;
mod serve;
mod serve_error;
mod signals;
mod upgrade;
mod upkeep;

pub use engine::EngineError;
pub use hub_state::HubStateError;
pub use serve::serve;
pub use serve_error::ServeError;
pub use upgrade::{ReceivedStateError, TakeoverError};
