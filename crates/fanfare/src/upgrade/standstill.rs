//! Standstill: the steps of a hand-over while nothing moves, each a type that holds what there is to lose.
//!
//! What must hold: until the new process has committed, dropping any of these puts everything back, in the order of its
//! fields: first the new process dies, then the log goes on, and then the streams and the requests. Otherwise two
//! processes could write to one log or one stream.

use std::sync::Arc;

use fanfare_event::Position;
use fanfare_handover::control::UpgradeOutcome;
use fanfare_http::AppState;
use tokio::task::spawn_blocking;

use super::deadlines::FREEZE;
use super::pause::Pause;
use super::successor::Successor;
use super::upgrade_error::UpgradeError;
use super::upgraded::Upgraded;
use crate::hub_state::Frozen;
use crate::logs::Logs;
use crate::notify_systemd::notify;

/// No request is answered and no shard has the streams; the log goes on.
#[derive(Debug)]
pub(super) struct Paused {
    pub(super) successor: Successor,
    pub(super) pause: Pause,
}

/// Nothing of the hub changes any more.
#[derive(Debug)]
pub(super) struct Standstill {
    successor: Successor,
    frozen: Frozen,
    pause: Pause,
}

/// The new process is the hub, and this one is to let go: this is to be released, and not dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Committed {
    successor: Successor,
    frozen: Frozen,
    pause: Pause,
    /// Streams that could not move.
    closed: u64,
}

impl Paused {
    /// Freezes the logs and the state. What there was up to `ahead` was written down before. Blocks.
    pub(super) fn freeze(
        self,
        app: &Arc<AppState>,
        logs: &Logs,
        ahead: Option<Position>,
    ) -> Result<Standstill, UpgradeError> {
        let frozen = Frozen::new(app, logs, ahead, FREEZE)?;
        let Self { successor, pause } = self;
        Ok(Standstill { successor, frozen, pause })
    }
}

impl Standstill {
    /// Hands everything over, and has the new process commit; so many streams stay behind. Blocks. After an error,
    /// everything here goes on as before.
    pub(super) fn commit(mut self, closed: u64) -> Result<Committed, UpgradeError> {
        let began = self.pause.began();
        let step = |reached: &str| tracing::debug!(after = ?began.elapsed(), "{reached}");
        let format = self.successor.format;
        let state_file = self.pause.state_file(format, &self.frozen.sections()?, closed)?;
        step("everything is written down");
        let descriptors = [self.frozen.descriptors(), self.pause.descriptors()].concat();
        self.successor.hand_over(&state_file, &descriptors)?;
        step("everything is handed over");
        self.successor.commit()?;
        let Self { successor, frozen, pause } = self;
        Ok(Committed { successor, frozen, pause, closed })
    }
}

impl Committed {
    /// Lets go of everything, and waits until the new process serves.
    pub(super) async fn release(self) -> Upgraded {
        let Self { mut successor, frozen, pause, closed } = self;
        // From now on the hub ends with the new process, and not with this one.
        notify(&format!("MAINPID={}\nREADY=1", successor.pid()));
        frozen.release();
        let mut outcome = UpgradeOutcome {
            streams: pause.streams() as u64,
            connections: pause.parked() as u64,
            closed,
            pause_micros: 0,
            pid: successor.pid(),
            version: successor.version.clone(),
        };
        let began = pause.began();
        pause.hand_over();
        let serving = spawn_blocking(move || {
            let serving = successor.await_serving();
            serving.map(|()| began.elapsed())
        });
        match serving.await.unwrap_or(Err(UpgradeError::Broken)) {
            Ok(pause) => {
                outcome.pause_micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                Upgraded::Serving(outcome)
            }
            Err(error) => Upgraded::Silent(outcome, error),
        }
    }
}
