//! The event log in memory: quick, gone with the process.
//!
//! What must hold: whatever gives events their order happens under one lock, memory work only and
//! bounded; selecting for a reader and waking anyone happen outside it.

mod memory_log;
#[cfg(test)]
mod model;
mod settings;
mod state;
mod stats;
mod store;

pub use memory_log::MemoryLog;
pub use settings::MemorySettings;
pub use state::MemoryState;
pub use stats::MemoryStats;
