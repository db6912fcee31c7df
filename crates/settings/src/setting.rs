//! A setting: what is known of it before any value is read, and the macro that declares them all.

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The name of the field, which is also the key in the file.
    pub(crate) name: &'static str,
    /// The heading under which `--help` lists it.
    pub(crate) heading: &'static str,
    /// Its documentation, line by line.
    pub(crate) doc: &'static [&'static str],
    /// What stands for a value in `--help`.
    pub(crate) placeholder: &'static str,
    /// Whether its flag needs no value.
    pub(crate) switch: bool,
    /// Whether it holds a list.
    pub(crate) repeatable: bool,
    /// Whether an environment variable holds several, with commas between them.
    pub(crate) listed: bool,
    /// The text that is read where no source gives one.
    pub(crate) default: Option<&'static str>,
    /// The least and the greatest allowed value.
    pub(crate) range: Option<(&'static str, &'static str)>,
}

impl Setting {
    /// The flag, without its dashes.
    pub(crate) fn flag(&self) -> String {
        flag(self.name)
    }

    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("FANFARE_{}", self.name.to_ascii_uppercase())
    }

    /// The first paragraph of the documentation, and the default.
    pub(crate) fn short_help(&self) -> String {
        let mut help = self.paragraphs().into_iter().next().unwrap_or_default();
        if let Some(default) = self.default {
            help.push_str(&format!(" [default: {default}]"));
        }
        help
    }

    /// The whole documentation, the default, the range, and the variable.
    pub(crate) fn long_help(&self) -> String {
        let mut facts = Vec::new();
        facts.extend(self.default.map(|default| format!("[default: {default}]")));
        facts.extend(self.range.map(|(min, max)| format!("[range: {min} to {max}]")));
        facts.push(format!("[env: {}]", self.variable()));
        format!("{}\n{}", self.paragraphs().join("\n"), facts.join(" "))
    }

    /// The documentation as a terminal shows it.
    fn paragraphs(&self) -> Vec<String> {
        self.doc
            .split(|line| line.trim().is_empty())
            .map(|lines| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
            .collect()
    }
}

/// The flag of the setting of this name, without its dashes.
pub(crate) fn flag(name: &str) -> String {
    name.replace('_', "-")
}

/// The first of what the macro found, where it may have found nothing.
pub(crate) const fn optional<T: Copy>(found: &[T]) -> Option<T> {
    match found {
        [] => None,
        [first, ..] => Some(*first),
    }
}

/// Declares the settings: the struct `Settings`, a constant for each in `declared`, all of them in
/// `TABLE`, and `Settings::read`.
macro_rules! settings {
    ($(
        heading $heading:literal:
        $(
            $(#[doc = $doc:literal])+
            $name:ident: $type:ty $(= $default:literal)? $(, in $min:literal to $max:literal)?;
        )+
    )+) => {
        /// The settings of the hub, checked.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {$($(
            $(#[doc = $doc])+
            $(#[doc = concat!("\n\nDefault: ", $default)])?
            $(#[doc = concat!("\n\nRange: ", $min, " to ", $max)])?
            pub $name: $type,
        )+)+}

        #[allow(non_upper_case_globals, reason = "named as the fields are")]
        mod declared {
            use super::*;
            use crate::setting::optional;
            use crate::value::{SettingField, SettingValue};

            $($(
                pub(super) const $name: Setting = Setting {
                    name: stringify!($name),
                    heading: $heading,
                    doc: &[$($doc),+],
                    placeholder: <<$type as SettingField>::Value as SettingValue>::PLACEHOLDER,
                    switch: <<$type as SettingField>::Value as SettingValue>::SWITCH,
                    repeatable: <$type as SettingField>::REPEATABLE,
                    listed: <$type as SettingField>::REPEATABLE
                        && <<$type as SettingField>::Value as SettingValue>::LISTED,
                    default: optional(&[$($default)?]),
                    range: optional(&[$(($min, $max))?]),
                };
            )+)+
        }

        /// Every setting, in the order of `--help`.
        pub(crate) const TABLE: &[Setting] = &[$($(declared::$name),+),+];

        impl Settings {
            /// Reads every setting. Adds to `errors`, and fails if there are any in the end.
            pub(crate) fn read<E: Fn(&str) -> Option<OsString>>(
                sources: &Sources<'_, E>,
                mut errors: Vec<SettingsError>,
            ) -> Result<Self, Vec<SettingsError>> {
                $($(
                    let $name = sources
                        .read(&declared::$name)
                        .map_err(|error| errors.push(error))
                        .ok();
                )+)+
                match ($($($name,)+)+) {
                    ($($(Some($name),)+)+) if errors.is_empty() => Ok(Self { $($($name,)+)+ }),
                    _ => Err(errors),
                }
            }
        }
    };
}

pub(crate) use settings;

#[cfg(test)]
mod tests {
    use crate::table::TABLE;

    #[test]
    fn every_setting_has_a_name_of_its_own_and_help() {
        for (at, setting) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.name != setting.name));
            assert!(!setting.short_help().is_empty());
            assert!(setting.long_help().contains(&setting.variable()));
        }
    }
}
