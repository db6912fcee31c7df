//! Trimming: which segments go, and what is written down before they do.
//!
//! What must hold: a segment is unlinked only after `trimmed` says what it held and `keys` keeps those
//! of its keys whose window has not ended. Where that cannot be written, a segment with such keys
//! stays on disk, though no longer in the log, until it can be or they have ended.

use fanfare_event::Timestamp;

use super::keys_file::KeptKey;
use super::recovery::unlink;
use super::trims_file;
use super::writer::Writer;

impl Writer {
    /// Unlinks the segments that are beyond the retention as a whole.
    pub(super) fn trim(&mut self, now: Option<Timestamp>) {
        let mut gone = Vec::new();
        let mut state = self.shared.state();
        while let Some(oldest) = state.oldest() {
            let retention = &self.options.retention;
            let (events, bytes) = (oldest.index.count(), oldest.index.end());
            let old = |(_, newest): (Timestamp, Timestamp)| {
                let age = now.map(|now| now.as_millis().saturating_sub(newest.as_millis()));
                age.is_some_and(|age| age >= self.options.age())
            };
            let beyond = state.events() - u64::from(events) >= retention.count
                || state.bytes() - u64::from(bytes) >= retention.bytes
                || oldest.index.times().is_none_or(old);
            if !beyond {
                break;
            }
            gone.push(oldest.clone());
            state.trim_oldest();
        }
        if gone.is_empty() {
            return;
        }
        let (through, of_any, topics) = state.trims();
        let topics: Vec<_> = topics.map(|(topic, at)| (topic.clone(), at)).collect();
        drop(state);
        let noted = topics.iter().map(|(topic, at)| (topic, *at));
        if let Err(error) = trims_file::store(&*self.storage, through, of_any, noted) {
            tracing::warn!(%error, "cannot note what is trimmed: after a restart any topic may be");
        }
        self.leaving.extend(gone);
        self.let_leave(Timestamp::now());
        self.tail.trim(through);
        self.tail.wake();
    }

    /// Unlinks what was trimmed, once the keys whose window has not ended are kept elsewhere.
    pub(super) fn let_leave(&mut self, now: Timestamp) {
        if self.leaving.is_empty() {
            return;
        }
        let window = u64::try_from(self.options.key_window.as_millis()).unwrap_or(u64::MAX);
        let lives = |key: &KeptKey| key.time.as_millis().saturating_add(window) > now.as_millis();
        let keys = self.leaving.iter().flat_map(|segment| segment.kept_keys()).filter(lives);
        let keys: Vec<_> = keys.collect();
        let kept = self.keys_file.append(&*self.storage, &keys, lives);
        if let Err(error) = &kept {
            tracing::warn!(%error, "idempotency keys cannot be written: trimmed segments stay");
        }
        let storage = &self.storage;
        self.leaving.retain(|segment| {
            let stays = kept.is_err() && segment.kept_keys().any(|key| lives(&key));
            if !stays {
                unlink(&**storage, segment.index.first());
            }
            stays
        });
    }
}
