//! What is logged.

use super::SettingValue;

/// The least severe level that is logged, and the exceptions for single modules: a list, separated
/// by commas, of `LEVEL` and `MODULE=LEVEL`. This much of the directives of `tracing_subscriber`'s
/// `EnvFilter` is allowed, and means the same there: it is what its `Targets` understand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogLevel(String);

/// A text that is not a list of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write error, warn, info, debug, trace or off, \
     with exceptions for single modules as in info,fanfare_delivery=debug"
)]
pub struct InvalidLogLevel;

impl LogLevel {
    /// The directives, as `Targets` read them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for LogLevel {
    const PLACEHOLDER: &'static str = "LEVEL";
    const NOUN: &'static str = "a log level";
    type Error = InvalidLogLevel;

    /// A lone word must be a level: `Targets` would take `inof` for a module, and log everything
    /// of it and nothing else.
    fn parse(text: &str) -> Result<Self, InvalidLogLevel> {
        let fits = text.split(',').all(|directive| match directive.split_once('=') {
            Some((module, level)) => is_module(module) && is_level(level),
            None => is_level(directive),
        });
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidLogLevel) }
    }
}

fn is_level(text: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].contains(&text)
}

fn is_module(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_level_is_refused() {
        assert!(LogLevel::parse("off").is_ok());
        assert!(LogLevel::parse("info,fanfare_delivery::shard=debug,hyper=warn").is_ok());
        for text in ["", "inof", "info,", "info,=debug", "fanfare=loud", "fanfare", "a b=info"] {
            assert_eq!(LogLevel::parse(text), Err(InvalidLogLevel), "{text}");
        }
    }
}
