//! Handing over: the old process's part.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::Delivery;
use fanfare_handover::control::{ControlReport, ControlRequest, UpgradeOutcome, UpgradePreview};
use fanfare_http::{AppState, Connections, Presence};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::deadlines::{FREEZE, TOLD};
use super::pause::Pause;
use super::secrets::movable;
use super::successor::{Successor, UpgradeAbort};
use super::upgrade_error::UpgradeError;
use crate::control::{ControlCommand, ControlSockets};
use crate::logs::Logs;
use crate::notify_systemd::notify;
use crate::signals::StopSignal;
use crate::state::{Frozen, write_ahead};

/// A hub that can be handed over.
#[derive(Debug)]
pub(crate) struct Handover<'a> {
    pub(crate) app: &'a Arc<AppState>,
    pub(crate) connections: &'a Connections,
    pub(crate) logs: &'a Logs,
    pub(crate) presence: Option<&'a Presence>,
    /// Where it listens, for everyone and for orders.
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
        // It is a child that nobody has waited for: its number is no other's.
        if let Some(Err(error)) = process.map(|process| kill_process(process, Signal::TERM)) {
            tracing::warn!(%error, pid = self.0, "the new process could not be told to stop");
        }
    }
}

/// Processes that end as soon as their first child does, and a container with them.
const CONTAINER_INITS: &[&str] = &["tini", "docker-init", "dumb-init", "catatonit", "conmon"];

impl Handover<'_> {
    /// Does what is asked; which other process is the hub now, if one is.
    pub(crate) async fn handle_command(
        self,
        command: ControlCommand,
        stop: &StopSignal,
    ) -> Option<NewHub> {
        let ControlCommand { request, reports } = command;
        let binary = match request {
            ControlRequest::Check => {
                // Whoever asked may have gone.
                say(&reports, ControlReport::Checked(self.preview())).await;
                return None;
            }
            ControlRequest::Upgrade { binary } => binary,
        };
        let app = Arc::clone(self.app);
        match self.upgrade(binary, &reports, stop).await {
            Ok((outcome, serving)) => {
                let UpgradeOutcome { streams, connections, closed, pause_micros, pid, .. } =
                    outcome;
                let _ = match serving {
                    Ok(()) => {
                        tracing::info!(
                            streams,
                            connections,
                            closed,
                            pause_micros,
                            pid,
                            "handed over"
                        );
                        reports.send(ControlReport::Done(outcome))
                    }
                    // There is no way back.
                    Err(error) => {
                        tracing::error!(%error, pid, "the new process is the hub, but does not answer");
                        reports.send(ControlReport::Lost(error.to_string()))
                    }
                };
                Some(NewHub(pid))
            }
            Err(error @ UpgradeError::Stopped) => {
                tracing::info!(%error, "the hub was not upgraded");
                say(&reports, ControlReport::Refused(error.to_string())).await;
                None
            }
            Err(error) => {
                app.metrics.upgrades().failed();
                let streams = app.delivery.seats().taken();
                tracing::error!(%error, streams, "the hub was not upgraded, and goes on as before");
                say(&reports, ControlReport::Refused(error.to_string())).await;
                None
            }
        }
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
        is_the_container().then(|| {
            let said = "this process is the container, which ends with it: replace the container, and \
                        every client resumes";
            UpgradeError::Obstacle(said.to_owned())
        })
    }

    async fn upgrade(
        self,
        binary: Option<PathBuf>,
        reports: &mpsc::UnboundedSender<ControlReport>,
        stop: &StopSignal,
    ) -> Result<(UpgradeOutcome, Result<(), UpgradeError>), UpgradeError> {
        let abort = UpgradeAbort::default();
        let mut upgraded = pin!(self.upgrade_until(binary, reports, abort.clone()));
        tokio::select! {
            upgraded = &mut upgraded => upgraded,
            () = stop.given() => {
                // Nothing waits for a process that is to have no successor.
                abort.break_off();
                let upgraded = upgraded.await;
                if let Ok((outcome, _)) = &upgraded {
                    NewHub(outcome.pid).stop();
                }
                upgraded.map_err(|_| UpgradeError::Stopped)
            }
        }
    }

    async fn upgrade_until(
        self,
        binary: Option<PathBuf>,
        reports: &mpsc::UnboundedSender<ControlReport>,
        abort: UpgradeAbort,
    ) -> Result<(UpgradeOutcome, Result<(), UpgradeError>), UpgradeError> {
        let progress = |text: String| drop(reports.send(ControlReport::Progress(text)));
        if let Some(obstacle) = self.obstacle() {
            return Err(obstacle);
        }
        let program = binary.unwrap_or_else(own_program);
        progress(format!("starting {}", program.display()));
        let listener = OwnedFd::from(self.listening.try_clone()?);
        let listening: Vec<_> = [listener].into_iter().chain(self.control.descriptor()).collect();
        let engine = self.logs.engine.clone();
        let start = spawn_blocking(move || {
            let mut written = None;
            let ahead = || {
                let (ahead, until) = write_ahead(&engine)?;
                written = until;
                Ok(ahead)
            };
            let started = Successor::start(&program, &listening, ahead, &abort);
            started.map(|successor| (successor, written))
        });
        let (successor, ahead) = start.await.map_err(|_| UpgradeError::Broken)??;
        progress(format!("process {} of {} is ready", successor.pid(), successor.version));

        let format = successor.format;
        let (app, connections) = (self.app, self.connections);
        let pause = Pause::begin(app, connections, self.presence, movable(format)).await?;
        let taken = self.deliveries().map(|delivery| delivery.seats().taken());
        let closed = taken.iter().sum::<usize>().saturating_sub(pause.streams()) as u64;
        let (app, logs) = (Arc::clone(self.app), self.logs.clone());
        let step = |said: &str, began: Instant| tracing::debug!(after = ?began.elapsed(), "{said}");
        step("everyone is still", pause.began());
        let handed = spawn_blocking(move || {
            // Whatever happens, they are dropped in this order: the new process is dead before the log moves on, and
            // before any stream has somebody who writes to it.
            let pause = pause;
            let frozen = match Frozen::new(&app, &logs, ahead, FREEZE) {
                Ok(frozen) => frozen,
                Err(error) => {
                    drop(successor);
                    return Err(error.into());
                }
            };
            let mut successor = successor;
            let handed =
                frozen.sections().and_then(|state| pause.state_file(format, &state, closed));
            let committed = handed.map_err(UpgradeError::from).and_then(|state_file| {
                step("everything is written down", pause.began());
                let descriptors = [frozen.descriptors(), pause.descriptors()].concat();
                successor.hand_over(&state_file, &descriptors)?;
                step("everything is handed over", pause.began());
                successor.commit()
            });
            if let Err(error) = committed {
                // It is dead before anything here changes again.
                drop(successor);
                return Err(error);
            }
            Ok((successor, pause, frozen))
        });
        // Where it has not committed, all is dropped, and goes on as before.
        let (mut successor, pause, frozen) = handed.await.map_err(|_| UpgradeError::Broken)??;
        // Whatever becomes of it, its end is the hub's from now on, and this one's is not.
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
        let serving = serving.await.unwrap_or(Err(UpgradeError::Broken)).map(|pause| {
            outcome.pause_micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        });
        Ok((outcome, serving))
    }
}

/// The program that this process was started as: what its name leads to now.
fn own_program() -> PathBuf {
    let named = std::env::args_os().next().filter(|name| !name.is_empty());
    named.map_or_else(|| std::env::current_exe().unwrap_or_default(), PathBuf::from)
}

/// Tells whoever asked, and waits until that was passed on or they have gone: this process may be about to end.
async fn say(reports: &mpsc::UnboundedSender<ControlReport>, last: ControlReport) {
    let _ = reports.send(last);
    let _ = timeout(TOLD, reports.closed()).await;
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
