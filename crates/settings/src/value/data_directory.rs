//! A directory to keep something in.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use super::SettingValue;

/// A directory that need not exist yet; whoever keeps something there makes it. A relative path
/// starts at the working directory, also where it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl SettingValue for DataDirectory {
    const PLACEHOLDER: &'static str = "DIR";
    const NOUN: &'static str = "a directory";
    type Error = Infallible;

    fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}
