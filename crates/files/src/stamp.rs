//! A stamp: what shows that a file has changed.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

/// When a file was changed, how long it is, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl FileStamp {
    /// That of a file whose metadata these are.
    pub fn new(metadata: &Metadata) -> io::Result<Self> {
        let (length, inode) = (metadata.len(), metadata.ino());
        Ok(Self { modified: metadata.modified()?, length, inode })
    }

    /// That of the file at a path, if one can be seen there.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).and_then(|metadata| Self::new(&metadata)).ok()
    }
}
