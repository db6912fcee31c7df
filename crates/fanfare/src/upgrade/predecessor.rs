//! The predecessor: the old process, as the new one has it.
//!
//! What must hold: until it has said to commit, nothing is done that anybody could see: no byte goes to a
//! socket, nothing is written down. Where the old process dies after everything was handed over, the new one
//! goes on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use fanfare_handover::{
    Channel, ChannelError, FORMATS, StateFile, StateFileError, UpgradeMessage, inherited,
};
use rustix::process::getppid;

use super::ReceivedState;
use super::agreement::{VARIABLE, WITH_LOG_AHEAD};
use super::deadlines::{NEXT_WORD, STEP};
use super::received_state_error::ReceivedStateError;
use crate::state::{HubStateError, read_ahead};

/// The old process.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Channel,
    pid: i32,
    /// The format that it writes in.
    format: u16,
    /// What it has written ahead.
    ahead: Option<OwnedFd>,
    listener: Option<TcpListener>,
    control: Option<OwnedFd>,
}

/// Why this process cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The old process has gone, or says nothing.
    #[error("the old process cannot be taken over from: {0}")]
    Channel(#[from] ChannelError),
    /// It said something out of turn, or in a format that is not known here.
    #[error("the old process is no hub that this one can take over from")]
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
    #[error("{0}")]
    ReceivedState(String),
    /// The system refused.
    #[error("the old process cannot be taken over from: {0}")]
    Io(#[from] io::Error),
}

impl From<HubStateError> for TakeoverError {
    fn from(error: HubStateError) -> Self {
        Self::ReceivedState(error.to_string())
    }
}

impl From<ReceivedStateError> for TakeoverError {
    fn from(error: ReceivedStateError) -> Self {
        Self::ReceivedState(error.to_string())
    }
}

impl Predecessor {
    /// The process that has started this one to take its place, if one has.
    pub(crate) fn of_this_process() -> Result<Option<Self>, TakeoverError> {
        let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        let named = std::env::var(VARIABLE).ok().and_then(|pid| pid.parse().ok());
        if named.is_none_or(|named: i32| named != parent) {
            return Ok(None);
        }
        let channel = inherited()?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        channel.send(&UpgradeMessage::Hello { formats: FORMATS, version }, &[], STEP)?;
        let (offer, sockets) = channel.receive(NEXT_WORD)?;
        let mut sockets = sockets.into_iter();
        match (offer, sockets.next()) {
            (UpgradeMessage::Offer { format }, Some(listener)) if FORMATS.contains(format) => {
                let listener = Some(TcpListener::from(listener));
                let ahead = (format >= WITH_LOG_AHEAD).then(|| sockets.next()).flatten();
                let control = sockets.next();
                Ok(Some(Self { channel, pid: parent, format, ahead, listener, control }))
            }
            _ => Err(TakeoverError::OutOfTurn),
        }
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

    /// Reads what was written ahead, says that whatever does not depend on state is there, and receives the state.
    pub(crate) fn receive(&mut self) -> Result<ReceivedState, TakeoverError> {
        let ahead = match (self.format >= WITH_LOG_AHEAD, self.ahead.take()) {
            (true, None) => return Err(TakeoverError::OutOfTurn),
            (_, ahead) => ahead.map(|file| read_ahead(StateFile::received(file))).transpose()?,
        };
        self.channel.send(&UpgradeMessage::Ready, &[], STEP)?;
        let (state, mut file) = self.channel.receive(NEXT_WORD)?;
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
            let (message, batch) = self.channel.receive(NEXT_WORD)?;
            if !matches!(message, UpgradeMessage::Descriptors { .. }) || batch.is_empty() {
                return Err(TakeoverError::OutOfTurn);
            }
            descriptors.extend(batch);
            match self.channel.send(&UpgradeMessage::Received, &[], STEP) {
                // What it has said before it died is still to be heard.
                Err(ChannelError::Gone) if self.has_died() => {}
                sent => sent?,
            }
        }
        Ok(descriptors)
    }

    /// Says that everything is there, waits for the word to commit, and says that it was heard. From then on
    /// this process is the hub.
    pub(crate) fn commit(&self) -> Result<(), TakeoverError> {
        let sent = self.channel.send(&UpgradeMessage::Prepared, &[], STEP);
        match sent.and_then(|()| self.channel.receive(NEXT_WORD)) {
            Ok((UpgradeMessage::Commit, _)) => {}
            Ok(_) => return Err(TakeoverError::OutOfTurn),
            // Whoever gives up kills this process first: the old one is dead, and all it had is here.
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
            tracing::warn!(%error, "the old process could not be told that this one serves");
        }
    }

    /// Says why this process cannot take over.
    pub(crate) fn failed(&self, reason: &str) {
        let failed = UpgradeMessage::Failed { reason: reason.to_owned() };
        // It may have gone.
        let _ = self.channel.send(&failed, &[], STEP);
    }

    /// Whether the old process is no more: this one is then somebody else's child, a moment after the channel
    /// has closed.
    fn has_died(&self) -> bool {
        const LOOKS: u32 = 200;
        const LOOK: Duration = Duration::from_millis(5);
        (0..LOOKS).any(|_| {
            let died = getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != self.pid);
            if !died {
                std::thread::sleep(LOOK);
            }
            died
        })
    }
}
