//! The lock that keeps a second hub out of a directory.
//!
//! What must hold: it is the operating system's lock on what is open, so it ends with the process
//! however the process ends. The directory itself is locked, since a file in it can be removed;
//! and the file `lock`, which is all that older versions and some network file systems know.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::open_error::OpenError;
use super::storage::FILE_MODE;

/// The name of the file.
pub(super) const NAME: &str = "lock";

/// Held for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: File,
    _file: File,
}

impl Lock {
    /// Takes the lock of a directory, or says that another has it.
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let place = directory.display().to_string();
        let own = File::open(directory)
            .map_err(|source| OpenError::io("open the directory", &place, source))?;
        match flock(&own, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked { place }),
            Err(error) => {
                tracing::warn!(%error, place, "cannot lock the directory, only the file in it");
            }
            Ok(()) => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options
            .open(directory.join(NAME))
            .map_err(|source| OpenError::io("create the lock file in", &place, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _directory: own, _file: file }),
            Err(Errno::WOULDBLOCK) => Err(OpenError::Locked { place }),
            Err(error) => Err(OpenError::io("lock", &place, error.into())),
        }
    }
}
