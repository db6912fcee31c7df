//! A directory to read from.

use std::io;
use std::path::{Path, PathBuf};

use super::Value;

/// A directory that existed when the settings were read. A relative path starts at the working
/// directory, also where it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Directory(PathBuf);

/// Why a path is not a directory to read from.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDirectory {
    /// It cannot be looked at.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// Something else is there.
    #[error("something else is there")]
    NotDirectory,
}

impl Directory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Value for Directory {
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
    fn what_is_not_a_directory_is_taken_for_one() {
        assert!(Directory::parse(env!("CARGO_MANIFEST_DIR")).is_ok());
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(matches!(Directory::parse(file), Err(InvalidDirectory::NotDirectory)));
        let nothing = concat!(env!("CARGO_MANIFEST_DIR"), "/nothing");
        assert!(matches!(Directory::parse(nothing), Err(InvalidDirectory::Unreachable(_))));
    }
}
