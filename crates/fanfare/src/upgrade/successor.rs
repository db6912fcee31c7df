//! The successor: the new process, as the old one has it.
//!
//! What must hold: it is either committed or dead. Where it is dropped before, it is killed, and waited for.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_handover::{
    Channel, ChannelError, FORMATS, IN_FLIGHT, MAX_DESCRIPTORS, StateFile, UpgradeMessage, pair,
};

use rustix::net::{Shutdown, shutdown};

use super::deadlines::{HELLO, READY, STEP};
use super::protocol::{VARIABLE, WITH_LOG_AHEAD};
use super::upgrade_error::UpgradeError;

/// Breaks off what is said to a new process, whoever waits for its answer: that process is then taken for one that has
/// gone. Where it has committed by then, it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpgradeAbort(Arc<Mutex<UpgradeAbortState>>);

#[derive(Debug, Default)]
struct UpgradeAbortState {
    broken: bool,
    channel: Option<OwnedFd>,
}

impl UpgradeAbort {
    /// Nothing is said from now on.
    pub(crate) fn break_off(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.broken = true;
        if let Some(channel) = state.channel.take() {
            break_off(&channel);
        }
    }

    fn watch(&self, channel: &Channel) -> io::Result<()> {
        let channel = channel.as_fd().try_clone_to_owned()?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.broken {
            true => break_off(&channel),
            false => state.channel = Some(channel),
        }
        Ok(())
    }
}

fn break_off(channel: &OwnedFd) {
    if let Err(error) = shutdown(channel, Shutdown::Both) {
        tracing::debug!(%error, "the channel to the new process was closed before");
    }
}

/// The new process, until it has committed.
#[derive(Debug)]
pub(crate) struct Successor {
    channel: Channel,
    child: Child,
    /// Which program it is.
    pub(crate) version: String,
    /// In which format it is handed everything.
    pub(crate) format: u16,
    committed: bool,
}

impl Successor {
    /// Starts `program` with this process's own arguments, gives it the listening sockets and what is written
    /// `ahead`, and waits until its settings are good. Blocks; nobody else notices.
    pub(crate) fn start(
        program: &Path,
        listening: &[OwnedFd],
        ahead: impl FnOnce() -> io::Result<StateFile>,
        abort: &UpgradeAbort,
    ) -> Result<Self, UpgradeError> {
        let (channel, theirs) = pair()?;
        abort.watch(&channel)?;
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let child = Command::new(program)
            .args(arguments)
            .env(VARIABLE, std::process::id().to_string())
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(|source| UpgradeError::Start { path: program.to_owned(), source })?;
        let mut new = Self { channel, child, version: String::new(), format: 0, committed: false };
        let saying_hello = "it was to say who it is";
        match new.receive(HELLO, saying_hello)? {
            UpgradeMessage::Hello { formats, version } => {
                let format = formats.common(FORMATS);
                let format =
                    format.ok_or(UpgradeError::Format { theirs: formats, ours: FORMATS })?;
                (new.version, new.format) = (version, format);
                let ahead = (format >= WITH_LOG_AHEAD).then(ahead).transpose()?;
                let mut sockets: Vec<_> = listening.iter().map(OwnedFd::as_fd).collect();
                if let Some(ahead) = &ahead {
                    sockets.insert(1, ahead.as_fd());
                }
                new.say(&UpgradeMessage::Offer { format }, &sockets, saying_hello)?;
            }
            _ => return Err(UpgradeError::OutOfTurn(saying_hello)),
        }
        new.expect(&UpgradeMessage::Ready, READY, "it was to read its settings")?;
        Ok(new)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it the state and these descriptors, in their order, and waits until it has made a hub of them.
    pub(crate) fn hand_over(
        &mut self,
        state_file: &StateFile,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), UpgradeError> {
        let step = "it was given the streams";
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
        self.say(&UpgradeMessage::State { descriptors: count }, &[state_file.as_fd()], step)?;
        let mut on_the_way = 0;
        for batch in descriptors.chunks(MAX_DESCRIPTORS) {
            if on_the_way == IN_FLIGHT {
                self.expect(&UpgradeMessage::Received, STEP, step)?;
                on_the_way -= 1;
            }
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.say(&UpgradeMessage::Descriptors { count }, batch, step)?;
            on_the_way += 1;
        }
        for _ in 0..on_the_way {
            self.expect(&UpgradeMessage::Received, STEP, step)?;
        }
        self.expect(&UpgradeMessage::Prepared, STEP, "it was to make a hub of them")
    }

    /// Commits. An error is certain: nobody has seen anything of the new process.
    pub(crate) fn commit(&mut self) -> Result<(), UpgradeError> {
        let step = "it was to commit";
        self.say(&UpgradeMessage::Commit, &[], step)?;
        let heard = match self.expect(&UpgradeMessage::Committed, STEP, step) {
            Err(error) => {
                // What it has said before it died is still there to be heard, and then it counts.
                self.kill();
                match self.channel.receive(Duration::ZERO) {
                    Ok((UpgradeMessage::Committed, _)) => Ok(()),
                    _ => Err(error),
                }
            }
            heard => heard,
        };
        self.committed = heard.is_ok();
        heard
    }

    /// Waits until it lets everyone in.
    pub(crate) fn await_serving(&mut self) -> Result<(), UpgradeError> {
        self.expect(&UpgradeMessage::Serving, STEP, "it was to let everyone in")
    }

    fn say(
        &mut self,
        message: &UpgradeMessage,
        descriptors: &[BorrowedFd<'_>],
        step: &'static str,
    ) -> Result<(), UpgradeError> {
        match self.channel.send(message, descriptors, STEP) {
            Ok(()) => Ok(()),
            // It may have said why.
            Err(ChannelError::Gone) => match self.channel.receive(Duration::ZERO) {
                Ok((UpgradeMessage::Failed { reason }, _)) => Err(UpgradeError::Failed(reason)),
                _ => Err(self.silent(&ChannelError::Gone, step)),
            },
            Err(error) => Err(self.silent(&error, step)),
        }
    }

    fn receive(
        &mut self,
        within: Duration,
        step: &'static str,
    ) -> Result<UpgradeMessage, UpgradeError> {
        match self.channel.receive(within) {
            Ok((UpgradeMessage::Failed { reason }, _)) => Err(UpgradeError::Failed(reason)),
            Ok((message, _)) => Ok(message),
            Err(error) => Err(self.silent(&error, step)),
        }
    }

    fn expect(
        &mut self,
        message: &UpgradeMessage,
        within: Duration,
        step: &'static str,
    ) -> Result<(), UpgradeError> {
        let heard = self.receive(within, step)?;
        if heard == *message { Ok(()) } else { Err(UpgradeError::OutOfTurn(step)) }
    }

    fn silent(&mut self, error: &ChannelError, step: &'static str) -> UpgradeError {
        let did = match error {
            ChannelError::Gone => "ended".to_owned(),
            ChannelError::Late(within) => format!("said nothing for {within:?}"),
            error => format!("could not be heard ({error})"),
        };
        self.kill();
        let status = self.child.try_wait().ok().flatten();
        let ended = match status.filter(|_| matches!(error, ChannelError::Gone)) {
            Some(status) => format!(" ({status})"),
            None => String::new(),
        };
        UpgradeError::Silent { did, step, ended }
    }

    /// Nothing of it is left afterwards, unless it is the hub. One that ends by itself has a moment for it, so that
    /// its status tells.
    fn kill(&mut self) {
        const MOMENT: Duration = Duration::from_millis(20);
        if self.committed {
            return;
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(MOMENT);
        }
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // One that has ended needs no killing.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.kill();
    }
}
