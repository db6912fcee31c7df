//! The lock that keeps a second hub out of a directory.
//!
//! What must hold: it is the operating system's lock on an open file, so it ends with the process
//! however the process ends. The file itself stays.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::open_error::OpenError;

/// The name of the file.
pub(super) const NAME: &str = "lock";

/// Held for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a directory, or says that another has it.
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let place = directory.display().to_string();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(directory.join(NAME))
            .map_err(|source| OpenError::io("create the lock file in", &place, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(OpenError::Locked { place }),
            Err(error) => Err(OpenError::io("lock", &place, error.into())),
        }
    }
}
