//! The hub as a server: its command line, its settings, what it answers over HTTP.
//!
//! What must hold: whatever people type is checked here, once, and becomes a value of a precise
//! type; nothing is bound or opened before all of it is good. HTTP knows the hub and delivery;
//! neither of them knows HTTP.

pub mod cli;
pub mod commands;
pub mod engine;
pub mod exit;
pub mod settings;

mod acme;
mod certificate_metrics;
mod cluster;
mod config;
mod http;
mod http_client;
mod key_files;
mod key_set_client;
mod listener;
mod logging;
mod open_files;
mod reload;
mod serve;
mod tls;

#[cfg(fuzzing)]
pub use http::{probe_head, probe_socket};
pub use serve::serve;
