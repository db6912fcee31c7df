//! The hub: the log and the window over it, as publishers and subscribers use them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_event::{Position, Selector, Timestamp};
use fanfare_log::{
    Appending, Batch, EventLog, LogSize, Page, PageLimit, ReadError, ReadFrom, Unready,
};

use crate::{
    BusyTopic, Envelope, Frame, Gap, Interest, Requested, Resolution, Slot, Start, Window,
};

/// One log and its window.
pub struct Hub {
    window: Arc<Window>,
    log: Arc<dyn EventLog>,
    failed_pages: AtomicU64,
}

/// A stretch of the log, read for one subscriber that the window could not serve.
#[derive(Debug)]
pub struct Catchup {
    /// Comes before the frames.
    pub gap: Option<Gap>,
    /// What the subscriber wants, in order, already encoded.
    pub slots: Vec<Slot>,
    /// Everything wanted up to here has been read: where to go on.
    pub next: Position,
}

impl Hub {
    /// A hub over `log`, which reports to `window`.
    pub fn new(window: Arc<Window>, log: Arc<dyn EventLog>) -> Self {
        Self { window, log, failed_pages: AtomicU64::new(0) }
    }

    /// The recent part of the log.
    pub fn window(&self) -> &Arc<Window> {
        &self.window
    }

    /// Publishes a batch as a whole. Delivery follows from the log's tail, not from here: by the
    /// time this resolves, shards have been woken but no subscriber has been written to.
    pub fn publish(&self, batch: Batch) -> Appending {
        self.log.append(batch)
    }

    /// What is asked for by position: finds the event that a publisher's id names. Where no event that is
    /// retained has the id, what was asked for is returned as it is; to go on with that is a gap.
    pub async fn locate(&self, requested: Requested) -> Result<Requested, ReadError> {
        let Requested::AfterId(id) = &requested else { return Ok(requested) };
        let found = self.log.find(id).await?;
        Ok(found.map_or(requested, Requested::After))
    }

    /// Where a subscriber begins.
    pub fn resolve(&self, requested: &Requested) -> Resolution {
        self.window.continuity().resume(requested)
    }

    /// Whether nothing that a subscriber wants is known to be missing between what it asked for and where it
    /// begins. May block on the engine.
    pub fn is_continuous(&self, start: &Start, interest: &Interest) -> Result<bool, ReadError> {
        if start.gap.is_some() {
            return Ok(false);
        }
        if start.from == ReadFrom::Earliest {
            return Ok(true);
        }
        let one = PageLimit { events: 1, bytes: 1 };
        let page = self.log.read(start.from, self.window.last(), interest.selector(), one)?;
        Ok(page.trimmed.is_none())
    }

    /// Whether publishes can be accepted now; if not, why.
    pub fn ready(&self) -> Result<(), Unready> {
        self.log.ready()
    }

    /// Whether the log's tail is in step with its engine, as far as this node can tell.
    pub fn is_in_step(&self) -> bool {
        self.log.is_in_step()
    }

    /// What the log retains; `None` where its engine does not say.
    pub fn log_size(&self) -> Option<LogSize> {
        self.log.size()
    }

    /// The topics that most has been published to lately, busiest first. To be called about once
    /// a second, by one caller: counts fade from call to call.
    pub fn busiest(&self, now: Timestamp, limit: usize) -> Vec<BusyTopic> {
        self.window.busiest(now, limit)
    }

    /// Somebody looks at the busiest topics from now on: they are counted.
    pub fn watch(&self) {
        self.window.watch();
    }

    /// Nobody looks at the busiest topics any more: they are not counted until someone does.
    pub fn unwatch(&self) {
        self.window.unwatch();
    }

    /// Lets the log go of what has outlived its age. To be called about once a second.
    pub fn expire(&self, now: Timestamp) {
        self.log.expire(now);
    }

    /// Reads on from where a subscriber stands, up to what the window has reported. May block on
    /// the engine; for reader threads.
    ///
    /// The position is resolved anew: since the subscriber was given it, the engine may have lost
    /// what it names. No page crosses a place at which something acknowledged was lost: it ends
    /// before that place, and the next one begins with the gap.
    pub fn catch_up(
        &self,
        from: ReadFrom,
        interest: &Interest,
        envelope: Envelope,
        limit: PageLimit,
    ) -> Result<Catchup, ReadError> {
        let read = self.read_page(from, interest, envelope, limit);
        if read.is_err() {
            self.failed_pages.fetch_add(1, Ordering::Relaxed);
        }
        read
    }

    /// How many pages could not be read. Whoever waits for one asks again.
    pub fn failed_pages(&self) -> u64 {
        self.failed_pages.load(Ordering::Relaxed)
    }

    /// Reads the log itself, which knows nothing of what a window has.
    pub(crate) fn read_log(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        self.log.read(from, until, selector, limit)
    }

    fn read_page(
        &self,
        from: ReadFrom,
        interest: &Interest,
        envelope: Envelope,
        limit: PageLimit,
    ) -> Result<Catchup, ReadError> {
        let span = self.window.continuity().span(from);
        let page = self.log.read(span.from, span.until, interest.selector(), limit)?;
        let gap = span.gap_before(&page)?;
        let (mut slots, mut held, mut next) = (Vec::new(), 0, page.next);
        let mut events = page.events.into_iter().peekable();
        while let Some(event) = events.next() {
            // The log knows what is wanted, not what may be heard.
            if !interest.hears(&event) {
                continue;
            }
            let (slot, position) = (Slot::new(Frame::new(Arc::clone(&event))), event.position);
            held += slot.frame.encoded(envelope).len();
            slots.push(slot);
            // An envelope may weigh several times the event that the log has counted.
            if held >= limit.bytes && events.peek().is_some() {
                next = position;
                break;
            }
        }
        Ok(Catchup { gap, slots, next })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("window", &self.window).finish_non_exhaustive()
    }
}
