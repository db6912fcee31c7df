//! How long the checks wait, and what they say of themselves.

use std::time::Duration;

/// The waits. All of them bound something that would otherwise hang; none is a measurement.
#[derive(Debug, Clone)]
pub struct SuiteSettings {
    /// What must come, comes within this long.
    pub timeout: Duration,
    /// Nothing that comes within this long counts as nothing.
    pub quiet: Duration,
    /// A quiet stream hears a keepalive within this long.
    pub heartbeat: Duration,
    /// A hub that is started answers within this long.
    pub start: Duration,
    /// A hub that is told to stop has stopped within this long.
    pub stop: Duration,
    /// Sent with every request, as `Authorization` is.
    pub headers: Vec<(String, String)>,
}

impl Default for SuiteSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            quiet: Duration::from_millis(300),
            heartbeat: Duration::from_secs(20),
            start: Duration::from_secs(30),
            stop: Duration::from_secs(30),
            headers: Vec::new(),
        }
    }
}
