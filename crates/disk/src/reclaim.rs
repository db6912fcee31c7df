//! Reclaiming: how the files of trimmed segments leave the disk, and what becomes of the idempotency
//! keys in them.
//!
//! What must hold: a key is on disk until its window ends: in its segment, in that segment's index, or
//! in the file `keys`. So the files of a segment go once `keys` has those of its keys that are still
//! within their window. Where that has no room, the segment goes all the same if its index has them;
//! and that makes room. How many segments may wait is bounded: beyond it the log accepts nothing.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_event::Position;

use crate::index_file::{self, FoundIndex};
use crate::keys_file::{KeptKey, KeysFile};
use crate::name_table::NameTable;
use crate::segment::{INDEX, SEGMENT, name};
use crate::storage::{Storage, is_full};
use crate::summary::Summary;

/// What was trimmed and still takes room.
pub(crate) struct Reclaimer {
    waiting: Vec<TrimmedFiles>,
    keys_file: KeysFile,
    bytes: Arc<AtomicU64>,
}

/// The files of a trimmed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrimmedFiles {
    first: Position,
    keys: Vec<KeptKey>,
    /// Of the segment and its index.
    bytes: [u64; 2],
}

impl TrimmedFiles {
    /// Both files of a segment, with the keys in it.
    pub(crate) fn of(storage: &dyn Storage, segment: &Summary, keys: Vec<KeptKey>) -> Self {
        let first = segment.first;
        Self { first, keys, bytes: [segment.end.into(), index_size(storage, first)] }
    }

    /// The index of a segment that has gone before it, with the keys in it.
    pub(crate) fn of_index(storage: &dyn Storage, first: Position, keys: Vec<KeptKey>) -> Self {
        Self { first, keys, bytes: [0, index_size(storage, first)] }
    }

    /// As they are written down: the first position, the bytes of the segment and of its index, the keys.
    pub(crate) fn parts(&self) -> (Position, [u64; 2], &[KeptKey]) {
        (self.first, self.bytes, &self.keys)
    }

    /// See [`TrimmedFiles::parts`].
    pub(crate) fn from_parts(first: Position, bytes: [u64; 2], keys: Vec<KeptKey>) -> Self {
        Self { first, keys, bytes }
    }

    /// What its keys were answered.
    pub(crate) fn keys(&self) -> &[KeptKey] {
        &self.keys
    }
}

fn index_size(storage: &dyn Storage, first: Position) -> u64 {
    let file = storage.open(&format!("{}{INDEX}", name(first)));
    file.and_then(|file| file.size()).unwrap_or(0)
}

impl Reclaimer {
    /// With nothing that waits.
    pub(crate) fn new(keys_file: KeysFile) -> Self {
        Self { waiting: Vec::new(), keys_file, bytes: Arc::default() }
    }

    /// What another process has left; nothing is removed before time has passed.
    pub(crate) fn resumed(waiting: Vec<TrimmedFiles>) -> Self {
        let bytes = waiting.iter().flat_map(|waiting| waiting.bytes).sum();
        let bytes = Arc::new(AtomicU64::new(bytes));
        Self { waiting, bytes, ..Self::new(KeysFile::default()) }
    }

    /// What waits.
    pub(crate) fn waiting(&self) -> &[TrimmedFiles] {
        &self.waiting
    }

    /// How many bytes wait, to be read by others.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        self.bytes.clone()
    }

    /// How many segments wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// These are no longer part of the log.
    pub(crate) fn add(&mut self, trimmed: impl IntoIterator<Item = TrimmedFiles>) {
        self.waiting.extend(trimmed);
    }

    /// Removes what can be removed; `lives` says of which keys the window has not ended.
    pub(crate) fn reclaim(
        &mut self,
        storage: &dyn Storage,
        lives: impl Fn(&KeptKey) -> bool + Copy,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting.iter_mut().for_each(|waiting| waiting.keys.retain(lives));
        // What needs nothing written goes first, and may make the room for the rest.
        self.remove(storage, |waiting| waiting.keys.is_empty());
        let mut kept = self.keep_keys(storage, lives);
        if kept.as_ref().is_err_and(is_full) && self.leave_indices(storage) {
            kept = self.keep_keys(storage, lives);
        }
        match kept {
            Ok(()) => self.remove(storage, |_| true),
            Err(error) => {
                let segments = self.waiting.len();
                tracing::warn!(%error, segments, "idempotency keys of trimmed segments cannot be kept");
            }
        }
        let bytes = self.waiting.iter().flat_map(|waiting| waiting.bytes).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn keep_keys(
        &mut self,
        storage: &dyn Storage,
        lives: impl Fn(&KeptKey) -> bool,
    ) -> io::Result<()> {
        let keys: Vec<_> = self.waiting.iter().flat_map(|waiting| &waiting.keys).cloned().collect();
        self.keys_file.append(storage, &keys, lives)
    }

    /// Removes the segments whose keys their indices have too; whether there was one.
    fn leave_indices(&mut self, storage: &dyn Storage) -> bool {
        // An index may have got its name and not be durable under it yet.
        if storage.sync_dir().is_err() {
            return false;
        }
        let mut freed = false;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.bytes[0] > 0) {
            let found = index_file::load_head(storage, waiting.first, &mut NameTable::default());
            let Ok(Some(FoundIndex { head, .. })) = found else { continue };
            let keys: HashSet<_> = head.keys.iter().map(|key| key.first).collect();
            let all = waiting.keys.iter().all(|key| keys.contains(&key.first));
            if all && unlink(storage, waiting.first, SEGMENT) {
                waiting.bytes[0] = 0;
                freed = true;
            }
        }
        freed
    }

    fn remove(&mut self, storage: &dyn Storage, goes: impl Fn(&TrimmedFiles) -> bool) {
        self.waiting.retain_mut(|waiting| {
            if !goes(waiting) {
                return true;
            }
            // They are kept; what cannot be removed is tried again.
            waiting.keys.clear();
            !(unlink(storage, waiting.first, SEGMENT) && unlink(storage, waiting.first, INDEX))
        });
    }
}

/// Removes a file of a segment; whether it is gone.
fn unlink(storage: &dyn Storage, first: Position, ending: &str) -> bool {
    let file = format!("{}{ending}", name(first));
    match storage.unlink(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file, %error, "cannot remove a file of a trimmed segment");
            false
        }
        _ => true,
    }
}
