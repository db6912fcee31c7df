//! Delivery as the rest of the program sees it: start it, hand it subscribers, drain it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fanfare_event::Topic;
use fanfare_hub::{Hub, Notify};
use mio::Poll;

use crate::abort_on_panic::abort_on_panic;
use crate::counters::Totals;
use crate::cut::Cut;
use crate::inbox::ShardHandle;
use crate::listing::{ListFrom, Listing, Query, SubscriberId, TopicCount};
use crate::movable::Movable;
use crate::now::Now;
use crate::readers::{ReadQueue, ReaderThreads};
use crate::retry::Retry;
use crate::seats::{Seat, Seats};
use crate::settings::DeliverySettings;
use crate::shard::Shard;
use crate::shared_shard::SharedShard;
use crate::sink_io::Buffer;
use crate::subscription::{Detached, NewSubscriber};

/// The shards and what they share.
pub struct Delivery {
    shards: Vec<Arc<ShardHandle>>,
    read_queue: ReadQueue,
    threads: Mutex<Threads>,
    next: AtomicUsize,
    seats: Seats,
    retry: Retry,
}

/// None, where whoever has the shards turns them.
#[derive(Default)]
struct Threads {
    shards: Vec<JoinHandle<()>>,
    readers: Option<ReaderThreads>,
}

impl Delivery {
    /// Starts the shards' and the readers' threads over `hub`, whose window they listen to from
    /// now on.
    pub fn start(hub: &Arc<Hub>, settings: &DeliverySettings) -> io::Result<Self> {
        let (mut delivery, shards) = Self::unattached(hub, settings, Now::read())?;
        let readers = Some(ReaderThreads::start(delivery.read_queue.clone(), hub)?);
        let mut threads = Threads { shards: Vec::new(), readers };
        let few = settings.limits.short_turn.subscribers;
        let share = |(shard, poll)| (Arc::new(SharedShard::new(shard, few)), poll);
        let shards: Vec<_> = shards.into_iter().map(share).collect();
        hub.window().listen(shards.iter().map(|(it, _)| Arc::clone(it) as _).collect());
        for (number, (shard, poll)) in shards.into_iter().enumerate() {
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            let run = move || abort_on_panic(|| shard.run(poll));
            threads.shards.push(thread.spawn(run)?);
        }
        delivery.threads = Mutex::new(threads);
        Ok(delivery)
    }

    /// The same without threads: whoever has the shards turns them.
    pub(crate) fn without_threads(
        hub: &Arc<Hub>,
        settings: &DeliverySettings,
        now: Now,
    ) -> io::Result<(Self, Vec<(Shard, Poll)>)> {
        let (delivery, shards) = Self::unattached(hub, settings, now)?;
        let listeners = delivery.shards.iter().map(|it| Arc::clone(it) as Arc<dyn Notify>);
        hub.window().listen(listeners.collect());
        Ok((delivery, shards))
    }

    /// The same, but that nobody listens to the hub's window yet.
    fn unattached(
        hub: &Arc<Hub>,
        settings: &DeliverySettings,
        now: Now,
    ) -> io::Result<(Self, Vec<(Shard, Poll)>)> {
        let read_queue = ReadQueue::new();
        let mut shards = Vec::new();
        for _ in 0..settings.shards.max(1) {
            let (poll, window) = (Poll::new()?, Arc::clone(hub.window()));
            shards.push((Shard::new(&poll, window, read_queue.clone(), settings, now)?, poll));
        }
        let delivery = Self {
            shards: shards.iter().map(|(shard, _)| shard.handle()).collect(),
            read_queue,
            threads: Mutex::default(),
            next: AtomicUsize::new(0),
            seats: settings.seats.clone(),
            retry: settings.retry,
        };
        Ok((delivery, shards))
    }

    pub(crate) fn read_queue(&self) -> &ReadQueue {
        &self.read_queue
    }

    /// Takes a seat for a subscriber-to-be, if there is one.
    pub fn seat(&self) -> Option<Seat> {
        self.seats.take()
    }

    /// The seats.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// How subscribers are told to reconnect.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// Hands a subscriber to a shard. Its stream begins when the shard comes to it. After a drain it
    /// is told when to come back, and its connection is closed.
    pub fn join(&self, mut subscriber: NewSubscriber) {
        if subscriber.sink.has_socket() {
            subscriber.seat = subscriber.seat.with_socket();
        }
        let shard = self.next_shard();
        if let Some(late) = shard.join(subscriber) {
            shard.count_turned_away();
            turn_away(*late, self.retry);
        }
    }

    /// Takes at most `limit` streams out of a shard, as data and connection, to go on where such are
    /// taken; those whose connection another layer holds stay. Whoever has joined before is among them.
    /// `then` is called on the shard's thread and must be quick; never, if there is no such shard or it
    /// has ended.
    pub fn detach(
        &self,
        shard: usize,
        limit: usize,
        movable: Movable,
        then: impl FnOnce(Vec<Detached>) + Send + 'static,
    ) {
        if let Some(shard) = self.shards.get(shard) {
            shard.detach(limit, movable, Box::new(then));
        }
    }

    /// Goes on with a stream that was taken out of a shard, here or in another process; gives it back
    /// where this delivery has been drained.
    pub fn attach(&self, mut detached: Detached) -> Option<Box<Detached>> {
        if detached.connection.has_socket() {
            detached.seat = detached.seat.with_socket();
        }
        self.next_shard().attach(detached)
    }

    fn next_shard(&self) -> &ShardHandle {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        &self.shards[next % self.shards.len()]
    }

    /// Ends the streams that are meant, and those of them that are on their way. Each shard calls
    /// `done` with how many it has ended; one that is gone drops it.
    pub fn cut(&self, cuts: &Arc<[Cut]>, done: impl FnOnce(usize) + Clone + Send + 'static) {
        for shard in &self.shards {
            shard.cut(Arc::clone(cuts), Box::new(done.clone()));
        }
    }

    /// Ends the streams of every subject whose credentials were verified until `at`, and those of them
    /// that are on their way: cuts were said, and whom they meant can no longer be heard. Who was not
    /// meant comes back. `done` is called as for a cut.
    pub fn reverify(&self, at: Instant, done: impl FnOnce(usize) + Clone + Send + 'static) {
        for shard in &self.shards {
            shard.reverify(at, Box::new(done.clone()));
        }
    }

    /// Closes every stream, spread over `over`, and returns when all are gone. Those who join
    /// meanwhile are closed too.
    pub fn drain(&self, over: Duration) {
        self.shards.iter().for_each(|shard| shard.drain(over));
        let Threads { shards, readers } =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in shards {
            // A panic would have ended the process.
            let _ = thread.join();
        }
        drop(readers);
    }

    /// Lists at most `limit` subscribers from one shard, of those whom `topic` concerns if it is
    /// given. `then` is called on the shard's thread and must be quick; never, if the shard has
    /// ended. The page may be short, even empty, and still have a `next`.
    pub fn list(
        &self,
        from: ListFrom,
        limit: usize,
        topic: Option<Topic>,
        then: impl FnOnce(Listing) + Send + 'static,
    ) {
        let after = ListFrom { shard: from.shard + 1, entry: 0 };
        let Some(shard) = self.shards.get(from.shard) else { return then(Listing::default()) };
        let after = (after.shard < self.shards.len()).then_some(after);
        let reply =
            move |listing: Listing| then(Listing { next: listing.next.or(after), ..listing });
        shard.list(Query { from, limit, topic }, Box::new(reply));
    }

    /// Counts for each topic whom its events concern, a topic in each turn of a shard, as far as one turn may look for
    /// them; `each` is called once on each shard's thread, with that shard's counts, and must be quick.
    pub fn count(
        &self,
        topics: &Arc<[Topic]>,
        each: impl Fn(Vec<TopicCount>) + Clone + Send + 'static,
    ) {
        for shard in &self.shards {
            shard.count(Arc::clone(topics), Box::new(each.clone()));
        }
    }

    /// Closes a subscriber after the event that was begun, with word of when to come back; one
    /// that reads nothing is closed by its write timeout. `then` is told whether there was anyone
    /// of this name; it is called on the shard's thread and must be quick.
    pub fn cut_one(&self, id: SubscriberId, then: impl FnOnce(bool) + Send + 'static) {
        match self.shards.get(id.shard) {
            Some(shard) => shard.cut_one(id.key, Box::new(then)),
            None => then(false),
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// What all shards have done so far.
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        self.shards.iter().for_each(|shard| sum.add(&shard.totals()));
        sum.waiting_pages = self.read_queue.waiting() as u64;
        sum
    }
}

/// Ends a stream that no shard takes any more, in good order: its head, and when to come back.
/// A connection whose first bytes are not taken at once is one that has gone.
fn turn_away(mut late: NewSubscriber, retry: Retry) {
    let whole = late.wire.turned_away(&late.head, retry.pick());
    let (mut scratch, now) = (Vec::new(), Now::read().monotonic);
    let written = late.sink.write(&[Buffer::Pending(&whole)], &mut scratch, now);
    if let Err(error) = written.and_then(|_| late.sink.finish(&mut scratch, now)) {
        tracing::trace!(%error, "a subscriber that came too late had gone");
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
