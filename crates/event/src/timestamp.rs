//! A moment, as the log keeps it and as people read it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
/// From 0000-03-01, where the years of this count begin, to 1970-01-01. A year that begins in March
/// has its leap day at its end.
const DAYS_TO_1970: u64 = 719_468;
/// In 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: u64 = 146_097;

/// Milliseconds since the Unix epoch. Shown in UTC as RFC 3339 has it, to the second, or with `{:.3}`
/// to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The last moment that RFC 3339 can write. Later ones are shown as this one.
    pub const MAX_SHOWN: Self = Self(253_402_300_799_999);

    /// The system clock's time. A clock set before 1970 reads as 0.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// When its day began in UTC.
    pub const fn start_of_day(self) -> Self {
        Self(self.0 - self.0 % DAY)
    }

    /// The beginning of this second of a day in UTC, of the years 1970 to 9999; nothing if there is no
    /// such day or second.
    pub fn from_utc(
        [year, month, day]: [u64; 3],
        [hour, minute, second]: [u64; 3],
    ) -> Option<Self> {
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !fits {
            return None;
        }
        let (year, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + days_before(months) + day - 1;
        let days = days - DAYS_TO_1970;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let at = Self(seconds * SECOND);
        // The 31st of a month with 30 days would be the 1st of the next.
        (at.date() == [year + u64::from(month <= 2), month, day]).then_some(at)
    }

    /// Year, month and day in UTC.
    fn date(self) -> [u64; 3] {
        let days = self.0 / DAY + DAYS_TO_1970;
        let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
        // Of the era: without the leap days that have passed, years have 365 days.
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let months = (5 * day + 2) / 153;
        let month = if months < 10 { months + 3 } else { months - 9 };
        [400 * era + year + u64::from(month <= 2), month, day - days_before(months) + 1]
    }
}

/// The days of so many months, from March on: 31, 30, 31, 30, 31, and again.
fn days_before(months: u64) -> u64 {
    (153 * months + 2) / 5
}

impl From<SystemTime> for Timestamp {
    /// A time before 1970 is 0.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(at.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = (*self).min(Self::MAX_SHOWN);
        let [year, month, day] = at.date();
        let seconds = at.0 % DAY / SECOND;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match f.precision() {
            Some(3..) => write!(f, ".{:03}Z", at.0 % SECOND),
            _ => f.write_str("Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_is_shown_and_read_as_it_is() {
        let mut days = 0;
        for year in 1970..=9999 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(lengths) {
                for day in 1..=length {
                    let at = Timestamp(days * DAY);
                    assert_eq!(at.date(), [year, month, day]);
                    assert_eq!(Timestamp::from_utc([year, month, day], [0; 3]), Some(at));
                    days += 1;
                }
                assert_eq!(Timestamp::from_utc([year, month, length + 1], [0; 3]), None);
            }
        }
        assert_eq!(days * DAY - 1, Timestamp::MAX_SHOWN.0);
    }

    #[test]
    fn a_moment_is_shown_in_the_precision_that_is_asked_for() {
        let at = Timestamp(1_700_000_000_120);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(format!("{at:.3}"), "2023-11-14T22:13:20.120Z");
        assert_eq!(format!("{:.3}", Timestamp(u64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for (date, time) in [
            ([2023, 2, 29], [0, 0, 0]),
            ([2023, 0, 1], [0, 0, 0]),
            ([2023, 13, 1], [0, 0, 0]),
            ([2023, 1, 0], [0, 0, 0]),
            ([2023, 1, 1], [24, 0, 0]),
            ([2023, 1, 1], [0, 60, 0]),
            ([2023, 1, 1], [0, 0, 60]),
            ([1969, 12, 31], [23, 59, 59]),
            ([10_000, 1, 1], [0, 0, 0]),
        ] {
            assert_eq!(Timestamp::from_utc(date, time), None, "{date:?} {time:?}");
        }
        let last = Timestamp::from_utc([9999, 12, 31], [23, 59, 59]).unwrap();
        assert_eq!(last.0 + 999, Timestamp::MAX_SHOWN.0);
    }
}
