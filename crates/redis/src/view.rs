//! What this node knows of the log: kept by the tail, read by everyone else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::{Event, Position, Timestamp};
use fanfare_log::Lineage;

/// The most entries asked for at once.
const MAX_PAGE: usize = 1000;

/// What the tail has told the hub.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) lineage: Arc<Lineage>,
    /// The last position the tail was told of.
    pub(crate) heard: Position,
    /// When the oldest retained entry was published.
    pub(crate) first_at: Option<Timestamp>,
}

pub(crate) struct View {
    seen: Mutex<Seen>,
    /// A moving average of [`Event::weight`].
    weight: AtomicUsize,
}

impl View {
    pub(crate) fn new(lineage: Lineage, heard: Position) -> Self {
        Self {
            seen: Mutex::new(Seen { lineage: Arc::new(lineage), heard, first_at: None }),
            weight: AtomicUsize::new(1024),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(crate) fn heard(&self) -> Position {
        self.lock().heard
    }

    pub(crate) fn began(&self, lineage: Arc<Lineage>, at: Position) {
        let mut seen = self.lock();
        seen.lineage = lineage;
        seen.heard = at;
    }

    pub(crate) fn heard_events(&self, events: &[Arc<Event>]) {
        let Some(last) = events.last() else { return };
        self.lock().heard = last.position;
        let mean = events.iter().map(|event| event.weight()).sum::<usize>() / events.len();
        let before = self.weight.load(Ordering::Relaxed);
        // Quick to rise, slow to fall: a page that is too small costs less than one too big.
        let after = if mean > before { mean } else { before - (before - mean) / 8 };
        self.weight.store(after, Ordering::Relaxed);
    }

    pub(crate) fn first_at(&self, at: Option<Timestamp>) {
        self.lock().first_at = at;
    }

    /// How many entries make about so many bytes, judging by the latest.
    pub(crate) fn entries_in(&self, bytes: usize) -> usize {
        (bytes / self.weight.load(Ordering::Relaxed).max(1)).clamp(1, MAX_PAGE)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
