//! Where a value came from.

use std::fmt;
use std::path::Path;

/// Where a value came from, as an error names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag.
    CommandLine,
    /// The environment variable of this name.
    Environment(String),
    /// A key of a file.
    File {
        /// The file.
        path: Box<Path>,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// The table of settings.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("the command line"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { path, line, key } => {
                write!(f, "{}, line {line}, key {key}", path.display())
            }
            Self::Default => f.write_str("the default"),
        }
    }
}
