//! A freeze: how the log stops changing, so that another process can go on with it.
//!
//! What must hold: whatever was handed in before it is as durable as a sync makes it, and nothing is
//! written, cut, renamed or removed until it is lifted, not even when the log is closed. One that is lifted
//! has changed nothing but that a segment ended early.

use std::sync::Arc;
use std::time::Duration;

use crate::closed_segment::ClosedSegment;
use crate::disk_state::DiskState;
use crate::refusal::WriteRefusal;
use crate::writer::DiskWriter;
use crate::{DiskLog, index_file};

/// Why a log cannot be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FreezeError {
    /// The log accepts nothing any more, so there is nothing good to hand over.
    #[error("the event log cannot be handed over: {reason}; restart the hub instead")]
    Failed {
        /// What is wrong with it.
        reason: String,
    },
    /// The disk has not written in time what was handed in.
    #[error("the disk has not written everything within {} ms", within.as_millis())]
    TooSlow {
        /// How long it was given.
        within: Duration,
    },
}

impl DiskLog {
    /// Writes and syncs what was handed in until now, and changes nothing from then on: what is published
    /// meanwhile waits, until [`DiskLog::thaw`] or [`DiskLog::release`]. Returns what another process needs to
    /// go on. Blocks until the writer has come to it.
    ///
    /// # Errors
    ///
    /// The log has failed, or it has taken longer than `within`: the log then goes on as before.
    pub fn freeze(&self, within: Duration) -> Result<DiskState, FreezeError> {
        self.shared.queue.ask_to_freeze();
        let frozen = self.frozen(within);
        if frozen.is_err() {
            self.thaw();
        }
        frozen
    }

    /// Asks for a freeze, where whoever calls turns the [`DiskWriter`]: once that is idle, [`DiskLog::frozen`]
    /// says what has come of it.
    pub fn ask_to_freeze(&self) {
        self.shared.queue.ask_to_freeze();
    }

    /// What has come of a freeze that was asked for. To be asked once.
    ///
    /// # Errors
    ///
    /// See [`DiskLog::freeze`].
    pub fn frozen(&self, within: Duration) -> Result<DiskState, FreezeError> {
        match self.shared.queue.take_frozen(within) {
            Some(Ok(state)) => Ok(*state),
            Some(Err(reason)) => Err(FreezeError::Failed { reason }),
            None => match self.shared.failure.get() {
                Some(reason) => Err(FreezeError::Failed { reason: reason.clone() }),
                None => Err(FreezeError::TooSlow { within }),
            },
        }
    }

    /// Goes on: in the process that was frozen, as if nothing had been asked; in one that
    /// [resumed](DiskLog::resume), from where the other has stopped.
    pub fn thaw(&self) {
        self.shared.queue.thaw();
    }

    /// Ends without touching a file: another process has the log now. What still waits is refused.
    pub fn release(&self) {
        self.shared.queue.release();
    }
}

impl DiskWriter {
    /// Makes durable what was written, and says what another process needs to go on.
    pub(crate) fn freeze(&mut self) -> Result<DiskState, String> {
        // What is left of a write that failed must not become part of a segment.
        if let Some(reason) = self.shared.failure.get() {
            return Err(reason.clone());
        }
        // One without events is begun anew by whoever goes on: its name is the next position.
        if self.growing.as_ref().is_some_and(|growing| growing.count > 0)
            && let Err(refusal) = self.close_segment()
        {
            self.fail(&refusal);
            if let WriteRefusal::Full(error) = refusal {
                return Err(error.to_string());
            }
        }
        self.sync_or_fail();
        if let Some(reason) = self.shared.failure.get() {
            return Err(reason.clone());
        }
        let state = self.shared.state();
        let encoded = |segment: &Arc<ClosedSegment>| {
            let (identity, summary) = (&segment.file.identity, &segment.summary);
            let keys = self.segment_keys.between(summary.first, summary.last());
            match segment.kept() {
                Some(index) => {
                    let keys: Vec<_> = keys.cloned().collect();
                    index_file::encode(identity, summary, &keys, &index)
                }
                None => index_file::encode_head(identity, summary, state.shares(segment), keys),
            }
        };
        Ok(DiskState {
            lineage: state.lineage().clone(),
            recorded: self.unrecorded.is_none(),
            ahead: self.ahead,
            written: self.written,
            parent: self.parent,
            head: self.head,
            trims: state.all_trims(),
            forgotten: state.forgotten(),
            segments: state.closed().map(encoded).collect(),
            keys: self.keys.state(self.clock.now()),
            trimmed: self.reclaimer.waiting().to_vec(),
        })
    }
}
