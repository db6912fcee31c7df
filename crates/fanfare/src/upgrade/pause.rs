//! The pause: the time in which nobody acts on the hub, and its streams are in nobody's hands.
//!
//! What must hold: where it ends without a new process, everything goes on as before: each stream in a shard,
//! each connection served, each request that waited answered.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use fanfare_delivery::{Delivery, Detached, Movable};
use fanfare_handover::StateFile;
use fanfare_http::{AppState, Connections, GateState, ParkedConnection, Presence};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::deadlines::{ANSWERED, QUIET, SETTLE};
use super::secrets::secrets;
use super::state_file::{UpgradeUnderWay, monotonic_micros, presence, sections};
use super::upgrade_error::UpgradeError;

/// How many bytes that streams were sent and have not taken may go along, in all: they are shared here, and each stream has
/// a copy on the way and in the new process.
const UNSENT: usize = 64 << 20;

/// What is in nobody's hands.
#[derive(Debug)]
pub(crate) struct Pause {
    app: Arc<AppState>,
    connections: Connections,
    streams: Vec<Detached>,
    consoles: Vec<Detached>,
    parked: Vec<ParkedConnection>,
    /// Who is listed, where anyone is.
    presence: Option<Vec<u8>>,
    began: Instant,
    began_micros: u64,
    over: bool,
}

impl Pause {
    /// Lets nobody act any more, and takes every stream out of its shard whose connection can move.
    pub(crate) async fn begin(
        app: &Arc<AppState>,
        connections: &Connections,
        presence: Option<&Presence>,
        movable: Movable,
    ) -> Result<Self, UpgradeError> {
        let mut pause = Self {
            app: Arc::clone(app),
            connections: connections.clone(),
            streams: Vec::new(),
            consoles: Vec::new(),
            parked: Vec::new(),
            presence: None,
            began: Instant::now(),
            began_micros: monotonic_micros(),
            over: false,
        };
        // Those who have asked are answered here, and the next requests of their connections there.
        app.gate.set(GateState::Quiescing);
        let parking = Arc::clone(connections.parking());
        // Some send slowly. They are told to send again, if they come too late.
        let _ = timeout(SETTLE, parking.settled()).await;
        app.gate.set(GateState::Closed);
        timeout(QUIET, app.gate.empty()).await.map_err(|_| UpgradeError::Busy(QUIET))?;
        // Whose request was inside until now is answered, and then its connection is quiet too.
        let _ = timeout(ANSWERED, parking.settled()).await;
        pause.parked = parking.take();
        let mut room = UNSENT;
        pause.streams = within(&mut room, &app.delivery, detach_all(&app.delivery, movable).await?);
        let consoles = &app.console.delivery;
        pause.consoles = within(&mut room, consoles, detach_all(consoles, movable).await?);
        if let Some(presence) = presence {
            let written = timeout(QUIET, presence.write_down()).await;
            pause.presence = written.map_err(|_| UpgradeError::Busy(QUIET))?;
        }
        Ok(pause)
    }

    /// How many streams there are, those of consoles among them.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len() + self.consoles.len()
    }

    /// How many connections between two requests there are.
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Everything that is handed over, in this format, with these sections beside the streams.
    pub(crate) fn state_file(
        &self,
        format: u16,
        state: &[(&'static str, Vec<u8>)],
        closed: u64,
    ) -> io::Result<StateFile> {
        let upgrade = UpgradeUnderWay {
            count: self.app.metrics.upgrades().last().count + 1,
            moved: self.streams() as u64,
            closed,
            began: self.began_micros,
        };
        let streams: [&[Detached]; 2] = [&self.streams, &self.consoles];
        let mut own = sections(streams, &self.parked, &upgrade);
        own.extend(presence(format, self.presence.as_deref(), &self.streams));
        let secret = secrets(format, streams);
        let open = own.iter().chain(state).map(|(name, bytes)| (*name, &bytes[..]));
        let secret = secret.iter().map(|(name, bytes)| (*name, &bytes[..]));
        StateFile::seal(&open.chain(secret).collect::<Vec<_>>())
    }

    /// The connections, in the order in which the state file names them.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let streams = self.streams.iter().chain(&self.consoles);
        let streams = streams.filter_map(|stream| stream.connection.descriptor());
        streams.chain(self.parked.iter().map(|parked| parked.socket.as_fd())).collect()
    }

    /// Another process has everything.
    pub(crate) fn hand_over(mut self) {
        self.over = true;
        self.app.gate.set(GateState::Gone);
        self.streams.clear();
        self.consoles.clear();
        self.parked.clear();
        // Whoever was parked too late is told to come again.
        let late = self.connections.parking().take();
        late.into_iter().for_each(|parked| self.connections.resume(parked));
    }
}

impl Drop for Pause {
    /// Everything goes on as before.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        attach_all(&self.app.delivery, std::mem::take(&mut self.streams));
        attach_all(&self.app.console.delivery, std::mem::take(&mut self.consoles));
        // They have their places back before anybody else is let in.
        let late = self.connections.parking().take();
        let parked = std::mem::take(&mut self.parked).into_iter().chain(late);
        let parked: Vec<_> = parked.filter_map(|parked| self.connections.reenter(parked)).collect();
        self.app.gate.set(GateState::Open);
        parked.into_iter().for_each(|parked| self.connections.go_on(parked));
        // Whose answer ended meanwhile was parked too.
        let late = self.connections.parking().take();
        late.into_iter().for_each(|parked| self.connections.resume(parked));
    }
}

/// Those of these streams for whose unsent bytes there is room; they travel in copies. The others go on here, and are
/// closed with this process: each resumes by its id.
fn within(room: &mut usize, delivery: &Delivery, streams: Vec<Detached>) -> Vec<Detached> {
    let (moving, staying) = streams.into_iter().partition(|stream| {
        let left = room.checked_sub(stream.subscription.unsent());
        *room = left.unwrap_or(*room);
        left.is_some()
    });
    let staying: Vec<_> = staying;
    if !staying.is_empty() {
        tracing::warn!(
            streams = staying.len(),
            "streams that have not taken what they were sent do not move: there is room for {UNSENT} bytes"
        );
    }
    attach_all(delivery, staying);
    moving
}

/// Goes on with these streams.
pub(super) fn attach_all(delivery: &Delivery, streams: Vec<Detached>) {
    for stream in streams {
        if delivery.attach(stream).is_some() {
            tracing::warn!("a stream could not be gone on with: delivery has ended");
        }
    }
}

/// Every stream that can move.
async fn detach_all(delivery: &Delivery, movable: Movable) -> Result<Vec<Detached>, UpgradeError> {
    let mut answers = Vec::new();
    for shard in 0..delivery.shards() {
        let (told, answer) = oneshot::channel();
        delivery.detach(shard, usize::MAX, movable, move |detached| {
            // Whoever asked may have given up, and then the streams would be lost: it does not.
            let _ = told.send(detached);
        });
        answers.push(answer);
    }
    let mut streams = Vec::new();
    for answer in answers {
        streams.extend(answer.await.map_err(|_| UpgradeError::Broken)?);
    }
    Ok(streams)
}
