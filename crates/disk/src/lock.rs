//! The lock that keeps a second hub out of a directory.
//!
//! What must hold: it is the operating system's lock on what is open, so it ends with the process
//! however the process ends. The directory itself is locked, since a file in it can be removed;
//! and the file `lock`, which is all that older versions and some network file systems know.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::open_error::OpenError;
use crate::storage::{Directory, Storage as _};

/// The name of the file.
pub(crate) const NAME: &str = "lock";

/// Held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: Arc<OwnedFd>,
    file: File,
}

/// What keeps other hubs out of a directory, as two open descriptors: whoever has them holds the lock.
#[derive(Debug)]
pub struct LockDescriptors {
    /// The directory.
    pub directory: OwnedFd,
    /// The file in it.
    pub file: OwnedFd,
}

impl Lock {
    /// Takes the lock of a directory, or says that another has it.
    pub(crate) fn take(directory: &Directory) -> Result<Self, OpenError> {
        Self::hold(directory, || directory.open_file(NAME, OFlags::RDWR | OFlags::CREATE))
    }

    /// The lock of a directory, as a process that has it has handed it over: whoever has it already is
    /// given it again.
    pub(crate) fn inherited(directory: &Directory, file: OwnedFd) -> Result<Self, OpenError> {
        Self::hold(directory, || Ok(file.into()))
    }

    /// The same lock, to be handed over: it is free once all who have it have ended.
    pub(crate) fn descriptors(&self) -> io::Result<LockDescriptors> {
        let directory = duplicate(&*self.directory)?;
        Ok(LockDescriptors { directory, file: duplicate(&self.file)? })
    }

    fn hold(
        directory: &Directory,
        file: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, OpenError> {
        let place = directory.place();
        match flock(&**directory.descriptor(), FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked { place }),
            Err(error) => {
                tracing::warn!(%error, place, "cannot lock the directory, only the file in it");
            }
            Ok(()) => {}
        }
        let file =
            file().map_err(|source| OpenError::io("create the lock file in", &place, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { directory: directory.descriptor().clone(), file }),
            Err(Errno::WOULDBLOCK) => Err(OpenError::Locked { place }),
            Err(error) => Err(OpenError::io("lock", &place, error.into())),
        }
    }
}

/// Another descriptor of the same open file.
fn duplicate(file: &impl AsFd) -> io::Result<OwnedFd> {
    file.as_fd().try_clone_to_owned()
}
