//! A directory to read from.

use std::io;
use std::path::{Path, PathBuf};

use super::SettingValue;

/// A directory that existed when the settings were read. A relative path starts at the working
/// directory, also where it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExistingDirectory(PathBuf);

/// Why a path is not a directory to read from.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDirectory {
    /// It cannot be looked at.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// Something else is there.
    #[error("it exists and is not a directory")]
    NotDirectory,
}

impl ExistingDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl SettingValue for ExistingDirectory {
    const PLACEHOLDER: &'static str = "DIR";
    const NOUN: &'static str = "a directory";
    type Error = InvalidDirectory;

    fn parse(text: &str) -> Result<Self, InvalidDirectory> {
        if std::fs::metadata(text)?.is_dir() {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDirectory::NotDirectory)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_directory_is_refused() {
        assert!(ExistingDirectory::parse(env!("CARGO_MANIFEST_DIR")).is_ok());
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(matches!(ExistingDirectory::parse(file), Err(InvalidDirectory::NotDirectory)));
        let nothing = concat!(env!("CARGO_MANIFEST_DIR"), "/nothing");
        assert!(matches!(ExistingDirectory::parse(nothing), Err(InvalidDirectory::Unreachable(_))));
    }
}
