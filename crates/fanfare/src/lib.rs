//! The hub as a server: its command line and its settings.
//!
//! What must hold: whatever people type is checked here, once, and becomes a value of a precise
//! type; nothing is bound or opened before all of it is good.

pub mod cli;
pub mod settings;
