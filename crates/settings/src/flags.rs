//! The flags: what the command line gives, not yet checked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The flags of `serve`: `--config`, and one for each setting in the table.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) given: HashMap<&'static str, Vec<String>>,
}

impl Flags {
    /// The file that `--config` names.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The texts given for the setting of this name, if any were.
    pub fn given(&self, name: &str) -> Option<&[String]> {
        self.given.get(name).map(Vec::as_slice)
    }
}
