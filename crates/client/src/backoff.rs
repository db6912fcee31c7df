//! Back-off: how long to wait after the n-th failure in a row.

use std::time::Duration;

/// Waits that double from a first one up to a last one, each spread over its upper half so that
/// many clients do not come back in one beat.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Beginning with about `first`, never above `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// The wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let full = self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// What follows is a first failure again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_outgrows_its_bound() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, most);
        for failures in 0..100 {
            let full = first.saturating_mul(1 << failures.min(20)).min(most);
            let wait = backoff.failed();
            assert!(wait >= full / 2 && wait <= full, "{failures}: {wait:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() <= first);
    }
}
