//! The event log on disk: segments of records, and a thread that writes them.
//!
//! ```text
//! FORMAT                    whose directory this is, and in which version
//! lock                      held by the hub that has it open
//! epochs                    the lineage, replaced at every start
//! trimmed                   up to where each topic was trimmed
//! <epoch>-<seq>.log         a segment, named by its first position
//! <epoch>-<seq>.idx         its index, once it is closed
//! <epoch>-<seq>.log.damaged a segment of which nothing can be read
//! ```
//!
//! What must hold:
//!
//! - What was acknowledged is found again after a crash, at its position, or its readers get a gap.
//! - One thread changes files; readers hold no lock while they read them.
//! - Every start is a new epoch, recorded before it is used.

mod bytes;
mod completion;
mod format;
mod index;
mod index_file;
mod lineage_file;
mod lock;
mod open_error;
mod options;
mod queue;
mod reader;
mod record;
mod recovery;
mod scan;
mod segment;
mod state;
mod storage;
mod trims_file;
mod verify;
mod writer;

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use fanfare_event::{Position, Selector, Timestamp};

use crate::{
    AppendError, Appending, Batch, EventLog, IdempotencyTable, LogSize, Page, PageLimit, ReadError,
    ReadFrom, Tail, Unready,
};
use completion::completion;
use lock::Lock;
use queue::{Queue, Waiting};
use recovery::{Recovered, recover};
use state::State;
use writer::{Shared, Writer};

pub use open_error::OpenError;
pub use options::{DiskOptions, InvalidSyncPolicy, SyncPolicy};
pub use storage::{Directory, Storage, StoredFile};
pub use verify::{Damage, LogReport, SegmentReport, stats, verify};

/// An event log in a directory. Dropping it writes what is queued, and waits for that.
pub struct DiskLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    /// Let go of after the writer has ended.
    lock: Option<Lock>,
}

impl DiskLog {
    /// Opens the log in `directory`, which is created where it does not exist, and begins a new
    /// epoch.
    ///
    /// Takes as long as reading the indices of all segments, and the last segment where the log
    /// was not closed; some 100 ms for a million events.
    pub fn open(
        directory: &Path,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
    ) -> Result<Self, OpenError> {
        let place = directory.display().to_string();
        fs::create_dir_all(directory)
            .map_err(|source| OpenError::io("create the directory", &place, source))?;
        let storage = Directory::new(directory);
        // Before the lock: a directory that is not ours is left as it is.
        format::check(&storage)?;
        let lock = Lock::take(directory)?;
        let mut log = Self::open_on(Arc::new(storage), options, tail)?;
        log.lock = Some(lock);
        Ok(log)
    }

    /// The same on any storage, without a lock: whoever calls sees to it that no other log is open
    /// on it.
    pub fn open_on(
        storage: Arc<dyn Storage>,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
    ) -> Result<Self, OpenError> {
        let place = storage.place();
        if format::check(&*storage)? == format::Found::Nothing {
            format::mark(&*storage)
                .map_err(|source| OpenError::io("write FORMAT in", &place, source))?;
        }
        let now = Timestamp::now();
        let window = u64::try_from(options.key_window.as_millis()).unwrap_or(u64::MAX);
        let keys_since = Timestamp(now.as_millis().saturating_sub(window));
        let Recovered { lineage, parent, restored, keys } = recover(&*storage, now, keys_since)?;
        let mut table = IdempotencyTable::new(options.key_window, options.key_capacity);
        for (first, mark) in keys {
            table.insert_again(&mark.key, first, mark.count as usize, mark.time);
        }
        let (head, through) = (restored.head, restored.through);
        let state = State::new(restored, options.retain_topic_count);
        tracing::info!(place, epoch = head.epoch, events = state.events(), "the log is open");
        tail.begin(&lineage, head);
        if through > Position::ORIGIN {
            tail.trim(through);
        }
        tail.wake();
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            queue: Queue::new(options.queue_batches, options.queue_bytes),
            failure: OnceLock::new(),
        });
        let writer = Writer {
            shared: shared.clone(),
            storage,
            tail,
            options,
            keys: table,
            parent,
            head,
            growing: None,
            unsynced: None,
        };
        let writer = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::io("start a thread for", &place, source))?;
        Ok(Self { shared, writer: Some(writer), lock: None })
    }
}

/// The largest batch, in bytes of its records: several fit into a file whose offsets have 32 bits.
const MAX_BATCH: usize = 1 << 30;

impl EventLog for DiskLog {
    fn append(&self, batch: Batch) -> Appending {
        let refuse = |error| -> Appending { Box::pin(std::future::ready(Err(error))) };
        let unavailable = |reason: String| refuse(AppendError::Unavailable { reason });
        if let Some(reason) = self.shared.failure.get() {
            return unavailable(reason.clone());
        }
        let key = batch.key.as_ref().map_or(0, |key| key.as_str().len());
        let bytes = batch.drafts.iter().map(record::length).sum::<usize>() + key;
        if bytes > MAX_BATCH {
            let reason = format!("a batch has at most {MAX_BATCH} bytes, this one {bytes}");
            return refuse(AppendError::Full { reason });
        }
        let (completion, completed) = completion();
        match self.shared.queue.push(Waiting { batch, bytes, completion }) {
            Ok(()) => Box::pin(completed),
            Err(_) => unavailable("the disk has fallen behind, its queue is full".to_owned()),
        }
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        reader::read(&self.shared.state, from, until, selector, limit)
    }

    /// A full disk is no reason not to be ready: publishes are answered one by one, and whoever
    /// reads should not be turned away.
    fn ready(&self) -> Result<(), Unready> {
        match self.shared.failure.get() {
            Some(reason) => Err(Unready { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn size(&self) -> Option<LogSize> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        Some(LogSize { events: state.events(), bytes: state.bytes() })
    }

    fn expire(&self, now: Timestamp) {
        self.shared.queue.expire(now);
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }
}
