//! The predecessor: the old process, as the new one has it.
//!
//! What must hold: until [`UpgradeMessage::Committed`] is sent, nothing is done that others could see: no byte goes to
//! a socket, nothing is written down. If it cannot be sent, and the old process lives, nothing is done at all. Where
//! the old process dies after everything was handed over, the new one goes on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use fanfare_handover::{
    Channel, ChannelError, FORMATS, StateFile, StateFileError, UpgradeMessage, announced_by_parent,
    inherited,
};
use rustix::process::{Pid, getppid};

use super::deadlines::{NEXT_MESSAGE, STEP};
use super::format::Format;
use super::received_state::{ReceivedState, ReceivedStateError};
use crate::hub_state::{HubStateError, read_ahead};

/// The old process.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Channel,
    pid: Pid,
    /// The format that it writes in.
    format: Format,
    /// What it has written ahead.
    ahead: Option<OwnedFd>,
    listener: Option<TcpListener>,
    control: Option<OwnedFd>,
}

/// Why this process cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The old process has gone, or sends nothing.
    #[error("cannot take over from the old process: {0}")]
    Channel(#[from] ChannelError),
    /// It sent something out of turn, or in a format that is not known here.
    #[error(
        "the old process sent an unexpected message: it is not a hub that this version can replace"
    )]
    OutOfTurn,
    /// It listens elsewhere than the settings say.
    #[error("the hub listens at {here}, and the settings now say {there}: that takes a restart")]
    Elsewhere {
        /// Where the old process listens.
        here: SocketAddr,
        /// Where this one is to listen.
        there: SocketAddr,
    },
    /// What was handed over cannot be read.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// What was handed over cannot be made a hub of.
    #[error(transparent)]
    ReceivedState(#[from] ReceivedStateError),
    /// The system refused.
    #[error("cannot take over from the old process: {0}")]
    Io(#[from] io::Error),
}

impl From<HubStateError> for TakeoverError {
    fn from(error: HubStateError) -> Self {
        Self::ReceivedState(error.into())
    }
}

impl Predecessor {
    /// The process that has started this one to take its place, if one has.
    pub(crate) fn of_this_process() -> Result<Option<Self>, TakeoverError> {
        let Some(pid) = announced_by_parent() else { return Ok(None) };
        let channel = inherited()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        channel.send(&UpgradeMessage::Hello { formats: FORMATS, version }, &[], STEP)?;
        let (offer, sockets) = channel.receive(NEXT_MESSAGE)?;
        let mut sockets = sockets.into_iter();
        let (UpgradeMessage::Offer { format }, Some(listener)) = (offer, sockets.next()) else {
            return Err(TakeoverError::OutOfTurn);
        };
        let format = Format::known(format).ok_or(TakeoverError::OutOfTurn)?;
        let listener = Some(TcpListener::from(listener));
        let ahead = format.has_log_ahead().then(|| sockets.next()).flatten();
        let control = sockets.next();
        Ok(Some(Self { channel, pid, format, ahead, listener, control }))
    }

    /// The listening socket, which is to be where the settings say.
    pub(crate) fn listener(&mut self, there: SocketAddr) -> Result<TcpListener, TakeoverError> {
        let listener = self.listener.take().ok_or(TakeoverError::OutOfTurn)?;
        let here = listener.local_addr()?;
        let same = here == there || (there.port() == 0 && here.ip() == there.ip());
        if same { Ok(listener) } else { Err(TakeoverError::Elsewhere { here, there }) }
    }

    /// The hub's control socket, if it has one.
    pub(crate) fn control(&mut self) -> Option<OwnedFd> {
        self.control.take()
    }

    /// Reads what was written ahead, says that all is ready that does not depend on state, and receives the state.
    pub(crate) fn receive(&mut self) -> Result<ReceivedState, TakeoverError> {
        let ahead = match (self.format.has_log_ahead(), self.ahead.take()) {
            (true, None) => return Err(TakeoverError::OutOfTurn),
            (_, ahead) => ahead.map(|file| read_ahead(StateFile::received(file))).transpose()?,
        };
        self.channel.send(&UpgradeMessage::Ready, &[], STEP)?;
        let (state, mut file) = self.channel.receive(NEXT_MESSAGE)?;
        let (UpgradeMessage::State { descriptors: count }, Some(file)) = (state, file.pop()) else {
            return Err(TakeoverError::OutOfTurn);
        };
        let manifest = StateFile::received(file).open()?;
        let descriptors = self.receive_connections(count as usize)?;
        Ok(ReceivedState { format: self.format, ahead: ahead.flatten(), manifest, descriptors })
    }

    fn receive_connections(&self, count: usize) -> Result<Vec<OwnedFd>, TakeoverError> {
        let mut descriptors = Vec::new();
        while descriptors.len() < count {
            let (message, batch) = self.channel.receive(NEXT_MESSAGE)?;
            if !matches!(message, UpgradeMessage::Descriptors { .. }) || batch.is_empty() {
                return Err(TakeoverError::OutOfTurn);
            }
            descriptors.extend(batch);
            match self.channel.send(&UpgradeMessage::Received, &[], STEP) {
                // What it sent before it died is still there to be received.
                Err(ChannelError::Gone) if self.has_died() => {}
                sent => sent?,
            }
        }
        Ok(descriptors)
    }

    /// Says that everything is there, waits for [`UpgradeMessage::Commit`], and answers it. From then on this process
    /// is the hub.
    pub(crate) fn commit(&self) -> Result<(), TakeoverError> {
        let sent = self.channel.send(&UpgradeMessage::Prepared, &[], STEP);
        match sent.and_then(|()| self.channel.receive(NEXT_MESSAGE)) {
            Ok((UpgradeMessage::Commit, _)) => {}
            Ok(_) => return Err(TakeoverError::OutOfTurn),
            // A closed channel alone does not mean that it died: it closes it when it gives up, and kills this process
            // at once. Whether it died shows in who is the parent.
            Err(ChannelError::Gone) if self.has_died() => {
                tracing::warn!("the old process died during the hand-over: this one goes on");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        match self.channel.send(&UpgradeMessage::Committed, &[], STEP) {
            Err(ChannelError::Gone) if self.has_died() => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Says that everyone is let in.
    pub(crate) fn serving(&self) {
        if let Err(error) = self.channel.send(&UpgradeMessage::Serving, &[], STEP) {
            tracing::warn!(%error, "the message to the old process that this one serves was not sent");
        }
    }

    /// Says why this process cannot take over.
    pub(crate) fn failed(&self, reason: &str) {
        let failed = UpgradeMessage::Failed { reason: reason.to_owned() };
        // It may have gone.
        let _ = self.channel.send(&failed, &[], STEP);
    }

    /// Whether the old process has died: this one then has another parent, a moment after the channel has closed.
    fn has_died(&self) -> bool {
        const LOOKS: u32 = 200;
        const LOOK: Duration = Duration::from_millis(5);
        (0..LOOKS).any(|_| {
            let died = getppid() != Some(self.pid);
            if !died {
                std::thread::sleep(LOOK);
            }
            died
        })
    }
}
