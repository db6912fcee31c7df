//! The channel: one end of the pair of sockets between the old process and the new one.
//!
//! What must hold: no wait is longer than its deadline, descriptors that arrive are closed on exec, and a
//! message whose descriptors did not all arrive is an error.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::codec::Malformed;
use crate::message::UpgradeMessage;

/// The most descriptors that Linux takes with one message.
pub const MAX_DESCRIPTORS: usize = 253;
/// How many messages of descriptors may be on their way, unanswered: what is on its way counts against the
/// limit of open files.
pub const IN_FLIGHT: usize = 4;

/// One end.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Why a message could not be received, or sent.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// It has closed its end, or has ended.
    #[error("the other process has gone")]
    Gone,
    /// It sent nothing, or took nothing, for so long.
    #[error("the other process did not answer within {0:?}")]
    Late(Duration),
    /// It sent something that is not a message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Descriptors were lost on the way: this process may have no more.
    #[error("descriptors were lost on the way: too many files are open")]
    Lost,
    /// The system refused.
    #[error("the other process cannot be reached: {0}")]
    Io(#[from] io::Error),
}

impl Channel {
    /// Over this socket, which keeps the bounds of messages.
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends a message, with descriptors beside it.
    ///
    /// # Errors
    ///
    /// See [`ChannelError`].
    pub fn send(
        &self,
        message: &UpgradeMessage,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Result<(), ChannelError> {
        debug_assert!(descriptors.len() <= MAX_DESCRIPTORS, "more than a message takes");
        let bytes = message.encode();
        let deadline = Instant::now() + within;
        loop {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty()
                && !control.push(SendAncillaryMessage::ScmRights(descriptors))
            {
                return Err(io::Error::from(Errno::TOOMANYREFS).into());
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline, within)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Gone),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    /// Receives the next message, and the descriptors beside it.
    ///
    /// # Errors
    ///
    /// See [`ChannelError`].
    pub fn receive(
        &self,
        within: Duration,
    ) -> Result<(UpgradeMessage, Vec<OwnedFd>), ChannelError> {
        let deadline = Instant::now() + within;
        let mut bytes = [0; UpgradeMessage::MAX_BYTES];
        loop {
            self.wait(PollFlags::IN, deadline, within)?;
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let mut into = [IoSliceMut::new(&mut bytes)];
            let received = match recvmsg(&self.0, &mut into, &mut control, flags) {
                Ok(received) => received,
                // The other has gone without reading everything. What it sent is still there, and then its end.
                Err(Errno::INTR | Errno::AGAIN | Errno::CONNRESET) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            if received.bytes == 0 {
                return Err(ChannelError::Gone);
            }
            if received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(ChannelError::Lost);
            }
            if received.flags.contains(ReturnFlags::TRUNC) {
                return Err(Malformed("a message is too long").into());
            }
            let message = UpgradeMessage::decode(&bytes[..received.bytes])?;
            return match message {
                UpgradeMessage::Descriptors { count } if count as usize != descriptors.len() => {
                    Err(ChannelError::Lost)
                }
                message => Ok((message, descriptors)),
            };
        }
    }

    fn wait(&self, what: PollFlags, until: Instant, within: Duration) -> Result<(), ChannelError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            match poll(&mut [PollFd::new(&self.0, what)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Err(ChannelError::Late(within)),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inherited::pair;

    #[test]
    fn what_the_dead_have_sent_is_read() {
        const MOMENT: Duration = Duration::from_secs(1);
        let (living, dead) = pair().unwrap();
        let dead = Channel::new(dead);
        dead.send(&UpgradeMessage::Committed, &[], MOMENT).unwrap();
        living.send(&UpgradeMessage::Commit, &[], MOMENT).unwrap();
        drop(dead);
        assert_eq!(living.receive(MOMENT).unwrap().0, UpgradeMessage::Committed);
        assert!(matches!(living.receive(MOMENT), Err(ChannelError::Gone)));
    }
}
