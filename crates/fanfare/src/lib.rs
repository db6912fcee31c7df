//! The hub as a server: what it answers over HTTP, and how it is built, run and drained.
//!
//! What must hold: nothing is bound or opened before all settings are good. HTTP knows the hub and
//! delivery; neither of them knows HTTP.

mod certificate_metrics;
#[cfg_attr(not(feature = "redis"), path = "no_cluster.rs")]
mod cluster;
mod config;
mod engine;
mod greeting;
mod http;
mod key_files;
mod key_set_client;
mod listener;
mod logging;
mod open_files;
mod reload;
mod serve;
mod settings;
mod signals;

pub use engine::EngineError;
#[cfg(fuzzing)]
pub use http::{probe_head, probe_socket};
pub use serve::{ServeError, serve};
