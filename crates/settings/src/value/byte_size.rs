//! Sizes, written in bytes or with a unit.

use super::SettingValue;
use super::count::split_unit;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// A text that is not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number of bytes, or a number and a unit, such as 512, 64KiB, 1MiB or 1GB")]
pub struct InvalidSize;

impl ByteSize {
    /// The number of bytes.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes, or the largest that memory can be asked for.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl SettingValue for ByteSize {
    const PLACEHOLDER: &'static str = "SIZE";
    const NOUN: &'static str = "a size";
    type Error = InvalidSize;

    fn parse(text: &str) -> Result<Self, InvalidSize> {
        let (number, unit) = split_unit(text).ok_or(InvalidSize)?;
        let bytes = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(InvalidSize),
        };
        number.checked_mul(bytes).map(Self).ok_or(InvalidSize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_as_written() {
        for (text, bytes) in [
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64kib", 65_536),
            ("1MiB", 1_048_576),
            ("1MB", 1_000_000),
            ("2_000kB", 2_000_000),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_size_is_refused() {
        for text in ["", "MiB", "1K", "1M", "1 MiB", "1.5MiB", "-1", "1MiBs", "99999999TiB"] {
            assert_eq!(ByteSize::parse(text), Err(InvalidSize), "{text}");
        }
    }
}
