//! Progress: how an upgrade is going, as the old process writes it for the new one, which counts it.

use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_http::LastUpgrade;
use rustix::time::{ClockId, clock_gettime};

/// How an upgrade is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpgradeProgress {
    /// How many upgrades there have been since the hub was started, with this one.
    pub(super) count: u64,
    /// Streams that keep their connections.
    pub(super) moved: u64,
    /// Streams that could not move.
    pub(super) closed: u64,
    /// When the pause began, by [`monotonic_micros`].
    pub(super) began: u64,
}

impl UpgradeProgress {
    /// What can be said of the upgrade by now.
    pub(super) fn so_far(&self) -> LastUpgrade {
        let Self { count, moved, closed, began } = *self;
        let pause_micros = monotonic_micros().saturating_sub(began);
        LastUpgrade { count, moved, closed, pause_micros }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        for figure in [self.count, self.moved, self.closed, self.began] {
            writer.u64(figure);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (count, moved) = (reader.u64()?, reader.u64()?);
        let (closed, began) = (reader.u64()?, reader.u64()?);
        Ok(Self { count, moved, closed, began })
    }
}

/// The system's monotonic clock, which all processes share, in microseconds.
pub(super) fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000
}
