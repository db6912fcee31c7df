//! Resuming: how a process goes on with the log of one that is frozen, in the same epoch.
//!
//! What must hold: nothing is written before [`DiskLog::thaw`]; the lock is never free, since what is
//! locked is what both processes have open; and what is not as it was handed over is an error.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock, RwLock};

use fanfare_event::Position;

use crate::disk_state::DiskState;
use crate::format::{self, Marking};
use crate::index_cache::{IndexCache, whole_index};
use crate::lock::{Lock, LockDescriptors};
use crate::name_table::NameTable;
use crate::options::DiskOptions;
use crate::queue::Queue;
use crate::reclaim::Reclaimer;
use crate::segment::{SEGMENT, SegmentFile, name};
use crate::segment_keys::SegmentKeys;
use crate::shared::{AbandonOnDrop, Shared};
use crate::state::{FoundSegment, LogState, Restored};
use crate::storage::{Directory, Storage};
use crate::writer::DiskWriter;
use crate::{DiskLog, OpenError, index_file};
use fanfare_log::{
    Environment, IdempotencyTable, MonotonicClock, SystemEnvironment, Tail, TopicTable,
};

impl DiskLog {
    /// What keeps other hubs out, to be given to the process that goes on. `None` where there is no lock.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn lock_descriptors(&self) -> io::Result<Option<LockDescriptors>> {
        self.lock.as_ref().map(Lock::descriptors).transpose()
    }

    /// Goes on with the log in `directory`, which another process has frozen. Nothing is written, and what is
    /// published waits, until [`DiskLog::thaw`].
    ///
    /// # Errors
    ///
    /// It is another directory, the lock is not held through these descriptors, or the files are not as they
    /// were handed over.
    pub fn resume(
        directory: &Path,
        lock: LockDescriptors,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
        state: DiskState,
    ) -> Result<Self, OpenError> {
        let place = directory.display().to_string();
        let open = |source| OpenError::io("open the directory", &place, source);
        let named = Directory::open(directory).map_err(open)?;
        let storage = Directory::opened(directory, lock.directory);
        if !named.is_the_same(&storage).map_err(open)? {
            let what = "it is another directory";
            return Err(OpenError::Changed { place, what: what.to_owned() });
        }
        let lock = Lock::inherited(&storage, lock.file)?;
        let mut log = Self::resume_on(Arc::new(storage), options, tail, state)?;
        log.lock = Some(lock);
        Ok(log)
    }

    /// The same on any storage, without a lock.
    ///
    /// # Errors
    ///
    /// See [`DiskLog::resume`].
    pub fn resume_on(
        storage: Arc<dyn Storage>,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
        state: DiskState,
    ) -> Result<Self, OpenError> {
        let place = storage.place();
        let environment = Arc::new(SystemEnvironment::new());
        let (mut log, writer) = Self::resume_by_hand(storage, environment, options, tail, state)?;
        log.start(writer, &place)?;
        Ok(log)
    }

    /// The same without a thread, with time and chance from elsewhere.
    ///
    /// # Errors
    ///
    /// See [`DiskLog::resume`].
    pub fn resume_by_hand(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
        state: DiskState,
    ) -> Result<(Self, DiskWriter), OpenError> {
        let marked = format::check(&*storage)? == Marking::Log;
        let mut names = NameTable::default();
        let keep = options.keeps_indices();
        let segments = open_segments(&*storage, &state.segments, &mut names, keep)?;
        let in_segments = segments.iter().flat_map(|segment| &segment.found.head.keys);
        let segment_keys = SegmentKeys::new(in_segments.cloned());
        let DiskState { lineage, recorded, parent, head, trims, forgotten, keys, .. } = state;
        let (window, capacity) = (options.key_window, options.key_capacity);
        let clock = MonotonicClock::from(keys.latest(), environment.clone());
        let keys = IdempotencyTable::resumed(keys, window, capacity);
        let reclaimer = Reclaimer::resumed(state.trimmed);
        let (through, any_topic) = (trims.through, trims.any_topic);
        let topics =
            TopicTable::restored(TopicTable::QUIET_LIMIT, forgotten, through, trims.topics);
        let restored = Restored {
            segments,
            names,
            lineage: lineage.clone(),
            topics,
            any_topic,
            through,
            head,
        };
        let log_state = LogState::new(restored, options.retain_topic_count);
        tracing::info!(
            place = storage.place(),
            epoch = head.epoch,
            events = log_state.events(),
            "the log was handed over"
        );
        tail.begin(&lineage, head);
        if through > Position::ORIGIN {
            tail.trim(through);
        }
        tail.wake();
        let shared = Arc::new(Shared {
            state: RwLock::new(log_state),
            indices: IndexCache::new(storage.clone(), options.index_bytes),
            queue: Queue::new_frozen(options.queue_batches, options.queue_bytes),
            failure: OnceLock::new(),
        });
        let unreclaimed = reclaimer.bytes();
        // What is to be written down again before anything is published clears the note, too.
        let unrecorded = (!recorded || !marked).then_some(lineage);
        let writer = DiskWriter {
            shared: shared.clone(),
            storage,
            environment,
            clock,
            tail,
            options,
            keys,
            segment_keys,
            reclaimer,
            ahead: state.ahead && unrecorded.is_none(),
            unrecorded,
            parent,
            head,
            growing: None,
            unsynced: None,
            written: state.written,
            ended: false,
            _ending: AbandonOnDrop(shared.clone()),
        };
        Ok((Self { shared, unreclaimed, thread: None, lock: None }, writer))
    }
}

/// Opens the segments of these indices. With `keep`, the indices of all are kept in memory; else those that
/// no file has.
fn open_segments(
    storage: &dyn Storage,
    indices: &[Vec<u8>],
    names: &mut NameTable,
    keep: bool,
) -> Result<Vec<FoundSegment>, OpenError> {
    let changed = |what: String| OpenError::Changed { place: storage.place(), what };
    let mut segments = Vec::with_capacity(indices.len());
    for bytes in indices {
        let mut found = index_file::decode_any(bytes, names)
            .ok_or_else(|| changed("an index is damaged".to_owned()))?;
        let (identity, summary) = (found.head.identity, &found.head.summary);
        let file = format!("{}{SEGMENT}", name(identity.first));
        let opened = storage.open(&file).and_then(|bytes| Ok((bytes.size()?, bytes)));
        let (size, bytes) = opened.map_err(|error| changed(format!("{file}: {error}")))?;
        if size != u64::from(summary.end) {
            return Err(changed(format!("{file} has {size} bytes, not {}", summary.end)));
        }
        let file = SegmentFile::new(identity, bytes);
        let has_file = || storage.open(&index_file::file_name(identity.first)).is_ok();
        found.index = match found.index {
            None if keep => {
                let index = whole_index(storage, &file, summary).map_err(|source| {
                    OpenError::io("read an index in", &storage.place(), source)
                })?;
                found.head.fit(&index, names);
                Some(index)
            }
            index => index.filter(|_| keep || !has_file()),
        };
        segments.push(FoundSegment { file, found });
    }
    Ok(segments)
}
