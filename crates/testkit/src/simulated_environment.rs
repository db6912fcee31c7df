//! Time that passes when a test says so, and chance that a seed decides.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use fanfare_event::Timestamp;
use fanfare_log::Environment;
use fastrand::Rng;

/// The clocks and the random numbers of a simulated machine.
pub struct SimulatedEnvironment {
    clock: Mutex<(Timestamp, Duration)>,
    rng: Mutex<Rng>,
}

impl SimulatedEnvironment {
    /// In January 2027, with random numbers of this seed.
    pub fn new(seed: u64) -> Self {
        let began = Timestamp(1_800_000_000_000);
        Self { clock: Mutex::new((began, Duration::ZERO)), rng: Mutex::new(Rng::with_seed(seed)) }
    }

    /// Lets time pass on both clocks.
    pub fn pass(&self, time: Duration) {
        let mut clock = self.clock.lock().unwrap();
        clock.0 = Timestamp(clock.0.as_millis() + time.as_millis() as u64);
        clock.1 += time;
    }

    /// Sets the wall clock, on or back.
    pub fn set_wall(&self, now: Timestamp) {
        self.clock.lock().unwrap().0 = now;
    }
}

impl fmt::Debug for SimulatedEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedEnvironment").finish_non_exhaustive()
    }
}

impl Environment for SimulatedEnvironment {
    fn now(&self) -> Timestamp {
        self.clock.lock().unwrap().0
    }

    fn elapsed(&self) -> Duration {
        self.clock.lock().unwrap().1
    }

    fn random(&self) -> u64 {
        self.rng.lock().unwrap().u64(..)
    }
}
