//! The form of the log lines.

use super::SettingValue;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write text or json")]
pub struct InvalidLogFormat;

impl SettingValue for LogFormat {
    const PLACEHOLDER: &'static str = "FORMAT";
    const NOUN: &'static str = "a log format";
    type Error = InvalidLogFormat;

    fn parse(text: &str) -> Result<Self, InvalidLogFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidLogFormat),
        }
    }
}
