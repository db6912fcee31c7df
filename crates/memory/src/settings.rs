//! Settings of the log in memory.

use std::time::Duration;

use fanfare_log::Retention;

/// What a log in memory is told to keep.
#[derive(Debug, Clone, Copy)]
pub struct MemorySettings {
    /// How many events, how many bytes of them, and for how long.
    pub retention: Retention,
    /// For how long an idempotency key is answered.
    pub key_window: Duration,
    /// How many idempotency keys are remembered at most; further ones are refused.
    pub key_capacity: usize,
}
