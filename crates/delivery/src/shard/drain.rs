//! A drain: closing every subscriber of a shard, spread over a while, so that a fleet does not
//! come back in one beat.

use std::time::{Duration, Instant};

/// A drain under way.
#[derive(Debug)]
pub(crate) struct Drain {
    began: Instant,
    over: Duration,
    /// How many subscribers there were.
    total: usize,
    /// How many closes have begun.
    closed: usize,
}

impl Drain {
    /// How long a close may wait for a subscriber that is not reading, past the end.
    const GRACE: Duration = Duration::from_millis(500);

    pub(crate) fn begin(now: Instant, over: Duration, total: usize) -> Self {
        Self { began: now, over, total, closed: 0 }
    }

    /// How many more are to be closed by now, for an even spread.
    pub(crate) fn due(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.began).as_secs_f64();
        let whole = self.over.as_secs_f64();
        let share = if whole > 0.0 { (passed / whole).min(1.0) } else { 1.0 };
        let due = (self.total as f64 * share).ceil() as usize;
        let more = due.saturating_sub(self.closed);
        self.closed += more;
        more
    }

    /// Whether all closes have begun, or are due now.
    pub(crate) fn is_complete(&self, now: Instant) -> bool {
        self.closed >= self.total || now >= self.began + self.over
    }

    /// Whether those who still have not taken theirs are cut off.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.began + self.over + Self::GRACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_is_spread_evenly_and_leaves_nobody() {
        let now = Instant::now();
        let mut drain = Drain::begin(now, Duration::from_secs(10), 100);
        assert_eq!(drain.due(now + Duration::from_secs(1)), 10);
        assert_eq!(drain.due(now + Duration::from_secs(1)), 0);
        assert_eq!(drain.due(now + Duration::from_secs(5)), 40);
        assert_eq!(drain.due(now + Duration::from_secs(30)), 50);
        let mut at_once = Drain::begin(now, Duration::ZERO, 100);
        assert_eq!(at_once.due(now), 100);
        assert!(at_once.is_complete(now));
        let nobody = Drain::begin(now, Duration::from_secs(10), 0);
        assert!(nobody.is_complete(now), "an idle hub does not wait for nobody");
    }
}
