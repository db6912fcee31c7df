//! How the new process learns that it is to take a hub's place, and comes by its end of the pair: by a variable in its
//! environment, and as its standard input, which a hub never reads.
//!
//! What must hold: the variable names the parent, so that a process that inherited it from further away does not take
//! itself for the new one.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, getppid};
use rustix::stdio::dup2_stdin;

use crate::channel::Channel;

/// The variable that names the process to be replaced, by its process id. Every version uses this name.
const VARIABLE: &str = "FANFARE_SUCCEEDS";

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

/// Has `command` start a process that is to replace this one, with this end of the pair.
pub fn announce(command: &mut Command, theirs: OwnedFd) -> &mut Command {
    command.env(VARIABLE, std::process::id().to_string()).stdin(Stdio::from(theirs))
}

/// The parent of this process, if it has started this one to replace it.
pub fn announced_by_parent() -> Option<Pid> {
    let named: i32 = std::env::var(VARIABLE).ok()?.parse().ok()?;
    getppid().filter(|parent| parent.as_raw_nonzero().get() == named)
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
