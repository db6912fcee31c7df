//! Handing over: how the old process starts its successor, gives it everything, and ends, or goes on.
//!
//! What must hold: until the new process has committed, an error or a stop puts everything back as it was
//! ([`super::standstill`]). After it, nothing of the log or of a stream is touched here, whatever becomes of the new
//! process.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use fanfare_delivery::Delivery;
use fanfare_event::Position;
use fanfare_handover::control::{ControlReport, ControlRequest, UpgradePreview};
use fanfare_http::{AppState, Connections, Presence};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::deadlines::LAST_REPORT;
use super::pause::Pause;
use super::secrets::movable;
use super::standstill::Paused;
use super::successor::{Successor, UpgradeAbort};
use super::upgrade_error::UpgradeError;
use super::upgraded::Upgraded;
use crate::control::{ControlCommand, ControlSockets};
use crate::hub_state::write_ahead;
use crate::logs::Logs;
use crate::signals::StopSignal;

/// A hub that can be handed over.
#[derive(Debug)]
pub(crate) struct Handover<'a> {
    pub(crate) app: &'a Arc<AppState>,
    pub(crate) connections: &'a Connections,
    pub(crate) logs: &'a Logs,
    pub(crate) presence: Option<&'a Presence>,
    /// Where it listens: for requests, and for control commands.
    pub(crate) listening: &'a TcpListener,
    pub(crate) control: &'a ControlSockets,
}

/// The process that is the hub now.
#[derive(Debug)]
pub(crate) struct NewHub(u32);

impl NewHub {
    /// Passes on that the hub is to stop.
    pub(crate) fn stop(&self) {
        let process = Pid::from_raw(self.0.cast_signed());
        // Its id is not reused: it is a child of this process, which has not waited for its end.
        if let Some(Err(error)) = process.map(|process| kill_process(process, Signal::TERM)) {
            tracing::warn!(%error, pid = self.0, "SIGTERM could not be sent to the new process");
        }
    }
}

/// Processes that end as soon as their first child does, and a container with them.
const CONTAINER_INITS: &[&str] = &["tini", "docker-init", "dumb-init", "catatonit", "conmon"];

impl Handover<'_> {
    /// Carries out a command; which other process is the hub now, if one is.
    pub(crate) async fn handle_command(
        self,
        command: ControlCommand,
        stop: &StopSignal,
    ) -> Option<NewHub> {
        let ControlCommand { request, reports } = command;
        let binary = match request {
            ControlRequest::Check => {
                report_last(&reports, ControlReport::Checked(self.preview())).await;
                return None;
            }
            ControlRequest::Upgrade { binary } => binary,
        };
        let app = Arc::clone(self.app);
        let error = match self.upgrade(binary, &reports, stop).await {
            Ok(upgraded) => {
                let new_hub = NewHub(upgraded.pid());
                // The client may have gone. If not, the hub waits at its end until the report is read.
                let _ = reports.send(upgraded.report());
                return Some(new_hub);
            }
            Err(error) => error,
        };
        if matches!(error, UpgradeError::Stopped) {
            tracing::info!(%error, "the hub was not upgraded");
        } else {
            app.metrics.upgrades().failed();
            let streams = app.delivery.seats().taken();
            tracing::error!(%error, streams, "the hub was not upgraded, and goes on as before");
        }
        report_last(&reports, ControlReport::Refused(error.to_string())).await;
        None
    }

    /// What would move.
    fn preview(&self) -> UpgradePreview {
        let mut preview = UpgradePreview::default();
        for seats in self.deliveries().map(|delivery| delivery.seats()) {
            let (taken, moving) = (seats.taken() as u64, seats.sockets() as u64);
            preview.streams += moving;
            preview.closed += taken.saturating_sub(moving);
        }
        preview.obstacle = self.obstacle().map(|obstacle| obstacle.to_string());
        preview
    }

    /// That of the hub, and that of its consoles.
    fn deliveries(&self) -> [&Delivery; 2] {
        [&self.app.delivery, &self.app.console.delivery]
    }

    fn obstacle(&self) -> Option<UpgradeError> {
        is_the_container().then_some(UpgradeError::Container)
    }

    async fn upgrade(
        self,
        binary: Option<PathBuf>,
        reports: &mpsc::UnboundedSender<ControlReport>,
        stop: &StopSignal,
    ) -> Result<Upgraded, UpgradeError> {
        let abort = UpgradeAbort::default();
        let mut upgrade = pin!(self.upgrade_until(binary, reports, abort.clone()));
        tokio::select! {
            upgraded = &mut upgrade => upgraded,
            () = stop.given() => {
                // A hub that is to stop waits for no new process.
                abort.break_off();
                let upgraded = upgrade.await.map_err(|_| UpgradeError::Stopped)?;
                NewHub(upgraded.pid()).stop();
                Ok(upgraded)
            }
        }
    }

    async fn upgrade_until(
        self,
        binary: Option<PathBuf>,
        reports: &mpsc::UnboundedSender<ControlReport>,
        abort: UpgradeAbort,
    ) -> Result<Upgraded, UpgradeError> {
        let progress = |text: String| drop(reports.send(ControlReport::Progress(text)));
        if let Some(obstacle) = self.obstacle() {
            return Err(obstacle);
        }
        let program = binary.unwrap_or_else(own_program);
        progress(format!("starting {}", program.display()));
        let (successor, ahead) = self.start(program, abort).await?;
        progress(format!("process {} of {} is ready", successor.pid(), successor.version));

        let movable = movable(successor.format);
        let pause = Pause::begin(self.app, self.connections, self.presence, movable).await?;
        let taken = self.deliveries().map(|delivery| delivery.seats().taken());
        let closed = taken.iter().sum::<usize>().saturating_sub(pause.streams()) as u64;
        tracing::debug!(after = ?pause.began().elapsed(), "everyone is still");
        let paused = Paused { successor, pause };
        let (app, logs) = (Arc::clone(self.app), self.logs.clone());
        let committing = spawn_blocking(move || {
            let standstill = paused.freeze(&app, &logs, ahead);
            standstill.and_then(|standstill| standstill.commit(closed))
        });
        let committed = committing.await.map_err(|_| UpgradeError::Broken)??;
        Ok(committed.release().await)
    }

    /// Starts the new process; and up to where the log was written ahead for it, if it was.
    async fn start(
        &self,
        program: PathBuf,
        abort: UpgradeAbort,
    ) -> Result<(Successor, Option<Position>), UpgradeError> {
        let listener = OwnedFd::from(self.listening.try_clone()?);
        let listening: Vec<_> = [listener].into_iter().chain(self.control.descriptor()).collect();
        let engine = self.logs.engine.clone();
        let starting = spawn_blocking(move || {
            let mut written = None;
            let ahead = || {
                let (ahead, until) = write_ahead(&engine)?;
                written = until;
                Ok(ahead)
            };
            let started = Successor::start(&program, &listening, ahead, &abort);
            started.map(|successor| (successor, written))
        });
        starting.await.map_err(|_| UpgradeError::Broken)?
    }
}

/// The program that this process was started as: what its name leads to now.
fn own_program() -> PathBuf {
    let named = std::env::args_os().next().filter(|name| !name.is_empty());
    named.map_or_else(|| std::env::current_exe().unwrap_or_default(), PathBuf::from)
}

/// Sends the last report, and waits until the client has it or has gone: this process may be about to end.
async fn report_last(reports: &mpsc::UnboundedSender<ControlReport>, last: ControlReport) {
    let _ = reports.send(last);
    let _ = timeout(LAST_REPORT, reports.closed()).await;
}

/// Whether a container ends with this process.
fn is_the_container() -> bool {
    let own = std::process::id();
    if own == 1 {
        return true;
    }
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let init = std::fs::read_to_string(Path::new("/proc/1/comm")).unwrap_or_default();
    parent == Some(1) && CONTAINER_INITS.contains(&init.trim())
}
