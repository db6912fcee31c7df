//! The log itself: opened, read, appended to, closed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use fanfare_event::{EventId, Position, Selector, Timestamp};

use crate::completion::completion;
use crate::file_names::is_ours;
use crate::format::Marking;
use crate::index_cache::IndexCache;
use crate::keys_file::KeptKey;
use crate::lock::Lock;
use crate::open_error::OpenError;
use crate::options::DiskOptions;
use crate::queue::{Queue, QueuedBatch};
use crate::recovery::{Recovered, recover};
use crate::shared::{AbandonOnDrop, Shared};
use crate::state::LogState;
use crate::storage::{Directory, Storage, create_private, is_full, make_private};
use crate::writer::DiskWriter;
use crate::{format, reader};
use fanfare_log::{
    AppendError, Appending, Batch, Environment, EventLog, Finding, IdempotencyKey,
    IdempotencyTable, LogSize, MonotonicClock, Page, PageLimit, ReadError, ReadFrom,
    SystemEnvironment, Tail, Unready, record,
};

/// An event log in a directory. Dropping it writes what is queued, and waits for that.
pub struct DiskLog {
    pub(crate) shared: Arc<Shared>,
    /// What was trimmed and still takes room, in bytes.
    pub(crate) unreclaimed: Arc<AtomicU64>,
    /// The writer's.
    pub(crate) thread: Option<JoinHandle<()>>,
    /// Let go of after the writer has ended.
    pub(crate) lock: Option<Lock>,
}

impl DiskLog {
    /// Opens the log in `directory`, which is created where it does not exist, and begins a new
    /// epoch.
    ///
    /// Takes as long as reading the heads of the indices of all segments, which name the topics in each, and
    /// the last segment where the log was not closed.
    pub fn open(
        directory: &Path,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
    ) -> Result<Self, OpenError> {
        let place = directory.display().to_string();
        create_private(directory)
            .map_err(|source| OpenError::io("create the directory", &place, source))?;
        let storage = Directory::open(directory)
            .map_err(|source| OpenError::io("open the directory", &place, source))?;
        // Before the lock: a directory that is not ours is left as it is.
        format::check(&storage)?;
        let lock = Lock::take(&storage)?;
        let names = storage.list().map_err(|source| OpenError::io("list", &place, source))?;
        make_private(
            directory,
            &names.into_iter().filter(|name| is_ours(name)).collect::<Vec<_>>(),
        );
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
        let environment = Arc::new(SystemEnvironment::new());
        let (mut log, writer) = Self::open_by_hand(storage, environment, options, tail)?;
        log.start(writer, &place)?;
        Ok(log)
    }

    /// Starts the writer's thread.
    pub(crate) fn start(&mut self, writer: DiskWriter, place: &str) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::io("start a thread for", place, source))?;
        self.thread = Some(thread);
        Ok(())
    }

    /// The same without a thread, with time and chance from elsewhere: nothing is written but by
    /// [`DiskWriter::step`]. After the log is dropped, a step writes what is queued and closes it.
    pub fn open_by_hand(
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        options: DiskOptions,
        tail: Arc<dyn Tail>,
    ) -> Result<(Self, DiskWriter), OpenError> {
        let place = storage.place();
        let found = format::check(&*storage)?;
        if found == Marking::Unmarked {
            tracing::error!(place, "FORMAT is missing or damaged: it is written anew");
        }
        let mut marked = found == Marking::Log;
        if !marked {
            match format::mark(&*storage) {
                Ok(()) => marked = true,
                Err(error) if is_full(&error) => {}
                Err(source) => return Err(OpenError::io("write FORMAT in", &place, source)),
            }
        }
        let recovered =
            recover(&*storage, &*environment, options.key_window(), options.keeps_indices())?;
        let Recovered { lineage, recorded, parent, restored, keys, segment_keys, reclaimer } =
            recovered;
        let secret = u128::from(environment.random()) << 64 | u128::from(environment.random());
        let (window, capacity) = (options.key_window, options.key_capacity);
        let mut table = IdempotencyTable::with_secret(secret.to_ne_bytes(), window, capacity);
        let now = environment.now();
        for KeptKey { key, first, count, time } in keys {
            let key =
                std::str::from_utf8(&key).ok().and_then(|key| IdempotencyKey::parse(key).ok());
            let Some(key) = key else { continue };
            // One that a clock that was ahead has dated must not make the others look older.
            table.insert_again(&key, first, count as usize, time.min(now));
        }
        let (head, through) = (restored.head, restored.through);
        let state = LogState::new(restored, options.retain_topic_count);
        tracing::info!(place, epoch = head.epoch, events = state.events(), "the log is open");
        tail.begin(&lineage, head);
        if through > Position::ORIGIN {
            tail.trim(through);
        }
        tail.wake();
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            indices: IndexCache::new(storage.clone(), options.index_bytes),
            queue: Queue::new(options.queue_batches, options.queue_bytes),
            failure: OnceLock::new(),
        });
        let unreclaimed = reclaimer.bytes();
        let written = environment.now();
        let writer = DiskWriter {
            shared: shared.clone(),
            storage,
            clock: MonotonicClock::new(environment.clone()),
            environment,
            tail,
            options,
            keys: table,
            segment_keys,
            reclaimer,
            unrecorded: (!recorded || !marked).then(|| lineage.clone()),
            ahead: false,
            parent,
            head,
            growing: None,
            unsynced: None,
            written,
            ended: false,
            _ending: AbandonOnDrop(shared.clone()),
        };
        Ok((Self { shared, unreclaimed, thread: None, lock: None }, writer))
    }
}

/// The largest batch, in bytes of its records: several fit into a file whose offsets have 32 bits.
const MAX_BATCH: usize = 1 << 30;

impl EventLog for DiskLog {
    fn append(&self, batch: Batch) -> Appending {
        let refuse = |error| -> Appending { Box::pin(std::future::ready(Err(error))) };
        let unavailable =
            |reason: String| refuse(AppendError::Unavailable { source: reason.into() });
        if let Some(reason) = self.shared.failure.get() {
            return unavailable(reason.clone());
        }
        let key = batch.key.as_ref().map_or(0, |key| key.as_str().len());
        let bytes = batch.drafts.iter().map(record::length).sum::<usize>() + key;
        if bytes > MAX_BATCH {
            let reason = format!("a batch has at most {MAX_BATCH} bytes, this one {bytes}");
            return refuse(AppendError::Full { source: reason.into() });
        }
        let (completion, completed) = completion();
        match self.shared.queue.push(QueuedBatch { batch, bytes, completion }) {
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
        reader::read(&self.shared, from, until, selector, limit)
    }

    fn find(&self, id: &EventId) -> Finding {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(Ok(state.find(id))))
    }

    /// A full disk is no reason not to be ready: publishes are answered one by one, and whoever
    /// reads should not be turned away.
    fn ready(&self) -> Result<(), Unready> {
        match self.shared.failure.get() {
            Some(reason) => Err(Unready { source: reason.clone().into() }),
            None => Ok(()),
        }
    }

    fn size(&self) -> Option<LogSize> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let unreclaimed = self.unreclaimed.load(Ordering::Relaxed);
        Some(LogSize { events: state.events(), bytes: state.bytes(), unreclaimed })
    }

    fn expire(&self, now: Timestamp) {
        self.shared.queue.expire(now);
    }
}

impl Drop for DiskLog {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }
}
