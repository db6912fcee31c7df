//! The path of a file. What it must hold is checked where it is read.

use std::path::{Path, PathBuf};

use super::SettingValue;

/// Where a file is. A relative path starts at the working directory, also where it stands in a
/// file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePath(PathBuf);

/// A text that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write where the file is")]
pub struct InvalidFilePath;

impl FilePath {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl SettingValue for FilePath {
    const PLACEHOLDER: &'static str = "FILE";
    const NOUN: &'static str = "the path of a file";
    type Error = InvalidFilePath;

    fn parse(text: &str) -> Result<Self, InvalidFilePath> {
        if text.is_empty() { Err(InvalidFilePath) } else { Ok(Self(text.into())) }
    }
}
