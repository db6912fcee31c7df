//! The ledger: what a window's frames weigh, encodings included, as they come to be held.
//!
//! What must hold: it counts every frame of the window and nothing else, whichever thread encodes
//! one and whenever it leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a window holds, to be read without its lock.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    bytes: AtomicUsize,
    frames: AtomicUsize,
}

/// A frame's entry.
#[derive(Debug)]
pub(crate) struct LedgerEntry {
    ledger: Arc<Ledger>,
    /// What has been encoded on demand; [`LedgerEntry::LEFT`] once the frame has left.
    grown: AtomicUsize,
}

impl Ledger {
    /// The weight of all frames, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many frames there are.
    pub(crate) fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }
}

impl LedgerEntry {
    const LEFT: usize = usize::MAX;

    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        Self { ledger: Arc::clone(ledger), grown: AtomicUsize::new(0) }
    }

    /// The frame enters with this weight.
    pub(crate) fn enter(&self, weight: usize) {
        self.ledger.bytes.fetch_add(weight, Ordering::Relaxed);
        self.ledger.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes have been encoded.
    pub(crate) fn grow(&self, bytes: usize) {
        // Counted before it can be taken off: the sum never falls below what is held.
        self.ledger.bytes.fetch_add(bytes, Ordering::Relaxed);
        let more = |grown| (grown != Self::LEFT).then(|| grown + bytes);
        if self.grown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            self.ledger.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// What has been encoded on demand.
    pub(crate) fn grown(&self) -> usize {
        Some(self.grown.load(Ordering::Relaxed)).filter(|grown| *grown != Self::LEFT).unwrap_or(0)
    }

    /// The frame leaves, which entered with this weight.
    pub(crate) fn leave(&self, weight: usize) {
        let grown = self.grown.swap(Self::LEFT, Ordering::Relaxed);
        if grown != Self::LEFT {
            self.ledger.bytes.fetch_sub(weight + grown, Ordering::Relaxed);
            self.ledger.frames.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_after_a_frame_left_is_not_counted() {
        let ledger = Arc::new(Ledger::default());
        let entry = LedgerEntry::new(&ledger);
        entry.enter(10);
        entry.grow(7);
        assert_eq!((ledger.bytes(), entry.grown()), (17, 7));
        entry.leave(10);
        entry.grow(7);
        entry.leave(10);
        assert_eq!((ledger.bytes(), ledger.frames()), (0, 0));
    }
}
