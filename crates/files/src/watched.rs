//! Watched files: looked at now and then, and read again when they have changed.
//!
//! What must hold: what changes while the files are read is a change again. Files that cannot be read (there may be
//! no descriptor left) are read again at the next look, and their failure is reported once. Files that can be
//! read and are of no use are not, until they change: where one of two is replaced before the other, the
//! first look fails and the second succeeds.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::FileStamp;

/// Some files, and what was last seen of them.
#[derive(Debug)]
pub struct WatchedFiles {
    paths: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// What they looked like when they were last read.
    stamps: Vec<Option<FileStamp>>,
    /// Why they could not be read since, as it was reported.
    failure: Option<String>,
}

impl WatchedFiles {
    /// How often they are to be looked at.
    pub const INTERVAL: Duration = Duration::from_secs(2);

    /// Files that are read now, as they are.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let seen = Mutex::new(Seen { stamps: stamps(&paths), failure: None });
        Self { paths, seen }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// What `read` makes of the files, if they have changed since they were last read, or if `asked`.
    /// `is_unreadable` says of an error that the system did not let it read a file. Blocks on the disk.
    pub fn read_changed<T, E: Display>(
        &self,
        asked: bool,
        read: impl FnOnce() -> Result<T, E>,
        is_unreadable: impl FnOnce(&E) -> bool,
    ) -> Result<Option<T>, E> {
        let stamps = stamps(&self.paths);
        if self.seen().stamps == stamps && !asked {
            return Ok(None);
        }
        let read = read();
        let mut seen = self.seen();
        match read {
            Err(error) if is_unreadable(&error) => {
                let failure = Some(error.to_string());
                if seen.failure == failure && !asked {
                    return Ok(None);
                }
                seen.failure = failure;
                Err(error)
            }
            read => {
                *seen = Seen { stamps, failure: None };
                read.map(Some)
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<FileStamp>> {
    paths.iter().map(|path| FileStamp::of(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn look(files: &WatchedFiles, path: &Path, asked: bool) -> Result<Option<String>, String> {
        let read = || {
            let text = fs::read_to_string(path).map_err(|error| format!("unreadable: {error}"))?;
            if text == "useless" { Err(text) } else { Ok(text) }
        };
        files.read_changed(asked, read, |error| error.starts_with("unreadable"))
    }

    #[test]
    fn files_are_read_when_they_change_and_when_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "one").unwrap();
        let files = WatchedFiles::new(vec![path.clone()]);
        assert_eq!(look(&files, &path, false), Ok(None));
        assert_eq!(look(&files, &path, true), Ok(Some("one".to_owned())));
        fs::write(&path, "longer").unwrap();
        assert_eq!(look(&files, &path, false), Ok(Some("longer".to_owned())));
        assert_eq!(look(&files, &path, false), Ok(None));
        fs::write(&path, "useless").unwrap();
        assert_eq!(look(&files, &path, false), Err("useless".to_owned()));
        assert_eq!(look(&files, &path, false), Ok(None), "it is as useless as before");
    }

    #[test]
    fn files_that_cannot_be_read_are_tried_again_and_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("file"), directory.path().join("aside"));
        fs::write(&path, "one").unwrap();
        let files = WatchedFiles::new(vec![path.clone()]);
        fs::write(&path, "another").unwrap();
        // The file is seen to have changed, but what reads it does not find it.
        assert!(look(&files, &aside, false).is_err());
        assert_eq!(look(&files, &aside, false), Ok(None), "it was reported");
        assert!(look(&files, &aside, true).is_err(), "whoever asks is told again");
        assert_eq!(look(&files, &path, false), Ok(Some("another".to_owned())), "it is tried again");
    }
}
