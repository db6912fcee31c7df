//! A shard's inbox: what others ask of it, and how they wake it.
//!
//! What must hold: a shard is woken after a command is in its inbox, and ends only when none is left there. What comes
//! later is given back, or dropped with its reply: nothing lies in an inbox that nobody takes from.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fanfare_event::Topic;
use fanfare_hub::{News, Notify};
use fanfare_log::ReadError;
use mio::Waker;

use crate::body::BodySignal;
use crate::counters::{CloseReason, SharedTotals, Totals};
use crate::cut::Cut;
use crate::listing::{Listing, Query, TopicCount};
use crate::movable::Movable;
use crate::readers::LoadedPage;
use crate::subscriber_key::SubscriberKey;
use crate::subscription::{Detached, NewSubscriber};
use crate::wake_flag::WakeFlag;
use crate::wanted::Wanted;

/// How much may come into the window that concerns nobody here, in bytes, until the shard is woken all the same:
/// until then it holds what the window may have let go of.
const MAX_SKIPPED_BYTES: usize = 1 << 20;

/// What others see of a shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    inbox: Mutex<Inbox>,
    news: WakeFlag<Waker>,
    published: SharedTotals,
    wanted: Wanted,
    /// What those frames weigh, about, that it has not been woken for.
    skipped_bytes: AtomicUsize,
}

/// Bounded by seats: a subscriber joins once, reads one page at a time, and has one body; what
/// operators ask for, by how many requests are answered at a time.
#[derive(Debug, Default)]
struct Inbox {
    commands: Vec<ShardCommand>,
    /// The shard has ended.
    closed: bool,
}

pub(crate) enum ShardCommand {
    Join(Box<NewSubscriber>),
    Attach(Box<Detached>),
    /// At most so many.
    Detach(usize, Movable, ReplyTo<Vec<Detached>>),
    Read(SubscriberKey, Result<LoadedPage, ReadError>),
    Signal(SubscriberKey, BodySignal),
    Cut(Arc<[Cut]>, ReplyTo<usize>),
    /// Everyone's of whom this is not known to be later.
    Reverify(Instant, ReplyTo<usize>),
    /// Whether there was anyone.
    CutOne(SubscriberKey, ReplyTo<bool>),
    Drain(Duration),
    List(Query, ReplyTo<Listing>),
    /// How many subscribers each topic concerns, as far as they have been counted.
    Count(Arc<[Topic]>, Vec<TopicCount>, ReplyTo<Vec<TopicCount>>),
}

/// Whom to tell; called on the shard's thread, so it must be quick.
pub(crate) type ReplyTo<T> = Box<dyn FnOnce(T) + Send>;

impl ShardHandle {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            inbox: Mutex::default(),
            news: WakeFlag::new(waker),
            published: SharedTotals::default(),
            wanted: Wanted::new(),
            skipped_bytes: AtomicUsize::new(0),
        }
    }

    /// Hands over a subscriber, or gives it back where the shard has ended.
    pub(crate) fn join(&self, subscriber: NewSubscriber) -> Option<Box<NewSubscriber>> {
        match self.post(ShardCommand::Join(Box::new(subscriber))) {
            Some(ShardCommand::Join(subscriber)) => Some(subscriber),
            _ => None,
        }
    }

    /// Hands over a stream that goes on, or gives it back where the shard has ended.
    pub(crate) fn attach(&self, detached: Detached) -> Option<Box<Detached>> {
        match self.post(ShardCommand::Attach(Box::new(detached))) {
            Some(ShardCommand::Attach(detached)) => Some(detached),
            _ => None,
        }
    }

    pub(crate) fn detach(&self, limit: usize, movable: Movable, reply: ReplyTo<Vec<Detached>>) {
        self.send(ShardCommand::Detach(limit, movable, reply));
    }

    /// Counts a subscriber that came when the shard had ended.
    pub(crate) fn count_turned_away(&self) {
        self.published.count_closed(CloseReason::Shutdown);
    }

    pub(crate) fn cut(&self, cuts: Arc<[Cut]>, reply: ReplyTo<usize>) {
        self.send(ShardCommand::Cut(cuts, reply));
    }

    pub(crate) fn reverify(&self, at: Instant, reply: ReplyTo<usize>) {
        self.send(ShardCommand::Reverify(at, reply));
    }

    pub(crate) fn cut_one(&self, key: SubscriberKey, reply: ReplyTo<bool>) {
        self.send(ShardCommand::CutOne(key, reply));
    }

    pub(crate) fn list(&self, query: Query, reply: ReplyTo<Listing>) {
        self.send(ShardCommand::List(query, reply));
    }

    pub(crate) fn count(&self, topics: Arc<[Topic]>, reply: ReplyTo<Vec<TopicCount>>) {
        self.send(ShardCommand::Count(topics, Vec::new(), reply));
    }

    pub(crate) fn drain(&self, over: Duration) {
        self.send(ShardCommand::Drain(over));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.published.get()
    }

    pub(crate) fn publish(&self, totals: &Totals) {
        self.published.set(totals);
    }

    /// What its subscribers want.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Leaves a command; drops it where the shard has ended.
    pub(crate) fn send(&self, command: ShardCommand) {
        drop(self.post(command));
    }

    /// Leaves a command, or gives it back where the shard has ended.
    fn post(&self, command: ShardCommand) -> Option<ShardCommand> {
        let mut inbox = self.lock();
        if inbox.closed {
            return Some(command);
        }
        inbox.commands.push(command);
        drop(inbox);
        self.wake();
        None
    }

    /// A publisher follows the window in the shard's place from now on.
    pub(crate) fn note_short_turn(&self) {
        self.skipped_bytes.store(0, Ordering::Relaxed);
    }

    /// Whether news concern nobody here, and not too much has been skipped already.
    pub(crate) fn may_skip_wake(&self, news: &News) -> bool {
        let skipped_bytes = self.skipped_bytes.fetch_add(news.weight(), Ordering::Relaxed);
        skipped_bytes + news.weight() < MAX_SKIPPED_BYTES && !self.wanted.wants(news)
    }

    /// How much has come into the window that it has not been woken for, or only just, in bytes.
    pub(crate) fn skipped_bytes(&self) -> usize {
        self.skipped_bytes.load(Ordering::Relaxed)
    }

    /// Wakes the shard.
    pub(crate) fn wake(&self) {
        self.news.raise();
    }

    /// Takes everything. News that come from now on wake the poller again.
    pub(crate) fn take(&self) -> Vec<ShardCommand> {
        self.skipped_bytes.store(0, Ordering::Relaxed);
        self.news.lower_and(|| std::mem::take(&mut self.lock().commands))
    }

    /// Ends the inbox, unless something has come in.
    pub(crate) fn close(&self) -> bool {
        let mut inbox = self.lock();
        inbox.closed = inbox.commands.is_empty();
        inbox.closed
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notify for ShardHandle {
    fn notify(&self, news: &News) {
        if !self.may_skip_wake(news) {
            self.wake();
        }
    }
}

impl fmt::Debug for ShardCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join(_) => "Join",
            Self::Attach(_) => "Attach",
            Self::Detach(..) => "Detach",
            Self::Read(..) => "Read",
            Self::Signal(..) => "Signal",
            Self::Cut(..) => "Cut",
            Self::Reverify(..) => "Reverify",
            Self::CutOne(..) => "CutOne",
            Self::Drain(_) => "Drain",
            Self::List(..) => "List",
            Self::Count(..) => "Count",
        })
    }
}
