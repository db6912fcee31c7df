//! What a node hands to the process that goes on as the same node.
//!
//! What must hold: what the node knows that Redis may have forgotten goes along, and so does how far it has heard
//! what other nodes said.

use std::time::Duration;

use fanfare_event::Position;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_log::{IdempotencyState, StateError};

/// All that one process as a node knows, and Redis may not.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisState {
    /// The id of the last notice that was passed on.
    pub(crate) noticed: String,
    /// The last position of each epoch that was heard of.
    pub(crate) known: Vec<Position>,
    /// The keys that were sent, of which each publisher has a share.
    pub(crate) keys: Option<IdempotencyState>,
}

/// Why a node's state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableState {
    /// It is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its keys are not.
    #[error(transparent)]
    Keys(#[from] StateError),
}

impl RedisState {
    /// Writes it down.
    pub fn write(&self, writer: &mut Writer) {
        writer.text(&self.noticed);
        writer.count(self.known.len());
        for known in &self.known {
            writer.u64(known.epoch);
            writer.u64(known.seq);
        }
        writer.option(self.keys.as_ref(), |writer, keys| {
            let mut bytes = Vec::new();
            // Memory does not refuse.
            let _ = keys.write(&mut bytes);
            writer.bytes(&bytes);
        });
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not what [`RedisState::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, UnreadableState> {
        let noticed = reader.text()?.to_owned();
        let known = reader
            .list(|reader| Ok::<_, Malformed>(Position::new(reader.u64()?, reader.u64()?)))?;
        if !known.is_sorted_by(|a, b| a.epoch < b.epoch) {
            return Err(Malformed("epochs do not ascend").into());
        }
        let keys = reader.option(|reader| {
            let mut bytes = reader.bytes()?;
            Ok::<_, UnreadableState>(IdempotencyState::read(&mut bytes)?)
        })?;
        Ok(Self { noticed, known, keys })
    }
}

/// Batches are still on their way to Redis: whether they were accepted is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("redis has not confirmed within {} ms everything that was published", within.as_millis())]
pub struct Unsettled {
    /// How long was waited.
    pub within: Duration,
}
