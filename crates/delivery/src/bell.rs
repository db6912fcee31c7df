//! A bell: how others end a poller's sleep, at the cost of one system call however many ring.
//!
//! What must hold: what was done before ringing is seen after answering, by the answer that is
//! under way or by one that the bell brings about. Nobody sleeps over news.

use std::io;

#[cfg(test)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(test))]
use std::sync::atomic::{AtomicBool, Ordering};

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

    /// To be called before looking for news: whoever rings from now on wakes the poller again.
    pub(crate) fn answer(&self) {
        // Not a mere store: by reading what the last to ring wrote, it sees what that one did.
        self.rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    /// As an eventfd in a poller: waking is remembered until the poller has slept.
    #[derive(Default)]
    struct Sleep {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Sleep {
        fn sleep(&self) {
            let mut woken = self.woken.lock().unwrap();
            while !*woken {
                woken = self.changed.wait(woken).unwrap();
            }
            *woken = false;
        }
    }

    impl Wake for Arc<Sleep> {
        fn wake(&self) -> io::Result<()> {
            *self.woken.lock().unwrap() = true;
            self.changed.notify_one();
            Ok(())
        }
    }

    /// In the orders in which two publishers and a shard can be run, and with every value that
    /// memory allows them to see. A shard that sleeps over news would never end.
    #[test]
    fn a_shard_sleeps_over_what_it_was_woken_for() {
        const PUBLISHERS: usize = 2;
        let mut model = loom::model::Builder::new();
        // Without a bound it takes minutes; faults of this kind need a switch or two.
        model.preemption_bound = Some(2);
        model.check(|| {
            let sleep = Arc::new(Sleep::default());
            let bell = Arc::new(Bell::new(Arc::clone(&sleep)));
            // Relaxed: it is the bell that must make it visible.
            let published: [_; PUBLISHERS] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
            for news in &published {
                let (bell, news) = (Arc::clone(&bell), Arc::clone(news));
                thread::spawn(move || {
                    news.store(1, Ordering::Relaxed);
                    bell.ring();
                });
            }
            let mut seen = 0;
            while seen < PUBLISHERS {
                sleep.sleep();
                bell.answer();
                seen = published.iter().map(|news| news.load(Ordering::Relaxed)).sum();
            }
        });
    }
}
