//! The process that a hub has handed over to, which is nobody's child here.
//!
//! What must hold: a signal reaches this process or none, also where its number belongs to another by now.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

#[derive(Debug)]
pub(super) struct Successor {
    pid: u32,
    /// `None` where it had ended already.
    process: Option<OwnedFd>,
}

impl Successor {
    pub(super) fn new(pid: u32) -> Self {
        let named = Pid::from_raw(pid.cast_signed()).expect("a process has an id");
        Self { pid, process: pidfd_open(named, PidfdFlags::empty()).ok() }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // It may end just now.
            let _ = pidfd_send_signal(process, signal);
        }
    }

    pub(super) fn runs(&self) -> bool {
        let Some(process) = &self.process else { return false };
        // It can be read once it has ended, whether or not anyone has waited for it.
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        poll(&mut ended, Some(&Timespec::default())).is_ok_and(|ready| ready == 0)
    }
}
