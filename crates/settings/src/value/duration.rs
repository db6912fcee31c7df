//! Durations, written as a number and a unit.

use std::time::Duration;

use super::SettingValue;
use super::count::split_unit;

/// A text that is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number and a unit, such as 250ms, 15s, 5m, 24h or 7d")]
pub struct InvalidDuration;

impl SettingValue for Duration {
    const PLACEHOLDER: &'static str = "DURATION";
    const NOUN: &'static str = "a duration";
    type Error = InvalidDuration;

    fn parse(text: &str) -> Result<Self, InvalidDuration> {
        let (number, unit) = split_unit(text).ok_or(InvalidDuration)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(InvalidDuration),
        };
        number.checked_mul(milliseconds).map(Self::from_millis).ok_or(InvalidDuration)
    }
}

/// Reads a duration as the settings do, for a flag that is no setting.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    SettingValue::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_as_written() {
        assert_eq!(Duration::parse("0s"), Ok(Duration::ZERO));
        assert_eq!(Duration::parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::parse("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(Duration::parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(Duration::parse("24h"), Duration::parse("1d"));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in [
            "",
            "15",
            "s",
            "15 s",
            "12 parsecs",
            "1.5h",
            "-1s",
            "1h30m",
            "1M",
            "99999999999999999d",
        ] {
            assert_eq!(Duration::parse(text), Err(InvalidDuration), "{text}");
        }
    }
}
