//! Whether acknowledgements are ahead of the disk, as a file: `unsynced`.
//!
//! It is there while events may be acknowledged that are not on disk yet, and names the epoch and
//! the machine's boot. Where it is found after the machine has booted anew, the end of that epoch
//! may have been lost though it was acknowledged.
//!
//! What must hold: it is durable before such an event is acknowledged, and goes only once all of
//! them are on disk. Where it is damaged, or the boot cannot be told, a loss is feared: a false
//! alarm, never a silence.

use std::io;

use crate::storage::{Storage, read_file, replace};
use fanfare_log::bytes::{seal, unseal};

/// Its name.
pub(crate) const NAME: &str = "unsynced";

const MAGIC: &[u8; 8] = b"FFUNSYN1";

/// Whether events of `epoch`, the last one that is known, may be lost that were acknowledged.
pub(crate) fn may_have_lost(storage: &dyn Storage, epoch: u64) -> io::Result<bool> {
    let bytes = match read_file(storage, NAME, 64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        bytes => bytes?,
    };
    let Some((found, boot)) = decode(&bytes) else { return Ok(true) };
    Ok(found >= epoch && (boot == 0 || storage.boot() != Some(boot)))
}

/// Notes, durably, that acknowledgements of this epoch may be ahead from now on.
pub(crate) fn note(storage: &dyn Storage, epoch: u64) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&epoch.to_le_bytes());
    bytes.extend_from_slice(&storage.boot().unwrap_or(0).to_le_bytes());
    seal(&mut bytes);
    replace(storage, NAME, &bytes)?;
    storage.sync_dir()
}

/// Notes, durably, that they no longer are.
pub(crate) fn clear(storage: &dyn Storage) {
    match storage.unlink(NAME).and_then(|()| storage.sync_dir()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = NAME, %error, "cannot remove a file: a loss may be feared later");
        }
        _ => {}
    }
}

fn decode(bytes: &[u8]) -> Option<(u64, u128)> {
    let mut cut = unseal(bytes)?;
    if cut.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let epoch = cut.u64()?;
    let boot = u128::from(cut.u64()?) | u128::from(cut.u64()?) << 64;
    cut.0.is_empty().then_some((epoch, boot))
}
