//! The settings file: flat TOML, one key for each setting.

use std::io;
use std::path::{Path, PathBuf};

use fanfare_files::read_bounded_text;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::SettingsError;
use crate::setting::Setting;

/// A settings file, read but not yet checked.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    entries: Vec<(String, usize, ConfigEntry)>,
}

/// What a key holds. A number stands as the text it was written as, so that the one parser a
/// setting has reads every source.
#[derive(Debug, Clone)]
pub(crate) enum ConfigEntry {
    One(String),
    Many(Vec<String>),
    Nested,
}

impl ConfigFile {
    /// The file that is read where none is named.
    pub const DEFAULT: &str = "fanfare.toml";

    /// The longest file that is read, in bytes.
    pub const MAX_BYTES: u64 = 1 << 20;

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = read_bounded_text(path, Self::MAX_BYTES)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads [`ConfigFile::DEFAULT`] in the working directory, if it exists.
    pub fn read_default() -> Result<Option<Self>, SettingsError> {
        match Self::read(Path::new(Self::DEFAULT)) {
            Ok(file) => Ok(Some(file)),
            Err(SettingsError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Parses the text of a file; `path` is how errors name it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or(text);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            SettingsError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column,
                said: without_quotes(error.message()),
            }
        })?;
        let entries = table.get_ref().iter().map(|(key, value)| {
            let before = text.get(..key.span().start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            (key.get_ref().to_string(), line, entry(value, text))
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(_, line, _)| *line);
        Ok(Self { path: path.to_owned(), entries })
    }

    /// How errors name the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The line and the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<(usize, &ConfigEntry)> {
        let (_, line, entry) = self.entries.iter().find(|(known, ..)| known == key)?;
        Some((*line, entry))
    }

    /// An error for each key that no setting has.
    pub(crate) fn unknown_keys(&self, table: &[Setting]) -> Vec<SettingsError> {
        let unknown = |key: &str| table.iter().all(|setting| setting.name != key);
        self.entries
            .iter()
            .filter(|(key, ..)| unknown(key))
            .map(|(key, line, _)| SettingsError::UnknownKey {
                path: self.path.clone(),
                line: *line,
                key: key.clone(),
                hint: match nearest(key, table) {
                    Some(name) => format!("did you mean {name}?"),
                    None => "`fanfare --help` lists the settings".to_owned(),
                },
            })
            .collect()
    }
}

/// A message of the parser, without what it repeats of the file.
fn without_quotes(message: &str) -> String {
    let mut parts = message.split('`');
    let mut said = parts.next().unwrap_or_default().to_owned();
    while let (Some(quoted), rest) = (parts.next(), parts.next()) {
        // What it expects is short; what was found may be anything.
        said.push_str(if quoted.len() <= 2 { quoted } else { "…" });
        said.push_str(rest.unwrap_or_default());
    }
    said.lines().next().unwrap_or_default().to_owned()
}

fn entry(value: &Spanned<DeValue<'_>>, text: &str) -> ConfigEntry {
    if let DeValue::Array(array) = value.get_ref() {
        let texts: Option<_> = array.iter().map(|value| scalar(value, text)).collect();
        texts.map_or(ConfigEntry::Nested, ConfigEntry::Many)
    } else {
        scalar(value, text).map_or(ConfigEntry::Nested, ConfigEntry::One)
    }
}

fn scalar(value: &Spanned<DeValue<'_>>, text: &str) -> Option<String> {
    match value.get_ref() {
        DeValue::String(string) => Some(string.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
        _ => text.get(value.span()).map(str::to_owned),
    }
}

/// The name of the setting that a mistyped key most likely meant.
fn nearest(key: &str, table: &[Setting]) -> Option<&'static str> {
    let (distance, name) =
        table.iter().map(|setting| (edits(key, setting.name), setting.name)).min()?;
    (distance <= name.len().min(key.len()) / 3 + 1).then_some(name)
}

/// How many letters must be added, dropped or changed to make `a` of `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn a_mistyped_key_is_answered_with_a_near_one_or_none() {
        assert_eq!(nearest("retain-age", TABLE), Some("retain_age"));
        assert_eq!(nearest("hartbeat", TABLE), Some("heartbeat"));
        assert_eq!(nearest("max_subscriber", TABLE), Some("max_subscribers"));
        assert_eq!(nearest("database_url", TABLE), None);
        assert_eq!(nearest("", TABLE), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_end_is_not_read_whole() {
        let error = ConfigFile::read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }

    #[test]
    fn an_error_names_the_right_line() {
        let file = ConfigFile::parse(Path::new("f"), "# one\n\n[two]\nthree = 3\n").unwrap();
        let [SettingsError::UnknownKey { line: 3, .. }] = &file.unknown_keys(TABLE)[..] else {
            panic!("{:?}", file.unknown_keys(TABLE));
        };
    }
}
