//! A wake flag: how others end a poller's sleep, at the cost of one system call however many do.
//!
//! What must hold: what was done before raising the flag is seen by the look that is under way when
//! it is raised, or by one that it brings about. Nobody sleeps over news.

use std::io;

use crate::sync::atomic::{AtomicBool, Ordering};

/// What ends a poller's sleep, or keeps it from falling asleep.
pub(crate) trait Wake {
    fn wake(&self) -> io::Result<()>;
}

impl Wake for mio::Waker {
    fn wake(&self) -> io::Result<()> {
        mio::Waker::wake(self)
    }
}

/// Whether a poller has news, and how to wake it.
#[derive(Debug)]
pub(crate) struct WakeFlag<W> {
    raised: AtomicBool,
    waker: W,
}

impl<W: Wake> WakeFlag<W> {
    pub(crate) fn new(waker: W) -> Self {
        Self { raised: AtomicBool::new(false), waker }
    }

    /// Says that there is news, and wakes the poller unless that was said already.
    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            self.raised.store(false, Ordering::Release);
            tracing::error!(%error, "a shard could not be woken");
        }
    }

    /// Looks for news: whoever raises the flag from when it begins to look wakes the poller again.
    pub(crate) fn lower_and<T>(&self, look: impl FnOnce() -> T) -> T {
        // Not a mere store: by reading what the last to raise it wrote, it sees what that one did.
        self.raised.swap(false, Ordering::AcqRel);
        look()
    }
}
