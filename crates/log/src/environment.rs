//! What a log takes from outside: the time, and chance.
//!
//! What must hold: no log reads a clock or draws a random number in any other way, so that one on a
//! simulated disk does the same again under the same seed. (The secrets of hash tables are apart: no
//! answer depends on them.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_event::Timestamp;

use crate::epoch::epoch_entropy;

/// Where a log is told the time and draws its random numbers.
pub trait Environment: Send + Sync + 'static {
    /// The wall clock's time: what events are dated by. May step in either direction.
    fn now(&self) -> Timestamp;

    /// How much time has passed since some moment; never goes back. What waiting is measured by.
    fn elapsed(&self) -> Duration;

    /// A number that others cannot have drawn, nor foresee.
    fn random(&self) -> u64;
}

/// The operating system's clocks and random numbers.
#[derive(Debug)]
pub struct SystemEnvironment {
    started: Instant,
}

impl SystemEnvironment {
    /// Counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        epoch_entropy()
    }
}

/// A clock that never steps: it begins with the wall clock's time and goes on by [`Environment::elapsed`]. What
/// must not end too early is measured by it.
pub struct MonotonicClock {
    environment: Arc<dyn Environment>,
    began: Timestamp,
    at: Duration,
}

impl MonotonicClock {
    /// Begins with the wall clock's time.
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        let began = environment.now();
        Self::from(began, environment)
    }

    /// Begins with the time at which the clock of another process has stopped.
    pub fn from(began: Timestamp, environment: Arc<dyn Environment>) -> Self {
        let at = environment.elapsed();
        Self { environment, began, at }
    }

    /// What time it is by this clock.
    pub fn now(&self) -> Timestamp {
        let passed = self.environment.elapsed().saturating_sub(self.at).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        Timestamp(self.began.as_millis().saturating_add(passed))
    }
}
