//! How a text becomes a value, and how values become a field of the settings.

mod address;
mod byte_size;
mod count;
mod data_directory;
mod directory;
mod duration;
mod file_path;
mod foreign;
mod issuer_key;
mod log_format;
mod log_level;
mod name;
mod node_name;
mod prefix;
#[cfg_attr(not(feature = "redis"), path = "no_redis.rs")]
mod redis;

use std::error::Error;

pub use address::InvalidAddress;
pub use byte_size::{ByteSize, InvalidSize};
pub use count::InvalidCount;
pub use data_directory::DataDirectory;
pub use directory::{ExistingDirectory, InvalidDirectory};
pub use duration::{InvalidDuration, parse_duration};
pub use file_path::{FilePath, InvalidFilePath};
pub use issuer_key::{InvalidIssuerKey, IssuerKey};
pub use log_format::{InvalidLogFormat, LogFormat};
pub use log_level::{InvalidLogLevel, LogLevel};
pub use name::{CookieName, InvalidCookieName, InvalidName, InvalidSwitch, Name};
pub use node_name::{InvalidNodeName, NodeName};
pub use prefix::{InvalidPrefix, Prefix};
pub use redis::{Namespace, RedisUrl};

/// One value of a setting, written as text in any source.
pub(crate) trait SettingValue: Sized + PartialOrd {
    /// What stands for it in `--help`.
    const PLACEHOLDER: &'static str;
    /// What it is, with an article: an error says that a text is not this.
    const NOUN: &'static str;
    /// Whether no message may repeat it.
    const SECRET: bool = false;
    /// Whether several may stand in one environment variable, with commas between them.
    const LISTED: bool = true;
    /// Whether its flag stands for `true` by itself.
    const SWITCH: bool = false;
    /// What must be written instead.
    type Error: Error + Send + Sync + 'static;

    /// Checks a text.
    fn parse(text: &str) -> Result<Self, Self::Error>;
}

/// A field of the settings: a value, an `Option` of one, or a `Vec`.
pub(crate) trait SettingField: Sized {
    /// What it holds.
    type Value: SettingValue;
    /// Whether it holds more than one.
    const REPEATABLE: bool = false;

    /// Makes it of what was given; nothing if something had to be and was not.
    fn collect(values: Vec<Self::Value>) -> Option<Self>;
}

impl<V: SettingValue> SettingField for V {
    type Value = V;

    fn collect(values: Vec<V>) -> Option<V> {
        values.into_iter().next()
    }
}

impl<V: SettingValue> SettingField for Option<V> {
    type Value = V;

    fn collect(values: Vec<V>) -> Option<Self> {
        Some(values.into_iter().next())
    }
}

impl<V: SettingValue> SettingField for Vec<V> {
    type Value = V;
    const REPEATABLE: bool = true;

    fn collect(values: Vec<V>) -> Option<Self> {
        Some(values)
    }
}
