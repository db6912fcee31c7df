//! Whose directory this is: the file `FORMAT`.
//!
//! What must hold: a directory that is not ours, or that a newer version wrote, is never changed.

use std::io;

use super::lock;
use super::open_error::OpenError;
use super::storage::{Storage, UNFINISHED, read_file, replace};

/// The name of the file.
pub(super) const NAME: &str = "FORMAT";

/// What it begins with; the version's number follows, and a line feed.
const MAGIC: &str = "fanfare log ";

/// The version written here, and the only one read.
const VERSION: u32 = 1;

/// Whether the directory holds a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Log,
    Nothing,
}

/// Looks, and touches nothing.
pub(super) fn check(storage: &dyn Storage) -> Result<Found, OpenError> {
    let place = || storage.place();
    let names = storage.list().map_err(|source| OpenError::io("list", &place(), source))?;
    if !names.iter().any(|name| name == NAME) {
        let leftover = |name: &str| {
            [lock::NAME, "lost+found"].contains(&name)
                || name.strip_suffix(UNFINISHED) == Some(NAME)
        };
        return match names.into_iter().find(|name| !leftover(name)) {
            Some(entry) => Err(OpenError::Foreign { place: place(), entry }),
            None => Ok(Found::Nothing),
        };
    }
    let bytes = read_file(storage, NAME, 64)
        .map_err(|source| OpenError::io("read FORMAT in", &place(), source))?;
    let version = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(MAGIC)?.strip_suffix('\n')?.parse().ok());
    match version {
        Some(VERSION) => Ok(Found::Log),
        Some(version) => Err(OpenError::Version { place: place(), version, ours: VERSION }),
        None => Err(OpenError::Foreign { place: place(), entry: NAME.to_owned() }),
    }
}

/// Marks a directory as ours, durably.
pub(super) fn mark(storage: &dyn Storage) -> io::Result<()> {
    replace(storage, NAME, format!("{MAGIC}{VERSION}\n").as_bytes())?;
    storage.sync_dir()
}
