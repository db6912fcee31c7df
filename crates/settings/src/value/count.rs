//! Counts, and the whole numbers inside durations and sizes.

use super::SettingValue;

/// A text that is not a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write digits, such as 100000 or 100_000")]
pub struct InvalidCount;

/// Reads digits, with `_` anywhere after the first. Nothing if there are none or too many.
pub(crate) fn parse_digits(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.bytes().filter(|byte| *byte != b'_').try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Splits a text into its digits and the unit behind them.
pub(crate) fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((parse_digits(digits)?, unit))
}

impl SettingValue for u64 {
    const PLACEHOLDER: &'static str = "COUNT";
    const NOUN: &'static str = "a count";
    type Error = InvalidCount;

    fn parse(text: &str) -> Result<Self, InvalidCount> {
        parse_digits(text).ok_or(InvalidCount)
    }
}

impl SettingValue for usize {
    const PLACEHOLDER: &'static str = <u64 as SettingValue>::PLACEHOLDER;
    const NOUN: &'static str = <u64 as SettingValue>::NOUN;
    type Error = InvalidCount;

    fn parse(text: &str) -> Result<Self, InvalidCount> {
        parse_digits(text).and_then(|count| count.try_into().ok()).ok_or(InvalidCount)
    }
}

impl SettingValue for u32 {
    const PLACEHOLDER: &'static str = <u64 as SettingValue>::PLACEHOLDER;
    const NOUN: &'static str = <u64 as SettingValue>::NOUN;
    type Error = InvalidCount;

    fn parse(text: &str) -> Result<Self, InvalidCount> {
        parse_digits(text).and_then(|count| count.try_into().ok()).ok_or(InvalidCount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_read_as_written() {
        assert_eq!(u64::parse("0"), Ok(0));
        assert_eq!(u64::parse("100_000"), Ok(100_000));
        assert_eq!(u64::parse("18446744073709551615"), Ok(u64::MAX));
        for text in
            ["", "_", "_1", "-1", "+1", " 1", "1.5", "1e3", "0x10", "١", "18446744073709551616"]
        {
            assert_eq!(u64::parse(text), Err(InvalidCount), "{text}");
        }
    }
}
