//! What a log takes from outside: the time, and chance.
//!
//! What must hold: no log reads a clock or draws a random number in any other way, so that one on a
//! simulated disk does the same again under the same seed. (The secrets of hash tables are apart: no
//! answer depends on them.)

use std::time::{Duration, Instant};

use fanfare_event::Timestamp;

use crate::epoch_entropy;

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
