//! The lineage as a file: `epochs`.
//!
//! What must hold: it names an epoch, durably, before anything is published in it. It is replaced
//! as a whole at every start.

use std::io;

use fanfare_event::Position;

use crate::storage::{Storage, read_file, replace};
use fanfare_log::bytes::{seal, unseal};
use fanfare_log::{Ended, Lineage};

/// Its name.
pub(crate) const NAME: &str = "epochs";

const MAGIC: &[u8; 8] = b"FFEPOCH2";

/// What it began with before it said where something was lost. Its entries are two numbers.
const MAGIC_WITHOUT_LOSSES: &[u8; 8] = b"FFEPOCH1";

/// What is found of a lineage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoredLineage {
    Nothing,
    Damaged,
    Whole(Lineage),
}

/// Reads it.
pub(crate) fn load(storage: &dyn Storage) -> io::Result<StoredLineage> {
    let limit = 64 + 17 * Lineage::MAX_ANCESTORS as u64;
    match read_file(storage, NAME, limit) {
        Ok(bytes) => Ok(decode(&bytes).map_or(StoredLineage::Damaged, StoredLineage::Whole)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(StoredLineage::Nothing),
        Err(error) => Err(error),
    }
}

/// Writes it, durably.
pub(crate) fn store(storage: &dyn Storage, lineage: &Lineage) -> io::Result<()> {
    replace(storage, NAME, &encode(lineage))?;
    storage.sync_dir()
}

pub(crate) fn encode(lineage: &Lineage) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(lineage.ends().len() as u32).to_le_bytes());
    for ended in lineage.ends() {
        bytes.extend_from_slice(&ended.end.epoch.to_le_bytes());
        bytes.extend_from_slice(&ended.end.seq.to_le_bytes());
        bytes.push(ended.lossy.into());
    }
    bytes.extend_from_slice(&lineage.current().to_le_bytes());
    seal(&mut bytes);
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Option<Lineage> {
    let mut cut = unseal(bytes)?;
    let magic = cut.take(MAGIC.len())?;
    if magic != MAGIC && magic != MAGIC_WITHOUT_LOSSES {
        return None;
    }
    let count = cut.u32()?;
    let mut ends = Vec::new();
    for _ in 0..count {
        let end = Position::new(cut.u64()?, cut.u64()?);
        let lossy = magic == MAGIC && cut.u8()? != 0;
        ends.push(Ended { end, lossy });
    }
    let current = cut.u64()?;
    // An epoch follows on every start: there must be numbers left.
    (cut.0.is_empty() && current < 1 << 63).then(|| Lineage::recorded(ends, current))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lineage_survives_and_no_flipped_bit_goes_unnoticed() {
        let lost = Ended { end: Position::new(3, 9), lossy: true };
        let whole = Ended::whole(Position::new(7, 0));
        let lineage = Lineage::recorded([lost, whole], 12).expect("ascends");
        let bytes = encode(&lineage);
        assert_eq!(decode(&bytes), Some(lineage));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None);
        }
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None);
        }
    }
}
