//! The run's clock, and when a paced request is due on it.

use std::time::{Duration, Instant};

/// Nanoseconds since the run began, on the monotonic clock, which every thread of the run shares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunClock(Instant);

impl RunClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        nanoseconds(self.0.elapsed())
    }

    /// Sleeps until `due`; returns at once where that has passed.
    pub(crate) fn sleep_until(self, due: u64) {
        let now = self.now();
        if due > now {
            std::thread::sleep(Duration::from_nanos(due - now));
        }
    }
}

/// A duration as the clock counts it; 584 years and more are as good as for ever.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The moments at which requests are due: evenly spaced from `start` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    start: u64,
    /// Nanoseconds between two requests.
    interval: f64,
}

impl Pace {
    /// `rate` messages a second, `batch` of them in each request; all of a batch are due together.
    pub(crate) fn new(start: u64, rate: f64, batch: usize) -> Self {
        Self { start, interval: batch as f64 * 1e9 / rate }
    }

    /// When the `request`th request is due, the first being 0. Computed from the number, not from
    /// the one before, so that rounding does not add up.
    pub(crate) fn due(self, request: u64) -> u64 {
        self.start + (request as f64 * self.interval) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_is_no_whole_number_does_not_drift() {
        let pace = Pace::new(500, 3.0, 1);
        assert_eq!(pace.due(0), 500);
        assert_eq!(pace.due(1), 500 + 333_333_333);
        assert_eq!(pace.due(3), 500 + 1_000_000_000);
        assert_eq!(pace.due(3_000_000), 500 + 1_000_000_000_000_000);
    }

    #[test]
    fn a_batch_counts_as_its_messages() {
        let (single, batched) = (Pace::new(0, 1000.0, 1), Pace::new(0, 1000.0, 20));
        assert_eq!(batched.due(7), single.due(140));
    }
}
