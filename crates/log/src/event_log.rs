//! The contract of an event log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Draft, Event, EventId, Position, Selector, Timestamp};

use crate::IdempotencyKey;

/// One ordered log of events. Memory, disk, Redis: each engine assigns the order and reports what
/// it accepted to its [`Tail`](crate::Tail).
pub trait EventLog: Send + Sync + 'static {
    /// Accepts a whole batch, or nothing of it. The future resolves once the log holds the batch
    /// at its configured durability; dropping it does not take the batch back.
    fn append(&self, batch: Batch) -> Appending;

    /// Reads forward from a position: what `selector` wants, up to `until`, in order.
    ///
    /// May block on disk or network, and is therefore called by reader threads only. A call does
    /// a bounded amount of work: a page may be empty although more follows, and says by
    /// [`Page::next`] how far it got.
    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError>;

    /// Finds the first event that its publisher gave this id; `None` where there is none, or it is known to be no
    /// longer retained, whatever has the id now: who received the first may lack what lies between. The position
    /// is good for a read, which says whether anything after it was trimmed.
    fn find(&self, id: &EventId) -> Finding;

    /// Whether publishes can be accepted now; if not, why.
    fn ready(&self) -> Result<(), Unready>;

    /// Whether the tail is told what the engine accepts. False while an engine outside cannot be
    /// heard: others may know more than this node.
    fn is_in_step(&self) -> bool {
        true
    }

    /// Waits until the tail has been told of all that the engine has accepted by now: what is still ahead of it then is
    /// not in this log. An engine in this process tells its tail before it answers anyone. May wait for ever where the
    /// engine cannot be heard.
    fn hear_all(&self) -> Hearing {
        Box::pin(std::future::ready(()))
    }

    /// What is retained; `None` where the engine does not say, or not cheaply.
    fn size(&self) -> Option<LogSize> {
        None
    }

    /// Lets go of what has outlived its age. Called about once a second; engines that see to it
    /// themselves do nothing.
    fn expire(&self, now: Timestamp) {
        let _ = now;
    }
}

/// What is published at once: one or more events, with consecutive positions.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Never empty.
    pub drafts: Vec<Draft>,
    /// Makes a retry safe: the same key within its window is answered with what it was first
    /// answered, and publishes nothing; with another content, it is refused.
    pub key: Option<IdempotencyKey>,
}

/// An append under way.
pub type Appending = Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + Send>>;

/// A search for an event by its publisher's id.
pub type Finding = Pin<Box<dyn Future<Output = Result<Option<Position>, ReadError>> + Send>>;

/// A wait for what the tail has not been told of.
pub type Hearing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of the batch's first event; the others follow it.
    pub first: Position,
    /// How many events there are.
    pub count: usize,
    /// Whether an earlier batch with the same key was found, and this one not published.
    pub repeated: bool,
    /// What the acknowledgement is worth.
    pub durability: Durability,
}

impl Appended {
    /// The positions of the batch's events, in order.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = Position> + use<> {
        let first = self.first;
        (0..self.count).map(move |n| first.plus(n as u64))
    }
}

/// What an acknowledgement is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Held in this process's memory.
    Memory,
    /// Handed to the operating system: survives the process, not the machine.
    Os,
    /// On disk: survives the machine.
    Disk,
    /// Held by an engine outside, as safely as it is configured.
    Engine,
}

/// What an engine saw go wrong. Its text is for whoever reads the error that carries it.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log accepts nothing now. Nothing of the batch was kept; a retry later may succeed.
    #[error("the event log is not accepting events: {source}")]
    Unavailable {
        /// What is wrong, for the publisher to read.
        source: Cause,
    },
    /// The engine did not answer in time: the batch may or may not have been accepted. Only an
    /// idempotency key makes a retry safe.
    #[error("the event log did not answer in time, the outcome is unknown: {source}")]
    OutcomeUnknown {
        /// What is wrong, for the publisher to read.
        source: Cause,
    },
    /// There is no room to store it. Nothing of the batch was kept.
    #[error("the event log has no room: {source}")]
    Full {
        /// What is full, for the publisher to read.
        source: Cause,
    },
    /// There is no room for another idempotency key. Nothing of the batch was kept.
    #[error(
        "{} use too many idempotency keys at once (limit {limit}): send none, or try again later",
        if *own { "you" } else { "all publishers together" }
    )]
    TooManyKeys {
        /// How many keys are remembered at most. One publisher may have as many as are left free.
        limit: usize,
        /// Whether it is this publisher who uses too many.
        own: bool,
    },
    /// The idempotency key was used before, for something else. Nothing of the batch was kept.
    #[error(
        "the Idempotency-Key was used before, to publish something else: take a new key for each \
         publish, and repeat one only with what it was first sent with"
    )]
    KeyReused,
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the oldest event that is retained, whatever may have been trimmed before it.
    Earliest,
    /// With whatever follows this position.
    After(Position),
}

/// How much one page may hold. At least one event is returned however large it is.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// The most events.
    pub events: usize,
    /// The most bytes, by [`Event::weight`].
    pub bytes: usize,
}

/// A stretch of the log, as one selector sees it.
#[derive(Debug, Clone)]
pub struct Page {
    /// Set when something that the selector wants, after the position asked for, may have been
    /// trimmed. Everything retained lies after the position given here, so a reader that resumes
    /// from it meets no second gap.
    pub trimmed: Option<Position>,
    /// What the selector wants, in order.
    pub events: Vec<Arc<Event>>,
    /// Everything wanted up to and including this position has been returned: where to go on.
    pub next: Position,
}

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine cannot be reached or did not answer; trying again later may succeed.
    #[error("the event log cannot be read: {source}")]
    Unavailable {
        /// What is wrong.
        source: Cause,
    },
}

/// What a log retains at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSize {
    /// How many events.
    pub events: u64,
    /// What they occupy, by the engine's own measure.
    pub bytes: u64,
    /// How many bytes of what was trimmed still take room: on disk, what waits until the idempotency
    /// keys in it can be kept elsewhere.
    pub unreclaimed: u64,
}

/// Why a log is not ready.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct Unready {
    /// What is wrong, for an operator to read.
    pub source: Cause,
}

/// How much a log keeps. Whatever exceeds any of the three is trimmed, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The most events.
    pub count: u64,
    /// The most bytes, by [`Event::weight`].
    pub bytes: u64,
    /// The greatest age.
    pub age: Duration,
}
