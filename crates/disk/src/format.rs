//! Whose directory this is: the file `FORMAT`.
//!
//! What must hold: a directory that is not ours, or that a newer version wrote, is never changed.
//! Where the file is missing or damaged, a segment or a lineage that checks shows that the directory
//! is ours. A version that writes what this one must not touch begins those otherwise.

use std::io;

use crate::lineage_file::StoredLineage;
use crate::open_error::OpenError;
use crate::segment::{START, SegmentIdentity, parse_name};
use crate::storage::{Storage, UNFINISHED, read_file, replace};
use crate::{lineage_file, lock};

/// The name of the file.
pub(crate) const NAME: &str = "FORMAT";

/// What it begins with; the version's number follows, and a line feed.
const MAGIC: &str = "fanfare log ";

/// The version written here. Records of version 1 do not say whether their batch is whole; none before
/// version 3 has extras.
const VERSION: u32 = 3;

/// The oldest version read.
const OLDEST: u32 = 1;

/// Whether the directory holds a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marking {
    Log,
    /// A log that an older version wrote.
    Older,
    /// A log, but the file that says so is missing or damaged.
    Unmarked,
    Nothing,
}

/// Looks, and touches nothing.
pub(crate) fn check(storage: &dyn Storage) -> Result<Marking, OpenError> {
    let place = || storage.place();
    let names = storage.list().map_err(|source| OpenError::io("list", &place(), source))?;
    let marked = names.iter().any(|name| name == NAME);
    if !marked && is_ours(storage, &names) {
        return Ok(Marking::Unmarked);
    }
    if !marked {
        let leftover = |name: &str| {
            [lock::NAME, "lost+found"].contains(&name)
                || name.strip_suffix(UNFINISHED) == Some(NAME)
        };
        return match names.into_iter().find(|name| !leftover(name)) {
            Some(entry) => Err(OpenError::Foreign { place: place(), entry }),
            None => Ok(Marking::Nothing),
        };
    }
    let bytes = read_file(storage, NAME, 64)
        .map_err(|source| OpenError::io("read FORMAT in", &place(), source))?;
    let version = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(MAGIC)?.strip_suffix('\n')?.parse().ok());
    match version {
        Some(VERSION) => Ok(Marking::Log),
        Some(OLDEST..VERSION) => Ok(Marking::Older),
        Some(version) => Err(OpenError::Version { place: place(), version, ours: VERSION }),
        None if is_ours(storage, &names) => Ok(Marking::Unmarked),
        None => Err(OpenError::Foreign { place: place(), entry: NAME.to_owned() }),
    }
}

/// Whether something in it can only have been written by a log.
fn is_ours(storage: &dyn Storage, names: &[String]) -> bool {
    let segment = |name: &String| {
        let Some(first) = parse_name(name) else { return false };
        let header = read_file(storage, name, START.into());
        header
            .ok()
            .and_then(|bytes| SegmentIdentity::parse(&bytes))
            .is_some_and(|it| it.first == first)
    };
    names.iter().any(segment) || matches!(lineage_file::load(storage), Ok(StoredLineage::Whole(_)))
}

/// Marks a directory as ours, durably.
pub(crate) fn mark(storage: &dyn Storage) -> io::Result<()> {
    replace(storage, NAME, format!("{MAGIC}{VERSION}\n").as_bytes())?;
    storage.sync_dir()
}
