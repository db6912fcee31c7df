//! What has been published and delivered so far, as the threads of a run share it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counters of the whole run, and the word to stop. None of them guards other memory, so relaxed
/// order suffices.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    published: AtomicU64,
    owed: AtomicU64,
    delivered: AtomicU64,
    stopped: AtomicBool,
}

impl Flow {
    /// Messages the server has acknowledged.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Deliveries that have not arrived, of all that what was sent so far entails.
    pub(crate) fn outstanding(&self) -> u64 {
        self.owed.load(Relaxed).saturating_sub(self.delivered.load(Relaxed))
    }

    /// A publisher is about to send messages that entail so many deliveries.
    pub(crate) fn sending(&self, deliveries: u64) {
        self.owed.fetch_add(deliveries, Relaxed);
    }

    /// The server acknowledged messages.
    pub(crate) fn acknowledged(&self, messages: u64) {
        self.published.fetch_add(messages, Relaxed);
    }

    /// So many messages have arrived in all.
    pub(crate) fn set_delivered(&self, deliveries: u64) {
        self.delivered.store(deliveries, Relaxed);
    }

    /// Ends the run before its time.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
}
