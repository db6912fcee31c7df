//! How the new process comes by its end of the pair: as its standard input, which a hub never reads.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::stdio::dup2_stdin;

use crate::channel::Channel;

/// A channel, and the end of it that becomes the new process's standard input.
///
/// # Errors
///
/// The system has no descriptor left.
pub fn pair() -> io::Result<(Channel, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    Ok((Channel::new(ours), theirs))
}

/// The end that this process was started with. Its standard input is empty from then on, so that no program
/// that it starts holds the channel open.
///
/// # Errors
///
/// The system has no descriptor left.
pub fn inherited() -> io::Result<Channel> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&nothing)?;
    Ok(Channel::new(socket))
}
