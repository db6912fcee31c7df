//! A shard sleeps over news. The very code of its wake flag, run by loom in the orders in which a shard
//! and two publishers can be run, and with every value that memory allows them to see.
//!
//! Invariant: *nobody waits*.

#![allow(clippy::unwrap_used, unreachable_pub, missing_docs, reason = "a test may panic")]

// What wake_flag.rs calls `crate::sync`.
use loom::sync;

#[path = "../src/wake_flag.rs"]
mod wake_flag;

use std::io;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use wake_flag::{Wake, WakeFlag};

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

/// A shard that slept through something would never end, which loom calls a deadlock.
#[test]
fn what_is_published_while_a_shard_falls_asleep_wakes_it() {
    const PUBLISHERS: usize = 2;
    let mut model = loom::model::Builder::new();
    // Without a bound it takes minutes; faults of this kind need a switch or two.
    model.preemption_bound = Some(2);
    model.check(|| {
        let sleep = Arc::new(Sleep::default());
        let flag = Arc::new(WakeFlag::new(Arc::clone(&sleep)));
        // Relaxed: it is the flag that must make it visible.
        let published: [_; PUBLISHERS] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
        for news in &published {
            let (flag, news) = (Arc::clone(&flag), Arc::clone(news));
            thread::spawn(move || {
                news.store(1, Ordering::Relaxed);
                flag.raise();
            });
        }
        let mut seen = 0;
        while seen < PUBLISHERS {
            sleep.sleep();
            let look = || published.iter().map(|news| news.load(Ordering::Relaxed)).sum();
            seen = flag.lower_and(look);
        }
    });
}
