//! Upkeep: what the writer does when time passes: closes segments, trims, syncs what it has left unsynced, writes
//! indices anew that were damaged.
//!
//! What must hold: what is trimmed is written down before any file goes.

use fanfare_event::Timestamp;

use crate::keys_file::KeptKey;
use crate::reclaim::TrimmedFiles;
use crate::summary::Summary;
use crate::writer::DiskWriter;
use crate::{index_file, trims_file, unsynced_file};
use fanfare_log::IdempotencyKey;

/// For how long nothing is written, in milliseconds, before what is not synced is, under every policy: so that a
/// power cut need not be feared to have taken what was acknowledged long before.
const QUIET: u64 = 10_000;

impl DiskWriter {
    /// Closes a segment whose oldest event is getting old, and trims.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if self.shared.failure.get().is_some() {
            return;
        }
        let times = self.shared.state().growing().and_then(|segment| segment.index.times());
        let age = |time: Timestamp| now.as_millis().saturating_sub(time.as_millis());
        if times.is_some_and(|(oldest, _)| age(oldest) >= self.options.roll_age()) {
            // The next one is there before any is unlinked: its name tells how far the epoch got.
            match self.close_segment().and_then(|()| self.begin_segment()) {
                Ok(()) => self.sync_or_fail(),
                // What is trimmed may be what makes the room.
                Err(refusal) => self.fail(&refusal),
            }
            if self.shared.failure.get().is_some() {
                return;
            }
        }
        self.trim(Some(now));
        self.shared.indices.age();
        self.write_index_made_again();
        self.reclaim();
        let quiet = now.as_millis().saturating_sub(self.written.as_millis());
        if self.ahead && quiet >= QUIET {
            self.note_synced();
        }
    }

    /// Removes what was trimmed, as far as its keys allow it. The table says which keys are still answered: the
    /// wall clock, which dates them, may have stepped.
    fn reclaim(&mut self) {
        self.keys.expire(self.clock.now());
        let keys = &self.keys;
        let lives = |kept: &KeptKey| {
            let key = str::from_utf8(&kept.key).ok().and_then(|it| IdempotencyKey::parse(it).ok());
            key.is_some_and(|key| keys.remembers(&key, kept.first))
        };
        self.segment_keys.expire(lives);
        self.reclaimer.reclaim(&*self.storage, lives);
    }

    /// Takes the segments out of the log that are beyond the retention as a whole; also by their age,
    /// where the time is given.
    pub(crate) fn trim(&mut self, now: Option<Timestamp>) {
        let mut gone = Vec::new();
        let mut state = self.shared.state();
        while let Some(oldest) = state.oldest() {
            let retention = &self.options.retention;
            let (events, bytes) = (oldest.summary.count, oldest.summary.end);
            let old = |(_, newest): (Timestamp, Timestamp)| {
                let age = now.map(|now| now.as_millis().saturating_sub(newest.as_millis()));
                age.is_some_and(|age| age >= self.options.age())
            };
            let beyond = state.events() - u64::from(events) >= retention.count
                || state.bytes() - u64::from(bytes) >= retention.bytes
                || oldest.summary.times.is_none_or(old);
            if !beyond {
                break;
            }
            gone.push(oldest.clone());
            state.trim_oldest();
        }
        if gone.is_empty() {
            return;
        }
        let trims = state.note_trims();
        drop(state);
        // Before any file goes.
        if let Err(error) = trims_file::store(&*self.storage, &trims) {
            tracing::warn!(%error, "cannot note what is trimmed: after a restart any topic may be");
        }
        self.reclaimer.add(gone.iter().map(|segment| {
            let summary = &segment.summary;
            self.shared.indices.remove(summary.first);
            let keys = self.segment_keys.take_through(summary.last());
            TrimmedFiles::of(&*self.storage, summary, keys)
        }));
        // A file that is open keeps its room.
        drop(gone);
        self.reclaim();
        self.tail.trim(trims.through);
        self.tail.wake();
    }

    /// Writes an index that a reader has found damaged, or has not found.
    fn write_index_made_again(&self) {
        let Some((first, index)) = self.shared.indices.take_rebuilt() else { return };
        // Of what was trimmed meanwhile nothing may stay.
        let state = self.shared.state();
        let segment = state.closed().find(|segment| segment.summary.first == first).cloned();
        drop(state);
        let Some(segment) = segment else { return };
        // What a start is to know stays known, be the record damaged that said it.
        let summary = Summary { lost: index.lost().to_vec(), ..segment.summary.clone() };
        let keys: Vec<_> =
            self.segment_keys.between(summary.first, summary.last()).cloned().collect();
        let content = index_file::encode(&segment.file.identity, &summary, &keys, &index);
        index_file::store(&*self.storage, first, &content);
    }

    /// Notes that nothing acknowledged is ahead of the disk any more.
    fn note_synced(&mut self) {
        self.sync_or_fail();
        if self.ahead && self.shared.failure.get().is_none() {
            unsynced_file::clear(&*self.storage);
            self.ahead = false;
        }
    }
}
