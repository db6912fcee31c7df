//! A cadence: how often at most a subscriber is sent events.

use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// The shortest time between two writes of events to one subscriber, in whole milliseconds. What is
/// published in between goes out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence(NonZeroU16);

/// Why there is no such cadence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an interval is a whole number of milliseconds from {} to {}",
    Cadence::MILLIS.start(),
    Cadence::MILLIS.end()
)]
pub struct InvalidCadence;

impl Cadence {
    /// The intervals there are, in milliseconds. Below, a poller's timer is no finer; above, a stream
    /// would be quiet for as long as a heartbeat.
    pub const MILLIS: RangeInclusive<u16> = 10..=10_000;

    /// One of so many milliseconds.
    pub fn from_millis(millis: u16) -> Result<Self, InvalidCadence> {
        let known = Some(millis).filter(|millis| Self::MILLIS.contains(millis));
        known.and_then(NonZeroU16::new).map(Self).ok_or(InvalidCadence)
    }

    /// In milliseconds.
    pub fn millis(self) -> u16 {
        self.0.get()
    }

    /// The interval.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_millis(self.millis().into())
    }
}

impl FromStr for Cadence {
    type Err = InvalidCadence;

    fn from_str(text: &str) -> Result<Self, InvalidCadence> {
        // What a number may begin with, an interval may not.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidCadence);
        }
        Self::from_millis(text.parse().map_err(|_| InvalidCadence)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_out_of_bounds_is_refused() {
        for bad in ["", "0", "9", "10001", "99999", "-40", "+40", "40ms", "4e1", " 40"] {
            assert_eq!(bad.parse::<Cadence>(), Err(InvalidCadence), "{bad:?}");
        }
        let millis: Vec<_> =
            ["10", "0040", "10000"].map(|good| good.parse::<Cadence>().unwrap().millis()).into();
        assert_eq!(millis, [10, 40, 10_000]);
    }
}
