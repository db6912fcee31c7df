//! A position in the event log, which clients know as the event id.

use std::fmt;
use std::str::FromStr;

/// Where an event stands in the log: `<epoch>-<seq>`, opaque to clients.
///
/// Positions order as the log does: epochs only grow, and `seq` is dense within an epoch,
/// beginning at 1. `seq` 0 is the place before an epoch's first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Which unbroken stretch of the log; 0 is before every epoch.
    pub epoch: u64,
    /// Which event of that stretch.
    pub seq: u64,
}

/// A text that is not `<epoch>-<seq>`: two decimal numbers of at most 20 digits that fit 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id is two decimal numbers joined by a hyphen")]
pub struct InvalidPosition;

impl Position {
    /// Before everything that any log holds.
    pub const ORIGIN: Self = Self { epoch: 0, seq: 0 };

    /// The longest text a position has, in bytes.
    pub const MAX_TEXT: usize = 41;

    /// The position `seq` of `epoch`.
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// The next position of the same epoch.
    pub const fn next(self) -> Self {
        Self { epoch: self.epoch, seq: self.seq + 1 }
    }

    /// The position `n` further in the same epoch.
    pub const fn plus(self, n: u64) -> Self {
        Self { epoch: self.epoch, seq: self.seq + n }
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let number = |digits: &str| {
            let plain = (1..=20).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_digit());
            if plain { digits.parse().map_err(|_| InvalidPosition) } else { Err(InvalidPosition) }
        };
        let (epoch, seq) = text.split_once('-').ok_or(InvalidPosition)?;
        Ok(Self { epoch: number(epoch)?, seq: number(seq)? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_plain_numbers_are_a_position() {
        assert_eq!("17-4".parse(), Ok(Position::new(17, 4)));
        assert_eq!("18446744073709551615-0".parse(), Ok(Position::new(u64::MAX, 0)));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-2",
            "1-2-3",
            " 1-2",
            "18446744073709551616-0",
            "000000000000000000001-1",
            "١-٢",
            "earliest",
        ] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad:?}");
        }
    }

    #[test]
    fn positions_order_by_epoch_first() {
        assert!(Position::new(1, 900) < Position::new(2, 0));
        assert!(Position::ORIGIN < Position::new(1, 0));
    }
}
