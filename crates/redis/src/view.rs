//! What this node knows of the log: written by the task that follows the stream, read by all others.
//!
//! What must hold: a position is recorded as known before anyone is told of it, the tail or the
//! publisher. `heard` follows once the tail was told; only where an epoch begins, or something was missed, it
//! comes first, with the lineage, for those whom the tail sends there must find the epoch named.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::{Event, Position, TopicSelector};
use fanfare_log::{Lineage, LogSize};

use crate::soundings::Soundings;
use crate::stream_state::StreamState;
use crate::stream_trims::StreamTrims;

/// The most entries asked for at once.
pub(crate) const MAX_PAGE: usize = 1000;

/// What the tail was told.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) lineage: Arc<Lineage>,
    /// The last position the tail was told of.
    pub(crate) heard: Position,
    /// What the fence last found to be retained.
    pub(crate) fenced: StreamState,
}

/// The latest epochs that this node has heard of, and how far each had come: what a Redis that has
/// forgotten is told.
const MAX_EPOCHS: usize = 64;

/// The view of one node.
pub(crate) struct View {
    seen: Mutex<Seen>,
    trims: Mutex<StreamTrims>,
    /// How far the tail has been told of what Redis had.
    pub(crate) soundings: Soundings,
    /// The last position of each of the latest epochs that was heard of or acknowledged, ascending.
    known: Mutex<Vec<Position>>,
    /// The id of the last notice that was heard.
    noticed: Mutex<String>,
    /// A moving average of [`Event::weight`].
    weight: AtomicUsize,
    /// How many bytes an entry occupies in Redis, on average; 0 until that was measured.
    occupies: AtomicU64,
}

impl View {
    pub(crate) fn new(lineage: Lineage, heard: Position, noticed: String) -> Self {
        Self {
            seen: Mutex::new(Seen {
                lineage: Arc::new(lineage),
                heard,
                fenced: StreamState::UNKNOWN,
            }),
            trims: Mutex::new(StreamTrims::since(heard)),
            soundings: Soundings::new(),
            known: Mutex::new(vec![heard]),
            noticed: Mutex::new(noticed),
            weight: AtomicUsize::new(1024),
            occupies: AtomicU64::new(0),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(crate) fn heard(&self) -> Position {
        self.lock().heard
    }

    /// The last position of each epoch that this node knows of.
    pub(crate) fn known(&self) -> Vec<Position> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The id of the last notice that was passed on.
    pub(crate) fn noticed(&self) -> String {
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The notices up to this one were passed on.
    pub(crate) fn record_noticed(&self, id: &str) {
        let mut noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        id.clone_into(&mut noticed);
    }

    /// The last seq of `epoch` that this node knows of.
    pub(crate) fn known_of(&self, epoch: u64) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().rev().find(|known| known.epoch == epoch).map_or(0, |known| known.seq)
    }

    /// This was given out. To be called before anyone else is told.
    pub(crate) fn record_known(&self, position: Position) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.partition_point(|known| known.epoch < position.epoch);
        match known.get_mut(at) {
            Some(known) if known.epoch == position.epoch => *known = position.max(*known),
            _ => known.insert(at, position),
        }
        if known.len() > MAX_EPOCHS {
            known.remove(0);
        }
    }

    pub(crate) fn before_begin(&self, lineage: Arc<Lineage>, at: Position) {
        let mut seen = self.lock();
        seen.lineage = lineage;
        seen.heard = at;
    }

    /// Before the tail is told of these, so that no reader is ahead of what is known of them.
    pub(crate) fn before_append(&self, events: &[Arc<Event>]) {
        if let Some(last) = events.last() {
            self.record_known(last.position);
        }
        let mut trims = self.trims();
        events.iter().for_each(|event| trims.on_event(event));
    }

    /// Before the tail is told that the log goes on after `at` with something missing.
    pub(crate) fn before_gap(&self, at: Position) {
        *self.trims() = StreamTrims::since(at);
    }

    pub(crate) fn after_append(&self, events: &[Arc<Event>]) {
        let Some(last) = events.last() else { return };
        self.lock().heard = last.position;
        let mean = events.iter().map(|event| event.weight()).sum::<usize>() / events.len();
        let before = self.weight.load(Ordering::Relaxed);
        // Quick to rise, slow to fall: a page that is too small costs less than one too big.
        let after = if mean > before { mean } else { before - (before - mean) / 8 };
        self.weight.store(after, Ordering::Relaxed);
    }

    /// What the fence found just now.
    pub(crate) fn on_fenced(&self, fenced: StreamState) {
        self.trims().trim(fenced.trimmed_through());
        self.lock().fenced = fenced;
    }

    /// Whether something `wanted`, after `after`, may be among what was trimmed up to `through`.
    pub(crate) fn lost(&self, wanted: &TopicSelector, after: Position, through: Position) -> bool {
        self.trims().concern(wanted, after, through)
    }

    /// So many entries occupy so many bytes in Redis.
    pub(crate) fn measured(&self, bytes: i64, entries: i64) {
        if let (Ok(bytes), Ok(entries @ 1..)) = (u64::try_from(bytes), u64::try_from(entries)) {
            self.occupies.store(bytes.div_ceil(entries), Ordering::Relaxed);
        }
    }

    /// What Redis retains; `None` until it was measured.
    pub(crate) fn size(&self) -> Option<LogSize> {
        let occupies = self.occupies.load(Ordering::Relaxed);
        if occupies == 0 {
            return None;
        }
        let Seen { lineage, fenced, .. } = self.seen();
        let epochs = lineage.ends().map(|ended| ended.end.epoch).chain([lineage.current()]);
        let is_retained = |epoch: &u64| fenced.first <= Some(Position::new(*epoch, 0));
        let markers = fenced.first.map_or(0, |_| epochs.filter(is_retained).count() as u64);
        let events = fenced.length.saturating_sub(markers);
        Some(LogSize { events, bytes: fenced.length * occupies, unreclaimed: 0 })
    }

    /// How many events the fence found beyond what was heard; those of another epoch count in full.
    pub(crate) fn lag(&self) -> u64 {
        let Seen { heard, fenced, .. } = self.seen();
        let Position { epoch, seq } = fenced.last;
        if epoch > heard.epoch { seq } else { seq.saturating_sub(heard.seq) }
    }

    /// How many entries make about so many bytes, judging by the latest.
    pub(crate) fn entries_in(&self, bytes: usize) -> usize {
        (bytes / self.weight.load(Ordering::Relaxed).max(1)).clamp(1, MAX_PAGE)
    }

    fn trims(&self) -> MutexGuard<'_, StreamTrims> {
        self.trims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
