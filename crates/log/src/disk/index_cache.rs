//! The indices of closed segments that readers use, in memory.
//!
//! What must hold: they take no more memory than was allowed, beside those in use, and go when nobody has
//! asked for them for a while. An index that is missing or damaged is made again of its segment; one that
//! cannot be read is an error, never a segment without records.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::Position;

use super::closed_segment::ClosedSegment;
use super::index::Index;
use super::index_file;
use super::scan::scan;
use super::segment::SegmentFile;
use super::storage::Storage;
use super::summary::Summary;

/// For how many turns of upkeep, about a second each, an index stays that nobody asks for.
const IDLE: u64 = 60;

/// The indices.
pub(super) struct IndexCache {
    storage: Arc<dyn Storage>,
    most_bytes: usize,
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    indices: HashMap<Position, CachedIndex>,
    /// By when they were asked for last.
    by_use: BTreeMap<u64, Position>,
    uses: u64,
    turn: u64,
    bytes: usize,
}

struct CachedIndex {
    index: Arc<Index>,
    bytes: usize,
    used: u64,
    turn: u64,
}

impl IndexCache {
    pub(super) fn new(storage: Arc<dyn Storage>, most_bytes: usize) -> Self {
        Self { storage, most_bytes, cached: Mutex::default() }
    }

    /// The index of a segment. `None` where the segment was trimmed meanwhile, and its files are gone.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn of(&self, segment: &ClosedSegment) -> io::Result<Option<Arc<Index>>> {
        let first = segment.summary.first;
        let known = || segment.kept().or_else(|| self.lock().get(first));
        if let Some(index) = known() {
            return Ok(Some(index));
        }
        let _turn = segment.turn();
        if let Some(index) = known() {
            return Ok(Some(index));
        }
        let (file, summary) = (&segment.file, &segment.summary);
        let index = match index_of_file(&*self.storage, file, summary)? {
            Some(index) => index,
            None if segment.is_gone() => return Ok(None),
            None => index_by_scan(file, summary)?,
        };
        let index = Arc::new(index);
        self.put(first, index.clone());
        Ok(Some(index))
    }

    /// Adds the index of the segment that begins here.
    pub(super) fn put(&self, first: Position, index: Arc<Index>) {
        let bytes = index.footprint();
        if bytes <= self.most_bytes {
            self.lock().put(first, index, bytes, self.most_bytes);
        }
    }

    /// Lets go of the index of a segment that was trimmed.
    pub(super) fn remove(&self, first: Position) {
        self.lock().remove(first);
    }

    /// Lets go of what nobody has asked for in a while; to be called about once a second.
    pub(super) fn age(&self) {
        let mut cached = self.lock();
        cached.turn += 1;
        let before = cached.turn.saturating_sub(IDLE);
        while let Some((_, &oldest)) = cached.by_use.first_key_value()
            && cached.indices.get(&oldest).is_none_or(|cached| cached.turn < before)
        {
            cached.remove(oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    fn get(&mut self, first: Position) -> Option<Arc<Index>> {
        let cached = self.indices.get_mut(&first)?;
        self.uses += 1;
        self.by_use.remove(&cached.used);
        self.by_use.insert(self.uses, first);
        (cached.used, cached.turn) = (self.uses, self.turn);
        Some(cached.index.clone())
    }

    fn put(&mut self, first: Position, index: Arc<Index>, bytes: usize, most: usize) {
        self.remove(first);
        while self.bytes + bytes > most
            && let Some((_, &oldest)) = self.by_use.first_key_value()
        {
            self.remove(oldest);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, first);
        self.indices.insert(first, CachedIndex { index, bytes, used: self.uses, turn: self.turn });
    }

    fn remove(&mut self, first: Position) {
        if let Some(cached) = self.indices.remove(&first) {
            self.by_use.remove(&cached.used);
            self.bytes -= cached.bytes;
        }
    }
}

/// The whole index of a segment, for whoever keeps it: from its file, or by scanning the segment.
pub(super) fn whole_index(
    storage: &dyn Storage,
    file: &SegmentFile,
    summary: &Summary,
) -> io::Result<Index> {
    match index_of_file(storage, file, summary)? {
        Some(index) => Ok(index),
        None => index_by_scan(file, summary),
    }
}

/// The index in the file; `None` where there is none, or one that is damaged or does not fit.
fn index_of_file(
    storage: &dyn Storage,
    file: &SegmentFile,
    summary: &Summary,
) -> io::Result<Option<Index>> {
    let found = index_file::load(storage, summary.first)?;
    Ok(found.and_then(|(identity, mut index)| {
        let fits = identity == file.identity
            && index.count() == summary.count
            && index.end() == summary.end;
        index.keep_only_places();
        fits.then_some(index)
    }))
}

/// The index made again of its segment. What the segment no longer shows of its records is lost.
fn index_by_scan(file: &SegmentFile, summary: &Summary) -> io::Result<Index> {
    file.report_index();
    let mut found = scan(&*file.bytes, &file.identity)?.index;
    if let missing @ 1.. = summary.count.saturating_sub(found.count()) {
        found.push_lost(missing, 0);
    }
    found.close();
    found.keep_only_places();
    Ok(found)
}
