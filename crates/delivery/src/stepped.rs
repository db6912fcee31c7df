//! Delivery without threads: whoever has it turns each shard, and has each page read, in the order and
//! at the times of its choosing. With [`SimulatedSocket`](crate::SimulatedSocket)s for connections,
//! `fastrand` seeded and a log that is as predictable, a run can be repeated exactly.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanfare_hub::Hub;
use mio::Poll;

use crate::delivery::Delivery;
use crate::now::Now;
use crate::readers::ReadQueue;
use crate::ready::Ready;
use crate::settings::DeliverySettings;
use crate::shard::{Shard, ShortTurn};

/// Delivery that does nothing of itself.
pub struct SteppedDelivery {
    hub: Arc<Hub>,
    delivery: Delivery,
    /// Nobody polls: they are what sockets report to, were there any.
    shards: Vec<(Shard, Poll)>,
}

impl SteppedDelivery {
    /// Delivery over `hub`, whose window it listens to from now on.
    pub fn new(hub: &Arc<Hub>, settings: &DeliverySettings, now: Now) -> io::Result<Self> {
        let (delivery, shards) = Delivery::without_threads(hub, settings, now)?;
        Ok(Self { hub: Arc::clone(hub), delivery, shards })
    }

    /// Where subscribers are handed in, and everything else is asked for; what is asked is done in
    /// the turns that follow. [`Delivery::drain`] returns at once.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// One turn of a shard, at a moment not before that of its last; `ready` is what a poller would
    /// have said since then. True once the shard has been drained and has nothing more to do.
    ///
    /// # Panics
    ///
    /// There must be such a shard.
    pub fn turn(&mut self, shard: usize, now: Now, ready: impl IntoIterator<Item = Ready>) -> bool {
        self.shards[shard].0.turn(now, ready)
    }

    /// A short turn of a shard, as a publisher takes it that finds nobody else at it; whether nothing is left to be
    /// done.
    ///
    /// # Panics
    ///
    /// There must be such a shard.
    pub fn short_turn(&mut self, shard: usize, now: Now) -> bool {
        self.shards[shard].0.short_turn(now) == ShortTurn::Done
    }

    /// For how long a shard has nothing to do, unless it is told of something; `None` is for ever.
    ///
    /// # Panics
    ///
    /// There must be such a shard.
    pub fn poll_timeout(&self, shard: usize, now: Now) -> Option<Duration> {
        self.shards[shard].0.poll_timeout(now)
    }

    /// Has the next page of the log read that a subscriber waits for; whether there was one. Its shard
    /// is given it at its next turn.
    pub fn read_page(&mut self) -> bool {
        self.reader().read_page()
    }

    /// What reads pages while shards turn, as a thread would.
    pub fn reader(&self) -> SteppedReader {
        SteppedReader { hub: Arc::clone(&self.hub), queue: self.delivery.read_queue().clone() }
    }

    #[cfg(test)]
    pub(crate) fn shard(&self, shard: usize) -> &Shard {
        &self.shards[shard].0
    }

    /// Whether a shard has been woken since this was last asked.
    #[cfg(test)]
    pub(crate) fn is_woken(&mut self, shard: usize) -> bool {
        let mut events = mio::Events::with_capacity(8);
        self.shards[shard].1.poll(&mut events, Some(Duration::ZERO)).expect("a poller");
        !events.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn shard_mut(&mut self, shard: usize) -> &mut Shard {
        &mut self.shards[shard].0
    }
}

impl Drop for SteppedDelivery {
    fn drop(&mut self) {
        self.delivery.read_queue().close();
    }
}

/// Reads pages of the log when it is told to.
pub struct SteppedReader {
    hub: Arc<Hub>,
    queue: ReadQueue,
}

impl SteppedReader {
    /// As [`SteppedDelivery::read_page`].
    pub fn read_page(&self) -> bool {
        self.queue.step(&self.hub)
    }
}

impl fmt::Debug for SteppedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteppedReader").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl fmt::Debug for SteppedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteppedDelivery").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}
