//! The successor: the new process, as the old one has it.
//!
//! What must hold: it is either committed or dead. Where it is dropped before its commitment, it is killed, and waited
//! for.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fanfare_handover::{
    Channel, ChannelError, FORMATS, IN_FLIGHT, MAX_DESCRIPTORS, StateFile, UpgradeMessage,
    announce, pair,
};
use rustix::net::{Shutdown, shutdown};

use super::deadlines::{HELLO, READY, STEP};
use super::format::Format;
use super::upgrade_error::{Expected, UpgradeError};

/// Closes the channel to a new process from another thread, which ends every wait for its answers: it then counts as
/// ended. A commitment that it has sent by then counts all the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpgradeAbort(Arc<Mutex<UpgradeAbortState>>);

#[derive(Debug, Default)]
struct UpgradeAbortState {
    broken: bool,
    channel: Option<OwnedFd>,
}

impl UpgradeAbort {
    /// Nothing is sent or received from now on.
    pub(crate) fn break_off(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.broken = true;
        if let Some(channel) = state.channel.take() {
            break_off(channel.as_fd());
        }
    }

    fn watch(&self, channel: &Channel) -> io::Result<()> {
        let channel = channel.as_fd().try_clone_to_owned()?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.broken {
            true => break_off(channel.as_fd()),
            false => state.channel = Some(channel),
        }
        Ok(())
    }
}

/// Closes a channel for both sides. What was sent before can still be received.
fn break_off(channel: BorrowedFd<'_>) {
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
    pub(super) version: String,
    /// In which format it is handed everything.
    pub(super) format: Format,
    committed: bool,
    /// Its commitment came when it was no longer waited for: nothing more can be received.
    was_late: bool,
}

impl Successor {
    /// Starts `program` with this process's own arguments, gives it the listening sockets and what is written
    /// `ahead`, and waits until its settings are good. Blocks, while everyone is served.
    pub(super) fn start(
        program: &Path,
        listening: &[OwnedFd],
        ahead: impl FnOnce() -> io::Result<StateFile>,
        abort: &UpgradeAbort,
    ) -> Result<Self, UpgradeError> {
        let (channel, theirs) = pair()?;
        abort.watch(&channel)?;
        // The command holds the other end, and is gone with this line: the channel closes when the process ends.
        let child = announce(Command::new(program).args(std::env::args_os().skip(1)), theirs)
            .spawn()
            .map_err(|source| UpgradeError::Start { path: program.to_owned(), source })?;
        // Until it says what it is.
        let (version, format) = (String::new(), Format::OLDEST);
        let mut new = Self { channel, child, version, format, committed: false, was_late: false };
        let UpgradeMessage::Hello { formats, version } = new.receive(HELLO, Expected::Formats)?
        else {
            return Err(UpgradeError::OutOfTurn { expected: Expected::Formats });
        };
        let unknown = UpgradeError::Format { theirs: formats, ours: FORMATS };
        (new.version, new.format) = (version, Format::common(formats).ok_or(unknown)?);
        let ahead = new.format.has_log_ahead().then(ahead).transpose()?;
        let mut sockets: Vec<_> = listening.iter().map(OwnedFd::as_fd).collect();
        if let Some(ahead) = &ahead {
            sockets.insert(1, ahead.as_fd());
        }
        let offer = UpgradeMessage::Offer { format: new.format.number() };
        new.send(&offer, &sockets, Expected::Readiness)?;
        new.expect(&UpgradeMessage::Ready, READY, Expected::Readiness)?;
        Ok(new)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it the state and these descriptors, in their order, and waits until it has made a hub of them.
    pub(super) fn hand_over(
        &mut self,
        state_file: &StateFile,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), UpgradeError> {
        const RECEIPT: Expected = Expected::Receipt;
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
        self.send(&UpgradeMessage::State { descriptors: count }, &[state_file.as_fd()], RECEIPT)?;
        let mut on_the_way = 0;
        for batch in descriptors.chunks(MAX_DESCRIPTORS) {
            if on_the_way == IN_FLIGHT {
                self.expect(&UpgradeMessage::Received, STEP, RECEIPT)?;
                on_the_way -= 1;
            }
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            self.send(&UpgradeMessage::Descriptors { count }, batch, RECEIPT)?;
            on_the_way += 1;
        }
        for _ in 0..on_the_way {
            self.expect(&UpgradeMessage::Received, STEP, RECEIPT)?;
        }
        self.expect(&UpgradeMessage::Prepared, STEP, Expected::Preparedness)
    }

    /// Has it commit. An error is certain: the new process has done nothing that others could see.
    pub(super) fn commit(&mut self) -> Result<(), UpgradeError> {
        self.commit_within(STEP)
    }

    fn commit_within(&mut self, within: Duration) -> Result<(), UpgradeError> {
        const EXPECTED: Expected = Expected::Commitment;
        self.send(&UpgradeMessage::Commit, &[], EXPECTED)?;
        let answer = self.channel.receive(within).or_else(|error| {
            // The channel decides. From here on the new process cannot commit any more; if it has by now, that is
            // still there to be received, and counts: to kill it first would leave no hub at all.
            break_off(self.channel.as_fd());
            self.was_late = true;
            self.channel.receive(Duration::ZERO).map_err(|_| error)
        });
        match answer {
            Ok((UpgradeMessage::Committed, _)) => {
                self.committed = true;
                Ok(())
            }
            Ok((UpgradeMessage::Failed { reason }, _)) => Err(UpgradeError::Failed(reason)),
            Ok(_) => Err(UpgradeError::OutOfTurn { expected: EXPECTED }),
            Err(error) => Err(self.silence(error, EXPECTED)),
        }
    }

    /// Waits until it lets everyone in.
    pub(super) fn await_serving(&mut self) -> Result<(), UpgradeError> {
        if self.was_late {
            // It is the hub, and cannot say so: the channel is closed. Whether it lives can be seen.
            return match self.child.try_wait() {
                Ok(Some(status)) => {
                    let (expected, status) = (Expected::Service, Some(status));
                    Err(UpgradeError::Ended { expected, status })
                }
                _ => Ok(()),
            };
        }
        self.expect(&UpgradeMessage::Serving, STEP, Expected::Service)
    }

    /// Sends a message that is to be answered by what is `expected`.
    fn send(
        &mut self,
        message: &UpgradeMessage,
        descriptors: &[BorrowedFd<'_>],
        expected: Expected,
    ) -> Result<(), UpgradeError> {
        match self.channel.send(message, descriptors, STEP) {
            Ok(()) => Ok(()),
            // It may have said why.
            Err(ChannelError::Gone) => match self.channel.receive(Duration::ZERO) {
                Ok((UpgradeMessage::Failed { reason }, _)) => Err(UpgradeError::Failed(reason)),
                _ => Err(self.silence(ChannelError::Gone, expected)),
            },
            Err(error) => Err(self.silence(error, expected)),
        }
    }

    fn receive(
        &mut self,
        within: Duration,
        expected: Expected,
    ) -> Result<UpgradeMessage, UpgradeError> {
        match self.channel.receive(within) {
            Ok((UpgradeMessage::Failed { reason }, _)) => Err(UpgradeError::Failed(reason)),
            Ok((message, _)) => Ok(message),
            Err(error) => Err(self.silence(error, expected)),
        }
    }

    /// Waits for this message, and for no other.
    fn expect(
        &mut self,
        message: &UpgradeMessage,
        within: Duration,
        expected: Expected,
    ) -> Result<(), UpgradeError> {
        let received = self.receive(within, expected)?;
        if received == *message { Ok(()) } else { Err(UpgradeError::OutOfTurn { expected }) }
    }

    /// What came instead of what was `expected`. Kills it, unless it is the hub.
    fn silence(&mut self, error: ChannelError, expected: Expected) -> UpgradeError {
        self.kill();
        match error {
            ChannelError::Gone => {
                UpgradeError::Ended { expected, status: self.child.try_wait().ok().flatten() }
            }
            ChannelError::Late(within) => UpgradeError::Silent { expected, within },
            source => UpgradeError::Unheard { expected, source },
        }
    }

    /// Ends it, and waits for its end, unless it is the hub. A process that is about to end by itself has a moment for
    /// it, so that its own exit status is reported.
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn one_of_two_processes_goes_on_however_late_the_new_one_commits() {
        let within = Duration::from_millis(100);
        for delay in (80..140).step_by(4).map(Duration::from_millis) {
            let (channel, theirs) = pair().unwrap();
            let theirs = Channel::new(theirs);
            let child = Command::new("sleep").arg("60").spawn().unwrap();
            let (version, format) = (String::new(), Format::OLDEST);
            let mut new =
                Successor { channel, child, version, format, committed: false, was_late: false };
            let commits = thread::spawn(move || {
                theirs.receive(STEP).unwrap();
                thread::sleep(delay);
                (theirs.send(&UpgradeMessage::Committed, &[], STEP).is_ok(), theirs)
            });
            let is_committed = new.commit_within(within).is_ok();
            let (was_sent, _theirs) = commits.join().unwrap();
            assert_eq!(was_sent, is_committed, "both have to know the same, {delay:?}");
            let lives = new.child.try_wait().unwrap().is_none();
            assert_eq!(lives, is_committed, "the hub lives, and nobody else, {delay:?}");
            new.child.kill().unwrap();
            new.child.wait().unwrap();
        }
    }
}
