//! Pauses between attempts to connect.

use std::time::Duration;

/// The pause after the first failure to connect; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Exponential with jitter, bounded.
pub(crate) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// How long to pause now: between half and all of a bound that doubles from call to call.
    pub(crate) fn pause(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(MAX_PAUSE);
        bound.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_jittered_and_bounded() {
        let mut back_off = BackOff::new();
        let pauses: Vec<_> = (0..20).map(|_| back_off.pause()).collect();
        assert!(pauses[0] >= FIRST_PAUSE / 2 && pauses[0] <= FIRST_PAUSE);
        assert!(pauses.iter().all(|&pause| pause <= MAX_PAUSE));
        assert!(pauses[10..].iter().all(|&pause| pause >= MAX_PAUSE / 2));
    }
}
