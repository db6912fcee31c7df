//! A shared shard: one that its thread turns, and publishers in passing.
//!
//! The thread polls, reads the clocks and turns the shard. A publisher whose event concerns few subscribers delivers it
//! in a [short turn](Shard::short_turn), unless somebody else has the shard: to wake its thread, and to switch to it,
//! would cost more than the `send`.
//!
//! What must hold: *nobody waits*. A publisher tries the lock once. The thread holds it for a turn, not while it polls,
//! and waits for no more than a short turn. What a short turn leaves undone, the thread is woken for.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fanfare_hub::{News, Notify};
use mio::{Events, Poll};

use crate::abort_on_panic::abort_on_panic;
use crate::inbox::ShardHandle;
use crate::now::Now;
use crate::ready::Ready;
use crate::shard::{NEWS, Shard, ShortTurn};

/// How many readiness events one turn takes.
const EVENTS: usize = 1024;
/// How much may have come into the window since the shard followed it, in bytes, that a publisher follows in its place.
const MOST_FOLLOWED: usize = 64 << 10;

pub(crate) struct SharedShard {
    handle: Arc<ShardHandle>,
    /// How many subscribers a short turn delivers to.
    few: usize,
    /// None once it has been drained.
    shard: Mutex<Option<Shard>>,
}

impl SharedShard {
    pub(crate) fn new(shard: Shard, few: usize) -> Self {
        Self { handle: shard.handle(), few, shard: Mutex::new(Some(shard)) }
    }

    /// Runs the shard until a drain is complete. `poll` is what its sockets report to.
    pub(crate) fn run(&self, mut poll: Poll) {
        let mut events = Events::with_capacity(EVENTS);
        // What has come in since it was made has woken nobody.
        let mut timeout = Some(Duration::ZERO);
        loop {
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard's poller failed");
            }
            let mut owned = self.lock();
            let Some(shard) = &mut *owned else { return };
            let ready = events.iter().filter(|event| event.token() != NEWS).map(Ready::from);
            // Not before the lock is held: a short turn may have been later.
            if shard.turn(Now::read(), ready) {
                *owned = None;
                return;
            }
            timeout = shard.poll_timeout(Now::read());
        }
    }

    /// Delivers news, unless somebody else has the shard, or it is more than a publisher has the time for.
    fn deliver(&self) -> ShortTurn {
        // Where it is poisoned, the process is about to end.
        let Ok(mut owned) = self.shard.try_lock() else { return ShortTurn::NotTaken };
        match &mut *owned {
            Some(shard) => abort_on_panic(|| shard.short_turn(Now::read())),
            // There is nobody to deliver to in one that has been drained.
            None => ShortTurn::Done,
        }
    }

    /// A panic ends the process.
    fn lock(&self) -> MutexGuard<'_, Option<Shard>> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notify for SharedShard {
    fn notify(&self, news: &News) {
        self.handle.notify(news);
    }

    fn notify_from_publisher(&self, news: &News) -> bool {
        if self.handle.may_skip_wake(news) {
            return false;
        }
        let few = self.handle.wanted().at_most(news).is_some_and(|most| most <= self.few);
        let is_little = few && self.handle.skipped_bytes() <= MOST_FOLLOWED;
        let turn = if is_little { self.deliver() } else { ShortTurn::NotTaken };
        if turn != ShortTurn::Done {
            self.handle.wake();
        }
        turn != ShortTurn::NotTaken
    }
}

impl fmt::Debug for SharedShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedShard").field("handle", &self.handle).finish_non_exhaustive()
    }
}
