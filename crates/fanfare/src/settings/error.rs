//! What can be wrong with the settings.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use super::Source;

/// One mistake: what is wrong, where it was written, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is no value of the setting's type.
    #[error("--{flag} (from {source_of}): {text:?} is not {noun}: {reason}")]
    Invalid {
        /// The setting.
        flag: String,
        /// Where the text was written.
        source_of: Source,
        /// The text.
        text: String,
        /// What it should have been.
        noun: &'static str,
        /// What must be written instead.
        #[source]
        reason: Box<dyn Error + Send + Sync>,
    },
    /// The value is less or more than is allowed.
    #[error("--{flag} (from {source_of}): {text} is out of range: allowed is {min} to {max}")]
    OutOfRange {
        /// The setting.
        flag: String,
        /// Where the value was written.
        source_of: Source,
        /// The value as written.
        text: String,
        /// The least that is allowed.
        min: &'static str,
        /// The most that is allowed.
        max: &'static str,
    },
    /// The file holds a list or a table where one value belongs.
    #[error("--{flag} (from {source_of}): write a plain value, not {found}")]
    Shape {
        /// The setting.
        flag: String,
        /// Where it was written.
        source_of: Source,
        /// What was found.
        found: &'static str,
    },
    /// The environment variable is not UTF-8.
    #[error("--{flag} (from {source_of}): the value is not UTF-8")]
    NotUnicode {
        /// The setting.
        flag: String,
        /// The variable.
        source_of: Source,
    },
    /// A setting that has no default was not given.
    #[error("--{flag} must be given")]
    Missing {
        /// The setting.
        flag: String,
    },
    /// The file has a key that no setting has.
    #[error("{path}, line {line}: there is no setting {key:?}: {hint}", path = path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest one, or where to find them.
        hint: String,
    },
    /// The file is not TOML.
    #[error("{path} is not TOML: {source}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// The file cannot be read.
    #[error("cannot read the settings in {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
