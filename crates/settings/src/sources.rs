//! Where values are read from, and which source wins.

use std::ffi::OsString;

use crate::config_file::ConfigEntry;
use crate::setting::Setting;
use crate::value::{SettingField, SettingValue};
use crate::{ConfigFile, Flags, SettingsError, Source};

/// All that a setting can be read from.
pub(crate) struct Sources<'a, E> {
    pub(crate) flags: &'a Flags,
    pub(crate) env: E,
    pub(crate) file: Option<&'a ConfigFile>,
}

/// The texts that the first source to have any gives for a setting.
struct Given {
    texts: Vec<String>,
    from: Source,
}

impl<E: Fn(&str) -> Option<OsString>> Sources<'_, E> {
    /// Reads one setting from the first source that gives it.
    pub(crate) fn read<F: SettingField>(&self, setting: &Setting) -> Result<F, SettingsError> {
        let Given { texts, from } = self.find(setting)?;
        let values: Result<Vec<_>, _> =
            texts.into_iter().map(|text| value(setting, &from, text)).collect();
        F::collect(values?).ok_or_else(|| SettingsError::Missing { setting: setting.name })
    }

    fn find(&self, setting: &Setting) -> Result<Given, SettingsError> {
        if let Some(texts) = self.flags.given(setting.name) {
            return Ok(Given { texts: texts.to_owned(), from: Source::CommandLine });
        }
        if let Some(given) = self.find_in_environment(setting)? {
            return Ok(given);
        }
        if let Some(given) = self.find_in_file(setting)? {
            return Ok(given);
        }
        let default = setting.default.map(str::to_owned);
        Ok(Given { texts: default.into_iter().collect(), from: Source::Default })
    }

    fn find_in_environment(&self, setting: &Setting) -> Result<Option<Given>, SettingsError> {
        let variable = setting.variable();
        // Compose files and unit files pass on what is not set as an empty variable.
        let Some(text) = (self.env)(&variable).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let from = Source::Environment(variable);
        let Ok(text) = text.into_string() else {
            return Err(SettingsError::NotUnicode { setting: setting.name, from });
        };
        let texts = if setting.listed {
            text.split(',').map(|text| text.trim().to_owned()).collect()
        } else {
            vec![text]
        };
        Ok(Some(Given { texts, from }))
    }

    fn find_in_file(&self, setting: &Setting) -> Result<Option<Given>, SettingsError> {
        let Some(file) = self.file else { return Ok(None) };
        let Some((line, entry)) = file.get(setting.name) else { return Ok(None) };
        let from = Source::File { path: file.path().into(), line, key: setting.name };
        let found = match entry {
            ConfigEntry::One(text) => return Ok(Some(Given { texts: vec![text.clone()], from })),
            ConfigEntry::Many(texts) if setting.repeatable => {
                return Ok(Some(Given { texts: texts.clone(), from }));
            }
            ConfigEntry::Many(_) => "an array",
            ConfigEntry::Nested => "something nested",
        };
        Err(SettingsError::Shape { setting: setting.name, from, found })
    }
}

/// A text without what stands before the host of an address in it: it may be a password.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("//") else { return text.to_owned() };
    // A password may hold what would end the host, were it written as it should be.
    match rest.rfind('@') {
        Some(at) => format!("{scheme}//(hidden){}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// Parses one text and holds it against the range.
fn value<V: SettingValue>(
    setting: &Setting,
    from: &Source,
    text: String,
) -> Result<V, SettingsError> {
    let from = from.clone();
    let value = match V::parse(&text) {
        Ok(value) => value,
        Err(reason) => {
            let reason = Box::new(reason);
            let text = if V::SECRET { "(hidden)".to_owned() } else { without_user(&text) };
            return Err(SettingsError::Invalid {
                setting: setting.name,
                from,
                text,
                noun: V::NOUN,
                reason,
            });
        }
    };
    let Some((min, max)) = setting.range else { return Ok(value) };
    let high_enough = V::parse(min).is_ok_and(|min| min <= value);
    let low_enough = V::parse(max).is_ok_and(|max| value <= max);
    if high_enough && low_enough {
        Ok(value)
    } else {
        Err(SettingsError::OutOfRange { setting: setting.name, from, text, min, max })
    }
}
