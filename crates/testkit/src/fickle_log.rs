//! An event log that does, when told, the worst an engine may: loses what it accepted, begins new
//! epochs, cannot be read.
//!
//! What must hold: it keeps the contract of an event log all the while, so that whatever goes wrong
//! above it is the fault of what is above it.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard};

use fanfare_event::{Draft, Event, EventId, Position, Selector, Timestamp};
use fanfare_log::{
    Appended, Appending, Batch, Durability, EventLog, Finding, Lineage, Page, PageLimit, ReadError,
    ReadFrom, Tail, TopicTable, Unready,
};

/// A log in memory that can be made to fail.
pub struct FickleLog {
    state: Mutex<FickleState>,
}

struct FickleState {
    tail: Arc<dyn Tail>,
    lineage: Lineage,
    last: Position,
    /// How many are retained.
    retain: usize,
    events: Vec<Arc<Event>>,
    topics: TopicTable,
    readable: bool,
    /// Whether the tail is told what is accepted.
    heard: bool,
}

/// What a log lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectedLoss {
    /// The last position of the epoch that is left of it.
    pub end: Position,
    /// The epoch that has begun.
    pub epoch: u64,
}

impl FickleLog {
    /// An empty log in its first epoch, which retains so many events.
    pub fn open(retain: usize, tail: Arc<dyn Tail>) -> Arc<Self> {
        let lineage = Lineage::root(1);
        let state = FickleState {
            last: Position::new(lineage.current(), 0),
            lineage,
            retain,
            events: Vec::new(),
            topics: TopicTable::new(TopicTable::QUIET_LIMIT),
            readable: true,
            heard: true,
            tail,
        };
        state.begin();
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Loses the last events of the current epoch, at most so many, and goes on in a new one.
    pub fn lose(&self, events: u64) -> InjectedLoss {
        let mut state = self.lock();
        let loss = state.lose(events);
        state.begin();
        state.tail.wake();
        loss
    }

    /// Starts again, after having lost as many, and from now on reports to `tail`.
    pub fn restart(&self, events: u64, tail: Arc<dyn Tail>) -> InjectedLoss {
        let mut state = self.lock();
        let loss = state.lose(events);
        state.tail = tail;
        state.heard = true;
        state.begin();
        loss
    }

    /// Whether the tail is told what is accepted, as by a node that can hear its engine. When it
    /// hears again it is told where the log now stands.
    pub fn set_tail_connected(&self, heard: bool) {
        let mut state = self.lock();
        let again = heard && !state.heard;
        state.heard = heard;
        if again {
            state.begin();
            state.tail.wake();
        }
    }

    /// Begins a new epoch as other nodes may: nothing is lost, and everything so far is trimmed.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.trim(usize::MAX);
        state.lose(0);
        state.begin();
        state.tail.wake();
    }

    /// Nothing up to here is retained.
    pub fn trimmed(&self) -> Position {
        self.lock().topics.trimmed()
    }

    /// Whether it can be read from now on.
    pub fn set_readable(&self, readable: bool) {
        self.lock().readable = readable;
    }

    fn lock(&self) -> MutexGuard<'_, FickleState> {
        self.state.lock().unwrap()
    }
}

impl FickleState {
    fn begin(&self) {
        if !self.heard {
            return;
        }
        self.tail.begin(&self.lineage, self.last);
        if self.topics.trimmed() > Position::ORIGIN {
            self.tail.trim(self.topics.trimmed());
        }
    }

    fn lose(&mut self, events: u64) -> InjectedLoss {
        let end = Position::new(self.last.epoch, self.last.seq.saturating_sub(events));
        let end = end.max(self.topics.trimmed());
        let lossy = end < self.last;
        self.events.retain(|event| event.position <= end);
        let trims: Vec<_> = self.topics.trims().map(|(topic, at)| (topic.clone(), at)).collect();
        let (forgotten, trimmed) = (self.topics.forgotten(), self.topics.trimmed());
        self.topics = TopicTable::restored(TopicTable::QUIET_LIMIT, forgotten, trimmed, trims);
        for event in &self.events {
            self.topics.retain(&event.topic);
        }
        // A trim may have gone beyond the epoch that ends.
        let seq = if end.epoch == self.last.epoch { end.seq } else { 0 };
        let epoch = self.lineage.begin(self.last.epoch + 1, seq, lossy);
        let end = Position::new(self.last.epoch, seq);
        self.last = Position::new(epoch, 0);
        InjectedLoss { end, epoch }
    }

    /// Trims the oldest events, so many.
    fn trim(&mut self, events: usize) {
        let events = events.min(self.events.len());
        for event in self.events.drain(..events) {
            for topic in event.topics() {
                let id = self.topics.id(topic).unwrap();
                self.topics.trim(id, 1, event.position);
            }
        }
        if events > 0 && self.heard {
            self.tail.trim(self.topics.trimmed());
        }
    }

    fn append(&mut self, batch: Batch) -> Appended {
        let (first, count) = (self.last.next(), batch.drafts.len());
        let mut accepted = Vec::new();
        for draft in batch.drafts {
            self.last = self.last.next();
            let (_, topic) = self.topics.retain(&draft.topic);
            draft.extras.iter().flat_map(|extras| extras.others()).for_each(|other| {
                self.topics.retain(other);
            });
            let draft = Draft { topic, ..draft };
            accepted.push(Arc::new(draft.accepted(self.last, Timestamp::now())));
        }
        if self.heard {
            self.tail.append(&accepted);
        }
        self.events.extend(accepted);
        self.trim(self.events.len().saturating_sub(self.retain));
        Appended { first, count, repeated: false, durability: Durability::Memory }
    }
}

impl EventLog for FickleLog {
    fn append(&self, batch: Batch) -> Appending {
        let mut state = self.lock();
        let appended = state.append(batch);
        let tail = Arc::clone(&state.tail);
        drop(state);
        tail.wake();
        Box::pin(ready(Ok(appended)))
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let state = self.lock();
        if !state.readable {
            return Err(ReadError::Unavailable { source: "a test says so".into() });
        }
        let (asked, trimmed) = match from {
            ReadFrom::Earliest => (state.topics.trimmed(), None),
            ReadFrom::After(after) => (after, state.topics.trimmed_after(&selector.topics, after)),
        };
        let start = trimmed.unwrap_or(asked);
        let mut page = Page { trimmed, events: Vec::new(), next: start.max(until) };
        let mut bytes = 0;
        let ahead = state.events.iter().filter(|e| e.position > start && e.position <= until);
        for event in ahead.filter(|event| selector.matches(event)) {
            page.events.push(Arc::clone(event));
            bytes += event.weight();
            if page.events.len() >= limit.events || bytes >= limit.bytes {
                page.next = event.position;
                break;
            }
        }
        Ok(page)
    }

    fn find(&self, id: &EventId) -> Finding {
        let state = self.lock();
        let earliest = state.events.iter().find(|event| event.id() == Some(id));
        Box::pin(ready(Ok(earliest.map(|event| event.position))))
    }

    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
}
