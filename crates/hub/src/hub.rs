//! The hub: the log and the window over it, as publishers and subscribers use them.
//!
//! What must hold: a publish goes to the log alone, and comes back by the log's tail. Where someone
//! resumes, and how far a page reaches, is judged by one copy of what was known of the log at one
//! moment; and a page holds nothing that its interest does not receive.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_event::{Position, Selector, Timestamp};
use fanfare_log::{
    Appending, Batch, EventLog, Hearing, LogSize, Page, PageLimit, ReadError, ReadFrom, Unready,
};

use crate::continuity::Span;
use crate::{
    BusyTopic, Envelope, Frame, Gap, Interest, Requested, Resolution, Slot, Start, Stretch, Window,
};

/// How much of the log is read to find out whether a stream will come to a gap.
const PAGES_AHEAD: usize = 8;
const PAGE_AHEAD: PageLimit = PageLimit { events: 1_000, bytes: 1 << 20 };

/// One log and its window.
pub struct Hub {
    window: Arc<Window>,
    log: Arc<dyn EventLog>,
    reads: AtomicU64,
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
        Self { window, log, reads: AtomicU64::new(0), failed_pages: AtomicU64::new(0) }
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

    /// What is asked for by position: finds the event that a publisher's id names. Where the first event that had
    /// the id is not retained, what was asked for is returned as it is; to go on with that is a gap.
    pub async fn locate(&self, requested: Requested) -> Result<Requested, ReadError> {
        let Requested::AfterId(id) = &requested else { return Ok(requested) };
        let found = self.log.find(id).await?;
        Ok(found.map_or(requested, Requested::After))
    }

    /// Where a subscriber begins.
    pub fn resolve(&self, requested: &Requested) -> Resolution {
        self.window.continuity().resume(requested)
    }

    /// Whether a subscriber is given everything that it wants, from the event it asked for up to the last that is
    /// known now: whether its stream comes to no gap on the way. In doubt, no: of what lies before the window a few
    /// pages are read, and not more. May block on the engine.
    pub fn is_continuous(&self, start: &Start, interest: &Interest) -> Result<bool, ReadError> {
        if start.gap.is_some() {
            return Ok(false);
        }
        let ReadFrom::After(mut at) = start.from else { return Ok(false) };
        let (known, begins) = self.window.beginning();
        if known.span(start.from).meets_loss(known.last()) {
            return Ok(false);
        }
        // The window has no gap behind its beginning.
        for _ in 0..PAGES_AHEAD {
            if at >= begins {
                return Ok(true);
            }
            let from = ReadFrom::After(at);
            let page = self.log.read(from, begins, interest.selector(), PAGE_AHEAD)?;
            if page.trimmed.is_some() || page.next <= at {
                return Ok(false);
            }
            at = page.next;
        }
        Ok(at >= begins)
    }

    /// Whether publishes can be accepted now; if not, why.
    pub fn ready(&self) -> Result<(), Unready> {
        self.log.ready()
    }

    /// Whether the log's tail is in step with its engine, as far as this node can tell.
    pub fn is_in_step(&self) -> bool {
        self.log.is_in_step()
    }

    /// Waits until this node has heard of all that the log's engine has accepted by now; for ever where it cannot.
    pub fn hear_all(&self) -> Hearing {
        self.log.hear_all()
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
    pub fn start_counting_topics(&self) {
        self.window.start_counting_topics();
    }

    /// Nobody looks at the busiest topics any more: they are not counted until someone does.
    pub fn stop_counting_topics(&self) {
        self.window.stop_counting_topics();
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

    /// Reads a stretch of the log for someone who stands here, and for all others who want the same and stand
    /// here or a little further. May block on the engine; for reader threads.
    pub fn read_stretch(
        &self,
        from: ReadFrom,
        interest: &Arc<Interest>,
        limit: PageLimit,
    ) -> Result<Stretch, ReadError> {
        let known = self.window.continuity();
        let span = known.span(from);
        let read = self.read_for(&span, interest, limit).and_then(|page| {
            let begins = span.from;
            span.gap_before(page.trimmed, page.next)?;
            Ok(Stretch::new(known, Arc::clone(interest), from, begins, page))
        });
        if read.is_err() {
            self.failed_pages.fetch_add(1, Ordering::Relaxed);
        }
        read
    }

    /// The page that [`Hub::catch_up`] would have read when this stretch was, judged by what is known now;
    /// `None` where the stretch does not say.
    pub fn page_of(
        &self,
        stretch: &Stretch,
        from: ReadFrom,
        interest: &Interest,
        envelope: Envelope,
        limit: PageLimit,
    ) -> Option<Catchup> {
        let known = self.window.continuity();
        if !stretch.is_true(&known) {
            return None;
        }
        let span = known.span(from);
        let part = stretch.part(span.from, interest)?;
        let gap = span.gap_before(part.trimmed, part.next).ok()?;
        let slots = part.slots.iter().cloned();
        Some(Catchup { gap, ..Catchup::of(slots, part.next, interest, envelope, limit) })
    }

    /// How often the log was read for pages. Fewer times than there were pages where several came of one read.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How many reads for pages failed. Whoever waits for one asks again.
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
        let page = self.read_for(&span, interest, limit)?;
        let gap = span.gap_before(page.trimmed, page.next)?;
        let slots = page.events.into_iter().map(Frame::new).map(Slot::new);
        Ok(Catchup { gap, ..Catchup::of(slots, page.next, interest, envelope, limit) })
    }

    fn read_for(
        &self,
        span: &Span,
        interest: &Interest,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.log.read(span.from, span.until, interest.selector(), limit)
    }
}

impl Catchup {
    /// As much of `slots`, which lead up to `next`, as one page of someone with this interest may hold.
    fn of(
        slots: impl Iterator<Item = Slot>,
        next: Position,
        interest: &Interest,
        envelope: Envelope,
        limit: PageLimit,
    ) -> Self {
        let mut page = Self { gap: None, slots: Vec::new(), next };
        let (mut weight, mut held) = (0, 0);
        let mut slots = slots.peekable();
        while let Some(slot) = slots.next() {
            let Some(event) = slot.frame.event() else { continue };
            // The log knows what is wanted, not what may be heard.
            if !interest.receives(event) {
                continue;
            }
            let position = event.position;
            weight += event.weight();
            // An envelope may weigh several times the event that the log has counted.
            held += slot.frame.encoded(envelope).len();
            page.slots.push(slot);
            let full = page.slots.len() >= limit.events || weight.max(held) >= limit.bytes;
            if full && slots.peek().is_some() {
                page.next = position;
                break;
            }
        }
        page
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("window", &self.window).finish_non_exhaustive()
    }
}
