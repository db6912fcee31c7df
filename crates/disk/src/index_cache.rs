//! The indices of closed segments that readers use, in memory.
//!
//! What must hold: they take no more memory than was allowed, beside those in use, and go when nobody has
//! asked for them for a while. An index that is missing or damaged is made again of its segment, and given to
//! the writer; one that cannot be read is an error, never a segment without records. Where the medium refuses it
//! again and again, it counts as damaged. No lock is held while a file is read, so two readers may read the same.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fanfare_event::Position;

use crate::closed_segment::ClosedSegment;
use crate::index::Index;
use crate::index_file;
use crate::scan::scan;
use crate::segment::SegmentFile;
use crate::storage::{REFUSALS, Storage, is_refused};
use crate::summary::Summary;

/// For how many turns of upkeep, about a second each, an index stays that nobody asks for.
const IDLE: u64 = 60;

/// The indices.
pub(crate) struct IndexCache {
    storage: Arc<dyn Storage>,
    most_bytes: usize,
    cached: Mutex<Cached>,
    /// One that was made again, to be written.
    rebuilt: Mutex<Option<(Position, Arc<Index>)>>,
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
    pub(crate) fn new(storage: Arc<dyn Storage>, most_bytes: usize) -> Self {
        Self { storage, most_bytes, cached: Mutex::default(), rebuilt: Mutex::default() }
    }

    /// The index of a segment. `None` where the segment was trimmed meanwhile, and its files are gone.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn of(&self, segment: &ClosedSegment) -> io::Result<Option<Arc<Index>>> {
        let first = segment.summary.first;
        let known = || segment.kept().or_else(|| self.lock().get(first));
        if let Some(index) = known() {
            return Ok(Some(index));
        }
        let found = match index_of_file(&*self.storage, &segment.file, &segment.summary) {
            Err(error) if is_refused(&error) && segment.count_refusal() >= REFUSALS => None,
            found => found?,
        };
        let is_damaged = found.is_none();
        let mut index = match found {
            Some(index) => index,
            None if segment.is_gone() => return Ok(None),
            None => index_by_scan(&segment.file, &segment.summary)?,
        };
        index.drop_keys_and_ids();
        // Another reader may have been quicker: then both have one.
        if let Some(known) = known() {
            return Ok(Some(known));
        }
        let index = Arc::new(index);
        if is_damaged {
            *self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((first, index.clone()));
        }
        self.put(first, index.clone());
        Ok(Some(index))
    }

    /// Adds the index of the segment that begins here.
    pub(crate) fn put(&self, first: Position, index: Arc<Index>) {
        let bytes = index.footprint();
        if bytes <= self.most_bytes {
            self.lock().put(first, index, bytes, self.most_bytes);
        }
    }

    /// The latest that was made again, with the first position of its segment.
    pub(crate) fn take_rebuilt(&self) -> Option<(Position, Arc<Index>)> {
        self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets go of the index of a segment that was trimmed.
    pub(crate) fn remove(&self, first: Position) {
        self.lock().remove(first);
    }

    /// Lets go of what nobody has asked for in a while; to be called about once a second.
    pub(crate) fn age(&self) {
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

/// The whole index of a segment, for whoever keeps it: from its file, or by scanning the segment. There is nobody
/// who would come again, so the medium is asked once.
pub(crate) fn whole_index(
    storage: &dyn Storage,
    file: &SegmentFile,
    summary: &Summary,
) -> io::Result<Index> {
    match index_of_file(storage, file, summary) {
        Ok(Some(index)) => return Ok(index),
        Err(error) if !is_refused(&error) => return Err(error),
        _ => {}
    }
    let mut index = index_by_scan(file, summary)?;
    index.drop_keys_and_ids();
    Ok(index)
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
        index.drop_keys_and_ids();
        fits.then_some(index)
    }))
}

/// The index made again of its segment. What the segment no longer shows of its records is lost.
fn index_by_scan(file: &SegmentFile, summary: &Summary) -> io::Result<Index> {
    file.report_index();
    let mut found = scan(&*file.bytes, &file.identity)?.index;
    if let missing @ 1.. = summary.count.saturating_sub(found.count()) {
        found.push_lost(missing, summary.end.saturating_sub(found.end()));
    }
    found.close();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use fanfare_event::{Timestamp, Topic};

    use super::*;
    use crate::storage::Directory;

    fn index(records: u32) -> Arc<Index> {
        let mut index = Index::new(Position::new(1, 1), 52);
        (0..records).for_each(|_| index.push(&Topic::default(), 40, Timestamp(1)));
        index.close();
        Arc::new(index)
    }

    fn cache(most_bytes: usize) -> IndexCache {
        let directory = std::env::temp_dir();
        IndexCache::new(Arc::new(Directory::read_only(&directory).unwrap()), most_bytes)
    }

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn held(cache: &IndexCache) -> Vec<u64> {
        let cached = cache.lock();
        assert_eq!(cached.indices.len(), cached.by_use.len());
        assert_eq!(cached.bytes, cached.indices.values().map(|cached| cached.bytes).sum());
        let mut held: Vec<_> = cached.indices.keys().map(|first| first.seq).collect();
        held.sort_unstable();
        held
    }

    #[test]
    fn indices_keep_to_their_bound_oldest_first() {
        let bytes = index(1000).footprint();
        let cache = cache(3 * bytes);
        for seq in 1..=3 {
            cache.put(at(seq), index(1000));
        }
        assert!(cache.lock().get(at(1)).is_some());
        cache.put(at(4), index(1000));
        assert_eq!(held(&cache), [1, 3, 4], "what was asked for longest ago goes");
        cache.put(at(4), index(2000));
        assert_eq!(held(&cache), [1, 4], "one of the same segment takes its place");
        cache.put(at(5), index(4000));
        assert_eq!(held(&cache), [1, 4], "what is larger than all may be is not held");
        cache.remove(at(4));
        cache.remove(at(4));
        assert_eq!(held(&cache), [1]);
    }

    #[test]
    fn what_nobody_asks_for_goes() {
        let cache = cache(1 << 20);
        cache.put(at(1), index(10));
        cache.put(at(2), index(10));
        for _ in 0..IDLE {
            assert!(cache.lock().get(at(2)).is_some());
            cache.age();
        }
        assert_eq!(held(&cache), [1, 2]);
        cache.age();
        assert_eq!(held(&cache), [2]);
    }
}
