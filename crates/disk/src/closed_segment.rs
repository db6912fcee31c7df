//! A segment to which nothing is added any more.
//!
//! What must hold: its index can be had for as long as it is part of the log: from memory, from its file, or
//! by scanning the segment. Where it is in no file, or everyone needs it all the time, it is kept in memory.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fanfare_event::Position;

use crate::index::Index;
use crate::segment::{SegmentFile, ordinals};
use crate::summary::{Summary, TopicShare};

/// The segment.
pub(crate) struct ClosedSegment {
    pub file: Arc<SegmentFile>,
    pub summary: Summary,
    /// What it holds of each topic, by the topic's place in the log's table, in the order of names.
    pub topics: Box<[TopicShare<u32>]>,
    /// Its index, where that is kept.
    kept: Mutex<Option<Arc<Index>>>,
    /// How often the medium has refused to give the index.
    refusals: AtomicU32,
    gone: AtomicBool,
}

impl ClosedSegment {
    pub(crate) fn new(
        file: Arc<SegmentFile>,
        summary: Summary,
        topics: Box<[TopicShare<u32>]>,
        kept: Option<Arc<Index>>,
    ) -> Self {
        let (refusals, gone) = (AtomicU32::default(), AtomicBool::default());
        Self { file, summary, topics, kept: Mutex::new(kept), refusals, gone }
    }

    /// Its index, where that is kept.
    pub(crate) fn kept(&self) -> Option<Arc<Index>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No longer keeps the index: it is in its file.
    pub(crate) fn let_go(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Counts that the medium has refused to give the index, and says how often it has.
    pub(crate) fn count_refusal(&self) -> u32 {
        self.refusals.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// It is no longer part of the log, and its files may go.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether it is no longer part of the log.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Its records after one position and up to another.
    pub(crate) fn range(&self, after: Position, until: Position) -> Range<u32> {
        ordinals(self.summary.first, self.summary.count, after, until)
    }
}
