//! Delivery as the rest of the program sees it: start it, hand it subscribers, drain it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_event::Topic;
use fanfare_hub::{Envelope, Hub, Interest, Notify, Start};
use fanfare_sse::{LAST_CHUNK, opening};

use crate::counters::Totals;
use crate::cut::Cut;
use crate::inbox::ShardHandle;
use crate::lease::Lease;
use crate::listing::{ListFrom, Listing, Query, SubscriberId};
use crate::readers::Readers;
use crate::retry::Retry;
use crate::seats::{Seat, Seats};
use crate::shard::Shard;
use crate::sink::{Framing, Piece, Sink};

/// What delivery is to be like.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How many shards; at least one.
    pub shards: usize,
    /// How often a quiet subscriber gets a comment.
    pub heartbeat: Duration,
    /// How long a subscriber may take no byte while there are some for it.
    pub write_timeout: Duration,
    /// The fewest bytes a second that it may take then, over that time; 0 asks for none.
    pub min_rate: u64,
    /// What subscribers are told about reconnecting.
    pub retry: Retry,
    /// How many subscribers there may be.
    pub seats: Seats,
}

/// Someone who has been granted a subscription, and how to reach them.
#[derive(Debug)]
pub struct NewSubscriber {
    /// Where its bytes go.
    pub sink: Sink,
    /// How they are framed there.
    pub framing: Framing,
    /// What goes out before the stream: an HTTP response head, or nothing.
    pub head: Bytes,
    /// What it wants.
    pub interest: Arc<Interest>,
    /// How it wants it.
    pub envelope: Envelope,
    /// Where it begins.
    pub start: Start,
    /// Whether the client holds an event id already.
    pub has_id: bool,
    /// Where it comes from, or the network that counts as one: reading from the log, those of one
    /// address take turns with those of another.
    pub address: IpAddr,
    /// Its place.
    pub seat: Seat,
    /// Under what conditions it may stay; `None` is none.
    pub lease: Option<Box<Lease>>,
}

impl NewSubscriber {
    /// Ends a stream that no shard takes any more, in good order: its head, and when to come back.
    /// A connection whose first bytes are not taken at once is one that has gone.
    fn turn_away(mut self, retry: Retry) {
        let mut whole = self.head.to_vec();
        whole.extend_from_slice(self.framing.slice(&opening(retry.pick())));
        if self.framing == Framing::Chunked {
            whole.extend_from_slice(LAST_CHUNK);
        }
        if let Err(error) = self.sink.write(&[Piece::Pending(&whole.into())], self.framing) {
            tracing::trace!(%error, "a subscriber that came too late had gone");
        }
        if let Sink::Body(body) = &self.sink {
            body.finish();
        }
    }
}

/// The shards and what they share.
pub struct Delivery {
    shards: Vec<Arc<ShardHandle>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
    seats: Seats,
    retry: Retry,
}

impl Delivery {
    /// Starts the shards' and the readers' threads over `hub`, whose window they listen to from
    /// now on.
    pub fn start(hub: &Arc<Hub>, settings: &DeliverySettings) -> io::Result<Self> {
        let readers = Arc::new(Readers::start(hub)?);
        let mut shards = Vec::new();
        let mut threads = Vec::new();
        for number in 0..settings.shards.max(1) {
            let shard = Shard::new(Arc::clone(hub.window()), Arc::clone(&readers), settings)?;
            shards.push(shard.handle());
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn(|| vital(|| shard.run()))?);
        }
        hub.window().listen(shards.iter().map(|s| Arc::clone(s) as Arc<dyn Notify>).collect());
        Ok(Self {
            shards,
            threads: Mutex::new(threads),
            next: AtomicUsize::new(0),
            seats: settings.seats.clone(),
            retry: settings.retry,
        })
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
        if matches!(subscriber.sink, Sink::Socket(_)) {
            subscriber.seat = subscriber.seat.with_socket();
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let shard = &self.shards[next % self.shards.len()];
        if let Some(late) = shard.join(subscriber) {
            shard.turned_away();
            late.turn_away(self.retry);
        }
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
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic would have ended the process.
            let _ = thread.join();
        }
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

    /// Counts for each topic whom its events concern; `each` is called once on each shard's thread,
    /// with that shard's counts, and must be quick.
    pub fn count(&self, topics: &Arc<[Topic]>, each: impl Fn(Vec<usize>) + Clone + Send + 'static) {
        for shard in &self.shards {
            shard.count(Arc::clone(topics), Box::new(each.clone()));
        }
    }

    /// Closes a subscriber after the event that was begun, with word of when to come back; one
    /// that reads nothing is closed by its write timeout. `then` is told whether there was anyone
    /// of this name; it is called on the shard's thread and must be quick.
    pub fn cut_one(&self, id: SubscriberId, then: impl FnOnce(bool) + Send + 'static) {
        match self.shards.get(id.shard) {
            Some(shard) => shard.cut_one(id.token, Box::new(then)),
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
        sum
    }
}

/// Runs a thread that others rely on. Should it panic, the process ends: its subscribers would
/// hang in silence, where a restarted hub lets them resume.
pub(crate) fn vital(run: impl FnOnce()) {
    struct Fuse;
    impl Drop for Fuse {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!("a delivery thread panicked; stopping, so that clients can resume");
                std::process::abort();
            }
        }
    }
    let _fuse = Fuse;
    run();
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
