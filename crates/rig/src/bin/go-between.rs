//! What a hub starts in place of its new program: it gives the rig both ends of a channel, and becomes the
//! program. So the rig hears what the two processes say, and no hub has to be built otherwise for it.
//!
//! What must hold: to the hub it is the new process, and to the program its parent is the old one.

use std::convert::Infallible;
use std::env;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use fanfare_rig::upgrade::{PROGRAM, RIG};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

fn main() -> ExitCode {
    let Err(error) = exec_program();
    eprintln!("the go-between: {error}");
    ExitCode::FAILURE
}

fn exec_program() -> io::Result<Infallible> {
    let named = |name| env::var_os(name).ok_or_else(|| io::Error::other(format!("no {name}")));
    let (rig, program) = (named(RIG)?, named(PROGRAM)?);
    let flags = SocketFlags::CLOEXEC;
    let (to_new, its_own) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let mut rig = UnixStream::connect(rig)?;
    let old = io::stdin();
    let ends = [old.as_fd(), to_new.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&ends));
    sendmsg(&rig, &[IoSlice::new(b"x")], &mut control, SendFlags::NOSIGNAL)?;
    // The rig may want to do something to this process before it is the program, or never answer.
    rig.read_exact(&mut [0])?;
    Err(Command::new(program).args(env::args_os().skip(1)).stdin(its_own).exec())
}
