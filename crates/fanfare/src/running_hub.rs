//! A hub that serves, until it is drained, or has handed over to another process.
//!
//! What must hold: a stop comes before any command. Every request that was let in is answered, and every stream closed
//! between two events, before the hub has ended. What another process has taken over is not touched.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fanfare_http::{AppState, Connections, Lifecycle, Presence};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cluster::RedisCluster;
use crate::control::{ControlCommand, ControlSockets, upgrade_on};
use crate::logs::Logs;
use crate::notify_systemd::notify;
use crate::signals::StopSignal;
use crate::upgrade::Handover;

/// How long requests in flight may take to finish once the streams are closed.
const GRACE: Duration = Duration::from_secs(5);
/// How many control commands may wait.
const COMMAND_BACKLOG: usize = 1;

/// A hub that serves.
pub(crate) struct RunningHub {
    pub(crate) address: SocketAddr,
    /// The listening socket, for a process that takes over.
    pub(crate) listening: std::net::TcpListener,
    pub(crate) control: Arc<ControlSockets>,
    pub(crate) app: Arc<AppState>,
    pub(crate) logs: Logs,
    pub(crate) connections: Connections,
    pub(crate) cluster: Option<Arc<RedisCluster>>,
    pub(crate) presence: Option<Presence>,
    /// Ends once every connection has.
    pub(crate) ended: mpsc::Receiver<Infallible>,
    pub(crate) lifecycle: watch::Sender<Lifecycle>,
    /// What tells the other nodes that this one is there.
    pub(crate) heartbeats: JoinSet<()>,
    /// What keeps things fresh, until no request and no stream is left.
    pub(crate) upkeep: JoinSet<()>,
    /// What takes commands from the control socket.
    pub(crate) listeners: JoinSet<()>,
}

impl RunningHub {
    /// Serves until it is told to stop, or has handed over to another process. Streams are then closed over as long as
    /// `drain`.
    pub(crate) async fn serve(mut self, upgrade: Signal, stop: &StopSignal, drain: Duration) {
        let mut commands = self.listen_for_commands(upgrade);
        let new_hub = loop {
            tokio::select! {
                // A stop comes first: no upgrade begins after it.
                biased;
                () = stop.given() => {
                    notify("STOPPING=1");
                    drop(commands);
                    return self.drain(drain).await;
                }
                Some(command) = commands.recv() => {
                    if let Some(new_hub) = self.handover().handle_command(command, stop).await {
                        break new_hub;
                    }
                }
            }
        };
        drop(commands);
        let mut finished = pin!(self.finish_after_handover());
        tokio::select! {
            () = &mut finished => {}
            () = stop.given() => {
                new_hub.stop();
                finished.await;
            }
        }
    }

    /// Takes commands from now on: those of the control socket, and `upgrade`.
    fn listen_for_commands(&mut self, upgrade: Signal) -> mpsc::Receiver<ControlCommand> {
        let (sender, commands) = mpsc::channel(COMMAND_BACKLOG);
        let (control, on_socket) = (Arc::clone(&self.control), sender.clone());
        self.listeners.spawn(async move { control.listen(on_socket).await });
        self.upkeep.spawn(upgrade_on(upgrade, sender));
        commands
    }

    /// The hub, as it can be handed over.
    fn handover(&self) -> Handover<'_> {
        Handover {
            app: &self.app,
            connections: &self.connections,
            logs: &self.logs,
            presence: self.presence.as_ref(),
            listening: &self.listening,
            control: &self.control,
        }
    }

    /// Ends beside another process that is the hub now: closes what could not move, and touches nothing that
    /// is the other's.
    async fn finish_after_handover(mut self) {
        self.cluster = None;
        // The client that gave the command gets the last report.
        let reported = async { while self.listeners.join_next().await.is_some() {} };
        if timeout(GRACE, reported).await.is_err() {
            tracing::debug!("the client that gave the command did not read the last report");
        }
        self.drain(Duration::ZERO).await;
    }

    /// Closes the streams, spread over so long, and then everything else.
    async fn drain(mut self, over: Duration) {
        let delivery = Arc::clone(&self.app.delivery);
        tracing::info!(streams = delivery.seats().taken(), "shutting down");
        self.app.begin_drain();
        let _ = self.lifecycle.send(Lifecycle::Draining);
        self.heartbeats.abort_all();
        let console = Arc::clone(&self.app.console);
        // The console last: it shows the others going.
        let drained = tokio::task::spawn_blocking(move || {
            delivery.drain(over);
            console.delivery.drain(Duration::ZERO);
        });
        if drained.await.is_err() {
            tracing::error!("the streams could not be closed in order");
        }
        let _ = self.lifecycle.send(Lifecycle::Stopping);
        // It counts as one of them.
        drop(self.connections);
        if timeout(GRACE, self.ended.recv()).await.is_err() {
            tracing::warn!("some requests were still in flight");
        }
        if let Some(presence) = &self.presence
            && timeout(GRACE, presence.settle()).await.is_err()
        {
            tracing::warn!("the end of some subscriptions was not published");
        }
        if let Some(cluster) = &self.cluster {
            cluster.leave().await;
        }
        self.upkeep.abort_all();
        tracing::info!("stopped");
    }
}
