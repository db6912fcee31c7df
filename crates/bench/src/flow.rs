//! What has been published and delivered so far, as the threads of a run share it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Counters of the whole run, and the word to stop. None of them guards other memory, so relaxed
/// order suffices.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    published: AtomicU64,
    owed: AtomicU64,
    settled: AtomicU64,
    gone: AtomicU32,
    stopped: AtomicBool,
}

impl Flow {
    /// Messages the server has acknowledged.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Deliveries that have not arrived and are not known to be lost, of all that what was sent so
    /// far entails.
    pub(crate) fn outstanding(&self) -> u64 {
        self.owed.load(Relaxed).saturating_sub(self.settled.load(Relaxed))
    }

    /// A publisher is about to send messages that entail so many deliveries.
    pub(crate) fn sending(&self, deliveries: u64) {
        self.owed.fetch_add(deliveries, Relaxed);
    }

    /// The server acknowledged messages.
    pub(crate) fn acknowledged(&self, messages: u64) {
        self.published.fetch_add(messages, Relaxed);
    }

    /// So many messages in all have arrived, or are known to be lost.
    pub(crate) fn set_settled(&self, deliveries: u64) {
        self.settled.store(deliveries, Relaxed);
    }

    /// Subscribers whose streams the server has closed: they are owed nothing any more.
    pub(crate) fn gone(&self) -> u32 {
        self.gone.load(Relaxed)
    }

    pub(crate) fn set_gone(&self, subscribers: u32) {
        self.gone.store(subscribers, Relaxed);
    }

    /// Ends the run before its time.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
}
