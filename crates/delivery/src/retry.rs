//! What subscribers are told about reconnecting.

use std::time::Duration;

/// How long clients wait before they reconnect: a base, jittered for each connection so that a
/// fleet does not come back in one beat.
#[derive(Debug, Clone, Copy)]
pub struct Retry(pub Duration);

impl Retry {
    /// One connection's wait, in milliseconds: the base give or take a quarter.
    pub fn pick(self) -> u64 {
        let base = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX / 2);
        fastrand::u64(base - base / 4..=base + base / 4)
    }
}
