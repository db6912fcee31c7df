//! The writer: the one that changes the log, step by step, on a thread of its own or by hand.
//!
//! What must hold:
//!
//! - *Group commit*: whatever queued while the disk was busy is written by one write and made
//!   durable by one sync.
//! - Readers, the tail and publishers learn of a batch only after it is as durable as promised,
//!   in that order.
//! - After a failed sync nothing is known of what is on disk, and asking again would be answered
//!   with a success that means nothing. So the writer refuses everything from then on; a restart
//!   recovers.
//! - What does not fit a full disk is cut off again, refused, and the next batch tries anew.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanfare_event::{Event, Position, Timestamp};

use crate::completion::Completion;
use crate::index::{Index, KeyMark};
use crate::index_file;
use crate::options::{DiskOptions, SyncPolicy};
use crate::queue::{QueuedBatch, WriterTask};
use crate::reclaim::Reclaimer;
use crate::refusal::WriteRefusal;
use crate::segment::{SEGMENT, START, Segment, SegmentFile, SegmentIdentity, name};
use crate::segment_keys::SegmentKeys;
use crate::shared::{AbandonOnDrop, Shared};
use crate::state::{Admitted, JustClosed};
use crate::storage::{Storage, write_all};
use crate::{format, lineage_file, unsynced_file};
use fanfare_log::record::{self, RecordMeta};
use fanfare_log::{
    AppendError, Appended, Ended, Environment, IdempotencyKey, IdempotencyTable, Lineage,
    MonotonicClock, Tail,
};

/// The writer. It does what is queued, one [`DiskWriter::step`] after the other.
pub struct DiskWriter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) environment: Arc<dyn Environment>,
    /// How old keys are.
    pub(crate) clock: MonotonicClock,
    pub(crate) tail: Arc<dyn Tail>,
    pub(crate) options: DiskOptions,
    pub(crate) keys: IdempotencyTable,
    pub(crate) segment_keys: SegmentKeys,
    pub(crate) reclaimer: Reclaimer,
    /// The lineage, while there was no room to write it down.
    pub(crate) unrecorded: Option<Lineage>,
    /// Whether it is noted that acknowledgements may be ahead of the disk.
    pub(crate) ahead: bool,
    /// How the epoch before the current one ended.
    pub(crate) parent: Ended,
    /// The last position that was written.
    pub(crate) head: Position,
    pub(crate) growing: Option<OpenSegment>,
    /// Since when something written is not synced, by [`Environment::elapsed`].
    pub(crate) unsynced: Option<Duration>,
    /// When something was written last.
    pub(crate) written: Timestamp,
    pub(crate) ended: bool,
    /// Dropped last: nobody waits any more for what a panic left undone.
    pub(crate) _ending: AbandonOnDrop,
}

/// What a step of the writer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Something was done; there may be more.
    Worked,
    /// There is nothing to do until something is published or expires, or so much time has passed.
    Idle(Option<Duration>),
    /// The log is closed, and all is done.
    Ended,
}

/// The segment that is written to.
pub(crate) struct OpenSegment {
    file: Arc<SegmentFile>,
    size: u32,
    pub(crate) count: u64,
}

/// A batch whose records are in the buffer.
struct Planned {
    events: Vec<Arc<Event>>,
    key: Option<IdempotencyKey>,
    appended: Appended,
    completion: Completion,
}

impl DiskWriter {
    /// Works until the log is closed and everything is done.
    pub(crate) fn run(mut self) {
        loop {
            match self.step() {
                Progress::Worked => {}
                Progress::Idle(most) => self.shared.queue.wait(most),
                Progress::Ended => break,
            }
        }
    }

    /// Does what comes next: writes what is queued, trims what is too old, or syncs. Never waits but
    /// for the storage.
    pub fn step(&mut self) -> Progress {
        if self.ended {
            return Progress::Ended;
        }
        // After a failure nothing is synced any more: what is due then would be due for ever.
        let unsynced = self.unsynced.filter(|_| self.shared.failure.get().is_none());
        let left = match (self.options.sync, unsynced) {
            (SyncPolicy::Interval(time), Some(since)) => {
                Some((since + time).saturating_sub(self.environment.elapsed()))
            }
            _ => None,
        };
        match self.shared.queue.next(left.is_some_and(|left| left.is_zero())) {
            Some(WriterTask::Write(group)) => self.commit(group),
            Some(WriterTask::Expire(now)) => self.expire(now),
            Some(WriterTask::Sync) => self.sync_or_fail(),
            Some(WriterTask::Freeze) => {
                let frozen = self.freeze();
                self.shared.queue.frozen(frozen);
            }
            Some(WriterTask::Close) => {
                self.finish();
                self.ended = true;
                return Progress::Ended;
            }
            // Another process writes from here on, or will.
            Some(WriterTask::Leave) => {
                self.ended = true;
                return Progress::Ended;
            }
            None => return Progress::Idle(left),
        }
        Progress::Worked
    }

    /// Writes a group, and answers each of its batches.
    fn commit(&mut self, group: Vec<QueuedBatch>) {
        if let Some(reason) = self.shared.failure.get() {
            for waiting in group {
                let source = reason.clone().into();
                waiting.completion.answer(Err(AppendError::Unavailable { source }));
            }
            return;
        }
        let bytes: usize = group.iter().map(|waiting| waiting.bytes).sum();
        if let Err(refusal) = self.make_room(bytes) {
            self.fail(&refusal);
            let error = || Err(refusal.error());
            group.into_iter().for_each(|waiting| waiting.completion.answer(error()));
            return;
        }
        let mut buffer = Vec::with_capacity(bytes);
        let planned = self.plan(group, &mut buffer);
        match self.write(&buffer) {
            Ok(()) => self.publish(planned),
            Err(refusal) => {
                self.fail(&refusal);
                for plan in planned {
                    self.head.seq -= plan.events.len() as u64;
                    if let Some(key) = plan.key.filter(|_| !plan.appended.repeated) {
                        self.keys.revoke(&key);
                    }
                    plan.completion.answer(Err(refusal.error()));
                }
            }
        }
    }

    /// Sees to it that a segment is there to write to.
    fn make_room(&mut self, bytes: usize) -> Result<(), WriteRefusal> {
        let segments = self.reclaimer.len();
        if segments > self.options.unreclaimed_segments {
            // To go on would be to forget keys, or to let what is trimmed fill the disk.
            let reason = format!(
                "the idempotency keys of {segments} trimmed segments cannot be written, or their files \
                 not be removed: free some space, and see what the hub logs"
            );
            return Err(WriteRefusal::Full(io::Error::new(io::ErrorKind::StorageFull, reason)));
        }
        self.record()?;
        if let Some(OpenSegment { size, count, .. }) = self.growing {
            let most = self.options.roll_bytes();
            let full = u64::from(size).saturating_add(bytes as u64) > most
                || count >= self.options.roll_count();
            if !full || count == 0 {
                return Ok(());
            }
            self.close_segment()?;
        }
        self.begin_segment()
    }

    /// Sees to it that the epoch is written down before anything is published in it, and that the
    /// disk knows when acknowledgements go ahead of it.
    fn record(&mut self) -> Result<(), WriteRefusal> {
        if let Some(lineage) = &self.unrecorded {
            format::mark(&*self.storage)
                .and_then(|()| lineage_file::store(&*self.storage, lineage))
                .map_err(|error| WriteRefusal::of("the epoch cannot be written down", error))?;
            unsynced_file::clear(&*self.storage);
            self.unrecorded = None;
        }
        if !self.ahead && self.options.sync != SyncPolicy::Disk {
            unsynced_file::note(&*self.storage, self.head.epoch)
                .map_err(|error| WriteRefusal::of("the start of writing cannot be noted", error))?;
            self.ahead = true;
        }
        self.written = self.environment.now();
        Ok(())
    }

    /// Gives the events their positions, and encodes them.
    fn plan(&mut self, group: Vec<QueuedBatch>, buffer: &mut Vec<u8>) -> Vec<Planned> {
        let (now, steady) = (self.environment.now(), self.clock.now());
        let salt = self.growing.as_ref().map_or(0, |growing| growing.file.identity.salt);
        let durability = self.options.sync.durability();
        let mut planned = Vec::with_capacity(group.len());
        // A segment that begins follows one that was synced.
        let mut synced_before =
            self.unsynced.is_none() || self.growing.as_ref().is_some_and(|it| it.count == 0);
        for QueuedBatch { batch, completion, .. } in group {
            let first = self.head.next();
            let fresh = Appended { first, count: batch.drafts.len(), repeated: false, durability };
            if let Some(key) = &batch.key {
                let known = match self.keys.get(key, steady) {
                    Ok(known) => known,
                    Err(other) => {
                        completion.answer(Err(other.into()));
                        continue;
                    }
                };
                if let Some((first, count)) = known {
                    // It may still be on its way to disk, so it waits with the others.
                    let appended = Appended { first, count, repeated: true, durability };
                    let events = Vec::new();
                    planned.push(Planned { events, key: None, appended, completion });
                    continue;
                }
                if let Err(full) = self.keys.insert(key, first, fresh.count, steady) {
                    completion.answer(Err(full.into()));
                    continue;
                }
            }
            let last = fresh.count.saturating_sub(1);
            let mut events = Vec::with_capacity(fresh.count);
            for (at, draft) in batch.drafts.into_iter().enumerate() {
                self.head = self.head.next();
                let key = batch.key.as_ref().filter(|_| at == 0);
                let frame = RecordMeta {
                    salt,
                    seq: self.head.seq,
                    time: now,
                    batch_goes_on: at < last,
                    place: at as u32,
                    synced_before: std::mem::take(&mut synced_before),
                    key,
                };
                record::encode(buffer, frame, &draft);
                events.push(Arc::new(draft.accepted(self.head, now)));
            }
            planned.push(Planned { events, key: batch.key, appended: fresh, completion });
        }
        planned
    }

    /// Writes the records of a group, and makes them as durable as promised.
    fn write(&mut self, buffer: &[u8]) -> Result<(), WriteRefusal> {
        let Some(growing) = &self.growing else {
            return Err(WriteRefusal::Failed("there is no segment to write to".to_owned()));
        };
        if buffer.is_empty() {
            return Ok(());
        }
        let (file, size) = (&growing.file.bytes, u64::from(growing.size));
        if let Err(error) = write_all(&**file, buffer, size) {
            // Durably, so that what is refused now does not come back after a crash.
            return match file.truncate(size).and_then(|()| file.sync()) {
                Ok(()) => Err(WriteRefusal::of("a write failed", error)),
                Err(cut) => Err(WriteRefusal::Unknown(format!(
                    "a write failed: {error}; what was written of it cannot be cut off: {cut}"
                ))),
            };
        }
        match self.options.sync {
            SyncPolicy::Disk => {
                self.unsynced = None;
                file.sync()
                    .map_err(|error| WriteRefusal::Unknown(format!("a sync failed: {error}")))
            }
            SyncPolicy::Interval(_) | SyncPolicy::Os => {
                self.unsynced.get_or_insert_with(|| self.environment.elapsed());
                Ok(())
            }
        }
    }

    /// Lets everyone know of a group that was written.
    fn publish(&mut self, planned: Vec<Planned>) {
        let events = || planned.iter().flat_map(|plan| &plan.events);
        let length = |plan: &Planned, at: usize| {
            let event = &plan.events[at];
            let key = plan.key.as_ref().filter(|_| at == 0).map_or(0, |key| key.as_str().len());
            (record::length_of(event, at) + key) as u32
        };
        let all: Vec<Arc<Event>> = events().cloned().collect();
        if !all.is_empty() {
            let mut state = self.shared.state();
            let base = self.growing.as_ref().map_or(0, |growing| growing.file.identity.first.seq);
            if let Some(segment) = state.growing() {
                segment.index.keys.extend(planned.iter().filter_map(|plan| {
                    let (key, first) = (plan.key.clone()?, plan.events.first()?);
                    Some(KeyMark {
                        ordinal: (first.position.seq - base) as u32,
                        count: plan.events.len() as u32,
                        time: first.published_at,
                        key,
                    })
                }));
            }
            state.admit(planned.iter().flat_map(|plan| {
                plan.events.iter().enumerate().map(move |(at, event)| Admitted {
                    topic: &event.topic,
                    extras: event.extras.as_deref(),
                    length: length(plan, at),
                    time: event.published_at,
                })
            }));
            if let (Some(growing), Some(segment)) = (&mut self.growing, state.growing()) {
                growing.size = segment.index.end();
                growing.count = segment.index.count().into();
            }
            drop(state);
            self.tail.append(&all);
        }
        for plan in planned {
            plan.completion.answer(Ok(plan.appended));
        }
        if !all.is_empty() {
            self.tail.wake();
            self.trim(None);
        }
    }

    pub(crate) fn begin_segment(&mut self) -> Result<(), WriteRefusal> {
        let identity = SegmentIdentity {
            first: self.head.next(),
            parent: self.parent,
            salt: self.environment.random(),
        };
        let name = format!("{}{SEGMENT}", name(identity.first));
        let storage = &self.storage;
        let begun = storage.create(&name).and_then(|bytes| {
            write_all(&*bytes, &identity.header(), 0)?;
            Ok(bytes)
        });
        let bytes = begun.map_err(|error| {
            // It may not exist; the next start removes what is left of it.
            let _ = storage.unlink(&name);
            WriteRefusal::of("a segment cannot be created", error)
        })?;
        storage.sync_dir().map_err(|error| {
            WriteRefusal::Failed(format!("the directory cannot be synced: {error}"))
        })?;
        let file = SegmentFile::new(identity, bytes);
        let segment = Segment::new(file, Index::new(identity.first, START));
        self.growing = Some(OpenSegment { file: segment.file.clone(), size: START, count: 0 });
        self.unsynced.get_or_insert_with(|| self.environment.elapsed());
        self.shared.state().begin_segment(segment);
        Ok(())
    }

    pub(crate) fn close_segment(&mut self) -> Result<(), WriteRefusal> {
        self.sync().map_err(WriteRefusal::Failed)?;
        self.growing = None;
        // Its own statement: the lock is released before the index is written.
        let closed = self.shared.state().close_segment();
        let Some(JustClosed { segment, index, keys }) = closed else { return Ok(()) };
        let first = segment.summary.first;
        let content = index_file::encode(&segment.file.identity, &segment.summary, &keys, &index);
        self.segment_keys.extend(keys);
        if index_file::store(&*self.storage, first, &content) && !self.options.keeps_indices() {
            self.shared.indices.put(first, index);
            segment.let_go();
        }
        Ok(())
    }

    /// Makes durable what was written.
    fn sync(&mut self) -> Result<(), String> {
        if let (Some(_), Some(growing)) = (self.unsynced.take(), &self.growing) {
            let synced = growing.file.bytes.sync();
            return synced.map_err(|error| format!("a sync failed: {error}"));
        }
        Ok(())
    }

    pub(crate) fn sync_or_fail(&mut self) {
        if self.shared.failure.get().is_none()
            && let Err(reason) = self.sync()
        {
            self.fail(&WriteRefusal::Unknown(reason));
        }
    }

    /// Accepts nothing any more, unless the disk is merely full.
    pub(crate) fn fail(&mut self, refusal: &WriteRefusal) {
        match refusal {
            WriteRefusal::Full(error) => {
                tracing::warn!(%error, "the disk is full: publishes are refused");
            }
            WriteRefusal::Failed(reason) | WriteRefusal::Unknown(reason) => {
                tracing::error!(reason, "the log accepts nothing until it is opened anew");
                // A second failure changes nothing.
                let _ = self.shared.failure.set(reason.clone());
            }
        }
    }

    /// Closes the last segment, so that the next start need not scan it, and notes that all is on
    /// disk.
    fn finish(&mut self) {
        if self.shared.failure.get().is_none()
            && let Err(refusal) = self.close_segment()
        {
            self.fail(&refusal);
        }
        if self.ahead && self.shared.failure.get().is_none() {
            unsynced_file::clear(&*self.storage);
        }
    }
}
