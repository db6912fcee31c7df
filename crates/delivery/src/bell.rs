//! A bell: how others end a poller's sleep, at the cost of one system call however many ring.
//!
//! What must hold: what was done before ringing is seen after answering, by the answer that is
//! under way or by one that the bell brings about. Nobody sleeps over news.

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

/// A poller's bell.
#[derive(Debug)]
pub(crate) struct Bell<W> {
    /// Whether it has been rung and not been answered.
    rung: AtomicBool,
    waker: W,
}

impl<W: Wake> Bell<W> {
    pub(crate) fn new(waker: W) -> Self {
        Self { rung: AtomicBool::new(false), waker }
    }

    /// Says that there is news.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            self.rung.store(false, Ordering::Release);
            tracing::error!(%error, "a shard could not be woken");
        }
    }

    /// Looks for news: whoever rings from when it begins to look wakes the poller again.
    pub(crate) fn answer<T>(&self, look: impl FnOnce() -> T) -> T {
        // Not a mere store: by reading what the last to ring wrote, it sees what that one did.
        self.rung.swap(false, Ordering::AcqRel);
        look()
    }
}
