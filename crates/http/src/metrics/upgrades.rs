//! Figures of upgrades: how many there were, how many failed, and what the last one moved.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{MetricSource, Rows};

/// What is counted.
#[derive(Debug, Default)]
pub struct Upgrades {
    last: Mutex<LastUpgrade>,
    failed: AtomicU64,
}

/// How the last upgrade went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastUpgrade {
    /// How many there have been since the hub was started; 0 is none.
    pub count: u64,
    /// Streams that kept their connections.
    pub moved: u64,
    /// Streams that could not move.
    pub closed: u64,
    /// How long nothing was delivered or acknowledged, in microseconds.
    pub pause_micros: u64,
}

impl Upgrades {
    /// The last upgrade that came to its end.
    pub fn last(&self) -> LastUpgrade {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process has become the hub.
    pub fn done(&self, upgrade: LastUpgrade) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = upgrade;
    }

    /// This process is still the hub.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl MetricSource for Upgrades {
    fn rows(&self, rows: &mut Rows<'_, '_>) -> fmt::Result {
        let LastUpgrade { count, moved, closed, pause_micros } = self.last();
        rows.counter("upgrades", "Processes that have handed over to another", count)?;
        let failed = "Upgrades that came to nothing, in this process";
        rows.counter("upgrades_failed", failed, self.failed.load(Ordering::Relaxed))?;
        let kept = "Streams that kept their connections in the last upgrade";
        rows.gauge("upgrade_moved_streams", kept, moved)?;
        let lost = "Streams that were closed in the last upgrade, and resumed";
        rows.gauge("upgrade_closed_streams", lost, closed)?;
        let paused = "How long nothing was delivered or acknowledged in the last upgrade";
        rows.gauge("upgrade_pause_microseconds", paused, pause_micros)
    }
}
