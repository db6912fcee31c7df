//! The logs of a hub: the one of what is published, and the one of the console's statistics.

use std::sync::Arc;
use std::time::Duration;

use fanfare_http::Console;
use fanfare_log::Tail;
use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};

use crate::engine::Engine;

/// Both, with their own types: to HTTP, each is a hub.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    pub(crate) engine: Engine,
    pub(crate) console: Arc<MemoryLog>,
}

/// A log for the console's statistics that tells `tail` what it accepts: a new one, or another process's,
/// gone on with.
pub(crate) fn console(tail: Arc<dyn Tail>, state: Option<MemoryState>) -> Arc<MemoryLog> {
    let settings = MemorySettings {
        retention: Console::RETENTION,
        key_window: Duration::ZERO,
        key_capacity: 0,
    };
    match state {
        Some(state) => MemoryLog::resume(settings, tail, state),
        None => MemoryLog::open(settings, tail),
    }
}
