//! The settings of the hub: one table, from which the flags, the environment variables, the keys
//! of `fanfare.toml`, the help and the checked [`Settings`] all follow.
//!
//! What must hold:
//!
//! - *Declared once*: a setting is one row of `table.rs`. Its name gives the flag
//!   (`--retain-age`), the variable (`FANFARE_RETAIN_AGE`) and the key (`retain_age`); its type
//!   gives the parser; its documentation is its help.
//! - *One order*: a flag wins over the environment, the environment over the file, the file over
//!   the default. A list is taken from one source, never merged.
//! - *Checked as a whole*: [`Settings`] exist only if every value is valid. Otherwise every mistake
//!   is reported, each with the setting, the source and what is allowed.

mod arguments;
mod config_file;
mod error;
mod flags;
mod rules;
mod setting;
mod source;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::OsString;
use std::path::Path;

pub use config_file::ConfigFile;
pub use error::SettingsError;
pub use flags::Flags;
pub use source::Source;
pub use table::Settings;
pub use value::{
    ByteSize, CookieName, DataDirectory, ExistingDirectory, FilePath, InvalidAddress,
    InvalidCookieName, InvalidCount, InvalidDirectory, InvalidDuration, InvalidFilePath,
    InvalidIssuerKey, InvalidLogFormat, InvalidLogLevel, InvalidName, InvalidNodeName,
    InvalidPrefix, InvalidSize, InvalidSwitch, IssuerKey, LogFormat, LogLevel, Name, Namespace,
    NodeName, Prefix, RedisUrl, parse_duration,
};

use sources::Sources;
use table::TABLE;

impl Settings {
    /// Resolves the settings of this process: `flags`, its environment, and the file that
    /// `--config` or `FANFARE_CONFIG` names, else `fanfare.toml` in the working directory if there
    /// is one. Returns every mistake found.
    pub fn load(flags: &Flags) -> Result<Self, Vec<SettingsError>> {
        let named = flags.config().map(Path::to_owned).or_else(|| {
            std::env::var_os("FANFARE_CONFIG").filter(|name| !name.is_empty()).map(Into::into)
        });
        let file = match named {
            Some(path) => ConfigFile::read(&path).map(Some),
            None => ConfigFile::read_default(),
        };
        let file = file.map_err(|error| vec![error])?;
        Self::resolve(flags, |name| std::env::var_os(name), file.as_ref())
    }

    /// Resolves the settings from these sources alone. Returns every mistake found.
    pub fn resolve(
        flags: &Flags,
        env: impl Fn(&str) -> Option<OsString>,
        file: Option<&ConfigFile>,
    ) -> Result<Self, Vec<SettingsError>> {
        let sources = Sources { flags, env, file };
        let unknown = file.map(|file| file.unknown_keys(TABLE)).unwrap_or_default();
        let settings = Self::read(&sources, unknown)?;
        let errors = settings.contradictions();
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }
}
