//! Which hub the tests run against: the same contract holds for every event log.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// What every hub of one test run is started with, beside what a test asks for.
/// `FANFARE_TEST_PROFILE` chooses it: `memory` (the default) or `data`.
#[derive(Debug, Default)]
pub(super) struct Profile {
    arguments: Vec<String>,
    /// Removed when the hub is gone.
    directory: Option<PathBuf>,
}

impl Profile {
    /// A fresh one, which shares no state with any other.
    pub(super) fn fresh() -> Self {
        match env::var("FANFARE_TEST_PROFILE").as_deref() {
            Err(_) | Ok("memory") => Self::default(),
            Ok("data") => {
                static NUMBER: AtomicU64 = AtomicU64::new(0);
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let directory =
                    env::temp_dir().join(format!("fanfare-test-{}-{number}", std::process::id()));
                let arguments = vec!["--data".to_owned(), directory.display().to_string()];
                Self { arguments, directory: Some(directory) }
            }
            Ok(unknown) => panic!("FANFARE_TEST_PROFILE is {unknown:?}, not one of: memory, data"),
        }
    }

    pub(super) fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}
