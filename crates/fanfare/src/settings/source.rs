//! Where values come from, and which source wins.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::config_file::Entry;
use super::field::{Field, Value};
use super::{ConfigFile, Flags, Setting, SettingsError};

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
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
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

/// All that a setting can be read from.
pub(crate) struct Sources<'a, E> {
    pub(crate) flags: &'a Flags,
    pub(crate) env: E,
    pub(crate) file: Option<&'a ConfigFile>,
}

impl<E: Fn(&str) -> Option<OsString>> Sources<'_, E> {
    /// Reads one setting from the first source that gives it.
    pub(crate) fn read<F: Field>(&self, setting: &Setting) -> Result<F, SettingsError> {
        let (texts, source) = self.find(setting)?;
        let values = texts.iter().map(|text| value(setting, &source, text));
        F::collect(values.collect::<Result<_, _>>()?)
            .ok_or_else(|| SettingsError::Missing { flag: setting.flag() })
    }

    fn find(&self, setting: &Setting) -> Result<(Vec<String>, Source), SettingsError> {
        if let Some(texts) = self.flags.given(setting.name) {
            return Ok((texts.to_owned(), Source::CommandLine));
        }
        if let Some(found) = self.find_in_environment(setting)? {
            return Ok(found);
        }
        if let Some(found) = self.find_in_file(setting)? {
            return Ok(found);
        }
        let default = setting.default.map(str::to_owned);
        Ok((default.into_iter().collect(), Source::Default))
    }

    fn find_in_environment(
        &self,
        setting: &Setting,
    ) -> Result<Option<(Vec<String>, Source)>, SettingsError> {
        let variable = setting.variable();
        // Compose files and unit files pass on unset variables as empty ones.
        let Some(text) = (self.env)(&variable).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let text = text.into_string().map_err(|_| SettingsError::NotUnicode {
            flag: setting.flag(),
            source_of: Source::Environment(variable.clone()),
        })?;
        let texts = if setting.repeatable {
            text.split(',').map(|text| text.trim().to_owned()).collect()
        } else {
            vec![text]
        };
        Ok(Some((texts, Source::Environment(variable))))
    }

    fn find_in_file(
        &self,
        setting: &Setting,
    ) -> Result<Option<(Vec<String>, Source)>, SettingsError> {
        let Some((file, line, entry)) = self
            .file
            .and_then(|file| file.get(setting.name).map(|(line, entry)| (file, line, entry)))
        else {
            return Ok(None);
        };
        let source =
            Source::File { path: file.path().to_owned(), line, key: setting.name.to_owned() };
        match entry {
            Entry::One(text) => Ok(Some((vec![text.clone()], source))),
            Entry::Many(texts) if setting.repeatable => Ok(Some((texts.clone(), source))),
            Entry::Many(_) => Err(SettingsError::Shape {
                flag: setting.flag(),
                source_of: source,
                found: "an array",
            }),
            Entry::Nested => Err(SettingsError::Shape {
                flag: setting.flag(),
                source_of: source,
                found: "something nested",
            }),
        }
    }
}

/// Parses one text and holds it against the range.
fn value<V: Value>(setting: &Setting, source: &Source, text: &str) -> Result<V, SettingsError> {
    let value = V::parse(text).map_err(|reason| SettingsError::Invalid {
        flag: setting.flag(),
        source_of: source.clone(),
        text: text.to_owned(),
        noun: V::NOUN,
        reason: Box::new(reason),
    })?;
    let Some((min, max)) = setting.range else {
        return Ok(value);
    };
    let high_enough = V::parse(min).is_ok_and(|min| min <= value);
    let low_enough = V::parse(max).is_ok_and(|max| value <= max);
    if high_enough && low_enough {
        return Ok(value);
    }
    Err(SettingsError::OutOfRange {
        flag: setting.flag(),
        source_of: source.clone(),
        text: text.to_owned(),
        min,
        max,
    })
}
