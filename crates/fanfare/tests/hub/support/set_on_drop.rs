//! A flag that ends what another thread goes on with, also where the test fails: a scope waits for its threads,
//! so a thread that nobody stops would turn a failure into a test without end.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets the flag when it is dropped.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
