//! What has come of an upgrade from which there is no way back: the new process is the hub.

use fanfare_handover::control::{ControlReport, UpgradeOutcome};

use super::upgrade_error::UpgradeError;

/// An upgrade that happened.
#[derive(Debug)]
pub(super) enum Upgraded {
    /// The new process serves.
    Serving(UpgradeOutcome),
    /// It has not said that it serves, for this reason.
    Silent(UpgradeOutcome, UpgradeError),
}

impl Upgraded {
    /// The process that is the hub now.
    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Serving(outcome) | Self::Silent(outcome, _) => outcome.pid,
        }
    }

    /// Logs it; what the client that asked is told.
    pub(super) fn report(self) -> ControlReport {
        match self {
            Self::Serving(outcome) => {
                let UpgradeOutcome { streams, connections, closed, pause_micros, pid, .. } =
                    outcome;
                tracing::info!(streams, connections, closed, pause_micros, pid, "handed over");
                ControlReport::Done(outcome)
            }
            Self::Silent(UpgradeOutcome { pid, .. }, error) => {
                tracing::error!(%error, pid, "the new process is the hub, but does not answer");
                ControlReport::Lost(error.to_string())
            }
        }
    }
}
