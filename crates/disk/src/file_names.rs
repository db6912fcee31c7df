//! The names of a log's files.

use crate::segment::{INDEX, SEGMENT, SET_ASIDE, parse_name};
use crate::{format, keys_file, lineage_file, lock, trims_file, unsynced_file};

/// The files that are no segment's, and are replaced as a whole.
pub(crate) const FILES: [&str; 5] =
    [format::NAME, lineage_file::NAME, trims_file::NAME, keys_file::NAME, unsynced_file::NAME];

/// Whether a file of this name is a log's.
pub(crate) fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix(SET_ASIDE).unwrap_or(name);
    let stem = stem.strip_suffix(INDEX).or(stem.strip_suffix(SEGMENT));
    let segment = |stem| parse_name(&format!("{stem}{SEGMENT}"));
    FILES.contains(&name) || name == lock::NAME || stem.and_then(segment).is_some()
}
