//! What was trimmed, as a file: `trimmed`.
//!
//! What must hold: it is written before a segment is unlinked, so that after a restart a
//! subscriber of one topic gets no gap because another was trimmed. Where it is missing, damaged
//! or older than what is gone, everything that is gone may have been of any topic: a false alarm,
//! never a silence.

use std::io;

use fanfare_event::{Position, Topic};

use crate::storage::{Storage, read_file, replace};
use crate::trims::Trims;
use fanfare_log::bytes::{seal, unseal};

/// Its name.
pub(crate) const NAME: &str = "trimmed";

const MAGIC: &[u8; 8] = b"FFTRIMS1";

/// No more than this is read of it: names of a million topics.
const LIMIT: u64 = 256 << 20;

/// Reads it. Nothing where there is none, or a damaged one.
pub(crate) fn load(storage: &dyn Storage) -> io::Result<Option<Trims>> {
    match read_file(storage, NAME, LIMIT) {
        Ok(bytes) => {
            let trims = decode(&bytes);
            if trims.is_none() {
                let file = NAME;
                tracing::warn!(file, "the file is damaged: old cursors get gaps of all topics");
            }
            Ok(trims)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes it, durably.
pub(crate) fn store(storage: &dyn Storage, trims: &Trims) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    let position = |bytes: &mut Vec<u8>, position: Position| {
        bytes.extend_from_slice(&position.epoch.to_le_bytes());
        bytes.extend_from_slice(&position.seq.to_le_bytes());
    };
    position(&mut bytes, trims.through);
    position(&mut bytes, trims.any_topic);
    for (topic, trimmed) in &trims.topics {
        position(&mut bytes, (*trimmed).min(trims.through));
        bytes.extend_from_slice(&(topic.as_str().len() as u16).to_le_bytes());
        bytes.extend_from_slice(topic.as_str().as_bytes());
    }
    seal(&mut bytes);
    replace(storage, NAME, &bytes)?;
    storage.sync_dir()
}

fn decode(bytes: &[u8]) -> Option<Trims> {
    let mut cut = unseal(bytes)?;
    if cut.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let through = Position::new(cut.u64()?, cut.u64()?);
    let any_topic = Position::new(cut.u64()?, cut.u64()?);
    let mut topics = Vec::new();
    while !cut.0.is_empty() {
        let position = Position::new(cut.u64()?, cut.u64()?);
        let length = cut.u16()?;
        topics.push((Topic::parse(cut.str(length.into())?).ok()?, position));
    }
    Some(Trims { through, any_topic, topics })
}
