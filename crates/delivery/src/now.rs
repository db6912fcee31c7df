//! The time. Whoever drives delivery reads the clocks and passes the time in; delivery itself reads
//! none, so that a simulation can say what time it is.

use std::ops::Add;
use std::time::{Duration, Instant};

use fanfare_event::Timestamp;

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never steps back; for time-outs and intervals. Means nothing to another process.
    pub monotonic: Instant,
    /// May be set; for what is agreed with others, as when a token ends.
    pub wall: Timestamp,
}

impl Now {
    /// Reads the system's clocks.
    pub fn read() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// What the wall clock showed, or will show, at `at`.
    pub(crate) fn wall_at(self, at: Instant) -> Timestamp {
        let wall = self.wall.as_millis();
        let millis = |millis: u128| u64::try_from(millis).unwrap_or(u64::MAX);
        Timestamp(match at.checked_duration_since(self.monotonic) {
            Some(ahead) => wall.saturating_add(millis(ahead.as_millis())),
            None => {
                // Rounded to the earlier: whoever was verified then is rather cut than not.
                let ago = self.monotonic.duration_since(at).as_nanos().div_ceil(1_000_000);
                wall.saturating_sub(millis(ago))
            }
        })
    }

    /// When the wall clock showed, or will show, `at`, as far as it was not set since.
    pub(crate) fn monotonic_at(self, at: Timestamp) -> Instant {
        let (at, wall) = (at.as_millis(), self.wall.as_millis());
        let span = Duration::from_millis(at.abs_diff(wall));
        let moment = if at >= wall {
            self.monotonic.checked_add(span)
        } else {
            self.monotonic.checked_sub(span)
        };
        moment.unwrap_or(self.monotonic)
    }

    /// For how long the wall clock has shown later times than `at`; `None` if it never did, as when it
    /// was set back.
    pub(crate) fn since(self, at: Timestamp) -> Option<Duration> {
        self.wall.as_millis().checked_sub(at.as_millis()).map(Duration::from_millis)
    }

    /// How long until the wall clock shows `at`; nothing if it is past.
    pub(crate) fn until(self, at: Timestamp) -> Duration {
        Duration::from_millis(at.as_millis().saturating_sub(self.wall.as_millis()))
    }
}

impl Add<Duration> for Now {
    type Output = Self;

    fn add(self, passed: Duration) -> Self {
        let monotonic = self.monotonic + passed;
        Self { monotonic, wall: self.wall_at(monotonic) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_by_both_clocks() {
        let now = Now::read();
        for offset in [Duration::ZERO, Duration::from_secs(1), Duration::from_millis(86_400_123)] {
            let later = now + offset;
            assert_eq!(now.monotonic_at(later.wall), later.monotonic);
            assert_eq!(later.wall_at(now.monotonic), now.wall);
            assert_eq!(now.until(later.wall), offset);
            assert_eq!(later.until(now.wall), Duration::ZERO);
        }
    }
}
