//! The pause: the time in which no request is answered, and no shard has the streams.
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
use super::format::Format;
use super::progress::{UpgradeProgress, monotonic_micros};
use super::secrets::secrets;
use super::sections::{presence, sections};
use super::upgrade_error::UpgradeError;
use crate::hub_state::StateSection;

/// How many unsent bytes of streams may move, in all: they are shared here, and each stream has a copy of its own on
/// the way and in the new process.
const UNSENT: usize = 64 << 20;

/// What was taken out of the hub until the pause is over.
#[derive(Debug)]
pub(crate) struct Pause {
    app: Arc<AppState>,
    connections: Connections,
    streams: Vec<Detached>,
    consoles: Vec<Detached>,
    parked: Vec<ParkedConnection>,
    /// Which subscriptions are listed, where any may be.
    presence: Option<Vec<u8>>,
    began: Instant,
    began_micros: u64,
    over: bool,
}

impl Pause {
    /// Lets no request in any more, and takes every stream out of its shard whose connection can move.
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
        // Requests under way are answered here, and the next ones of their connections by the new process.
        app.gate.set(GateState::Quiescing);
        let parking = Arc::clone(connections.parking());
        // Some requests arrive slowly. One that is late is told to come again.
        let _ = timeout(SETTLE, parking.settled()).await;
        app.gate.set(GateState::Closed);
        timeout(QUIET, app.gate.empty()).await.map_err(|_| UpgradeError::Busy(QUIET))?;
        // The last requests are answered: when the answers are written, their connections are quiet too.
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
        format: Format,
        state: &[StateSection],
        closed: u64,
    ) -> io::Result<StateFile> {
        let progress = UpgradeProgress {
            count: self.app.metrics.upgrades().last().count + 1,
            moved: self.streams() as u64,
            closed,
            began: self.began_micros,
        };
        let streams: [&[Detached]; 2] = [&self.streams, &self.consoles];
        let mut own = sections(streams, &self.parked, &progress);
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
        // Connections that were parked too late are told to come again.
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
        // They have their places back before any other request is let in.
        let late = self.connections.parking().take();
        let parked = std::mem::take(&mut self.parked).into_iter().chain(late);
        let parked: Vec<_> = parked.filter_map(|parked| self.connections.reenter(parked)).collect();
        self.app.gate.set(GateState::Open);
        parked.into_iter().for_each(|parked| self.connections.go_on(parked));
        // A connection whose answer ended meanwhile was parked too.
        let late = self.connections.parking().take();
        late.into_iter().for_each(|parked| self.connections.resume(parked));
    }
}

/// The streams for whose unsent bytes there is room, for they travel as copies. The others go back to `delivery`, and
/// are closed with this process; each resumes by its id.
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
            "streams with unsent data stay behind: at most {UNSENT} bytes of it can move"
        );
    }
    attach_all(delivery, staying);
    moving
}

/// Goes on with these streams.
pub(super) fn attach_all(delivery: &Delivery, streams: Vec<Detached>) {
    for stream in streams {
        if delivery.attach(stream).is_some() {
            tracing::warn!("a stream ends: delivery has ended");
        }
    }
}

/// Every stream that can move.
async fn detach_all(delivery: &Delivery, movable: Movable) -> Result<Vec<Detached>, UpgradeError> {
    let mut answers = Vec::new();
    for shard in 0..delivery.shards() {
        let (reply, answer) = oneshot::channel();
        delivery.detach(shard, usize::MAX, movable, move |detached| {
            // The receiver stays until it has all of them: no stream is lost.
            let _ = reply.send(detached);
        });
        answers.push(answer);
    }
    let mut streams = Vec::new();
    for answer in answers {
        streams.extend(answer.await.map_err(|_| UpgradeError::Broken)?);
    }
    Ok(streams)
}
