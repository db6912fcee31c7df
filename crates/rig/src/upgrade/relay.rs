//! The relay: what the old process and the new one say goes through the rig, which acts at one message.
//!
//! What must hold: it is to both as the kernel would be. What a process said before it died is passed on;
//! what was said to it dies with it; and each hears that the other has gone, after all that it had said.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::fault::{Act, RelayAction};
use super::side::Side;
use super::step::{MAGIC, UpgradeStep};

/// The longest message, in bytes, and the most descriptors with one.
const MAX_BYTES: usize = 4096;
const MAX_DESCRIPTORS: usize = 253;

/// What is to come of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpectedOutcome {
    /// The old process goes on.
    Stays,
    /// The new one does.
    Moves,
    /// There is no hub any more: everyone comes back to the next.
    Crash,
}

/// What went through the relay.
#[derive(Debug, Default, Clone)]
pub struct RelayLog {
    /// What was said, in its order.
    pub said: Vec<UpgradeStep>,
    /// What the rig has killed.
    pub killed: Option<Side>,
    /// The rig did what it was to do.
    pub done: bool,
    announced: u32,
    passed: usize,
}

impl RelayLog {
    /// Whether the new process has said so.
    pub fn has(&self, step: UpgradeStep) -> bool {
        self.said.contains(&step)
    }

    /// Whether the new process has all that the old one had.
    fn has_all(&self) -> bool {
        self.has(UpgradeStep::State) && self.passed == self.announced as usize
    }

    /// What must come of it.
    pub fn due(&self) -> ExpectedOutcome {
        match (self.has(UpgradeStep::Committed), self.killed) {
            (true, Some(Side::New)) => ExpectedOutcome::Crash,
            (true, _) => ExpectedOutcome::Moves,
            (false, Some(Side::Old)) if self.has_all() => ExpectedOutcome::Moves,
            (false, Some(Side::Old)) => ExpectedOutcome::Crash,
            (false, _) => ExpectedOutcome::Stays,
        }
    }
}

/// Where new processes come.
#[derive(Debug)]
pub struct Reception(UnixListener);

/// The ends of a new process's channels.
#[derive(Debug)]
pub struct RelayEnds {
    /// The new process.
    pub new: Pid,
    to_old: OwnedFd,
    to_new: OwnedFd,
    word: UnixStream,
}

impl Reception {
    /// At this path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// The next that has come, if one has.
    pub fn next(&self) -> io::Result<Option<RelayEnds>> {
        let stream = match self.0.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let new = socket_peercred(&stream)?.pid;
        let (_, ends) = receive(&stream)?;
        let ends: Result<[OwnedFd; 2], _> = ends.try_into();
        let [to_old, to_new] = ends.map_err(|_| io::Error::other("two ends were to come"))?;
        Ok(Some(RelayEnds { new, to_old, to_new, word: stream }))
    }
}

/// The next message, and what comes with it. An empty one is the end.
fn receive(from: impl std::os::fd::AsFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MAX_BYTES];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&from, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            // It has died without hearing everything; what it said is still there.
            Err(Errno::INTR | Errno::CONNRESET) => continue,
            Err(error) => return Err(error.into()),
            Ok(received) => {
                let mut descriptors = Vec::new();
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        descriptors.extend(rights);
                    }
                }
                bytes.truncate(received.bytes);
                return Ok((bytes, descriptors));
            }
        }
    }
}

/// Passes a message on; whoever has gone does not hear it.
fn say(to: &OwnedFd, bytes: &[u8], descriptors: &[OwnedFd]) {
    let descriptors: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    // Nobody is left to be told.
    let _ = sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
}

/// Something that is to be done later.
#[derive(Debug, Clone, Copy)]
struct Later {
    at: Instant,
    signal: Signal,
    side: Side,
}

/// What the relay knows and does.
#[derive(Debug)]
struct Relay {
    old: Pid,
    new: Pid,
    action: RelayAction,
    heard: RelayLog,
    later: Vec<Later>,
}

impl RelayEnds {
    /// Lets the new process become the program, under this limit of open files where there is one.
    pub fn begin(&mut self, open_files: Option<u64>) -> io::Result<()> {
        if let Some(limit) = open_files {
            let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
            prlimit(Some(self.new), Resource::Nofile, limit)?;
        }
        self.word.write_all(b"x")
    }

    /// Passes on what the two say until one of them has gone.
    pub fn forward(self, old: Pid, action: RelayAction) -> RelayLog {
        let Self { new, to_old, to_new, word: _word } = self;
        let mut relay = Relay { old, new, action, heard: RelayLog::default(), later: Vec::new() };
        let ends = [to_old, to_new];
        loop {
            relay.act_until(Some(Instant::now()));
            let until = relay.later.iter().map(|later| later.at).min();
            let wait = until.map(|at| at.saturating_duration_since(Instant::now()));
            let wait = wait.map(|wait| Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            });
            let mut polled = ends.each_ref().map(|end| PollFd::new(end, PollFlags::IN));
            if poll(&mut polled, wait.as_ref()).is_err() {
                continue;
            }
            let ready = polled.iter().position(|end| !end.revents().is_empty());
            let Some(from) = ready else { continue };
            match receive(&ends[from]) {
                Ok((bytes, descriptors)) if !bytes.is_empty() => {
                    let side = [Side::Old, Side::New][from];
                    let said = relay.on_bytes(side, bytes, descriptors.len());
                    if let Some(bytes) = said {
                        say(&ends[1 - from], &bytes, &descriptors);
                    }
                    relay.act_after_forwarding();
                }
                // All that it said is passed on: the other hears its end.
                _ => break,
            }
        }
        drop(ends);
        relay.act_until(None);
        relay.heard
    }
}

impl Relay {
    /// Notes a message, does what is to be done at it, and says what is to be passed on of it.
    fn on_bytes(&mut self, from: Side, mut bytes: Vec<u8>, descriptors: usize) -> Option<Vec<u8>> {
        let step = UpgradeStep::of(&bytes)?;
        let first = !self.heard.has(step);
        match step {
            UpgradeStep::State => {
                let count = bytes[MAGIC.len() + 1..].first_chunk().copied().unwrap_or_default();
                self.heard.announced = u32::from_le_bytes(count);
            }
            UpgradeStep::Descriptors => self.heard.passed += descriptors,
            _ => {}
        }
        self.heard.said.push(step);
        if step != self.action.at || self.heard.done || !first {
            return Some(bytes);
        }
        match self.action.act {
            Act::Kill(side, None) => {
                self.heard.done = true;
                self.kill(side);
                // What was said to the dead is heard by nobody.
                (side == from).then_some(bytes)
            }
            Act::Spoil => {
                self.heard.done = true;
                bytes.truncate(MAGIC.len());
                bytes.push(0xff);
                Some(bytes)
            }
            Act::AnotherFormat => {
                self.heard.done = true;
                bytes[MAGIC.len() + 1..][..4].copy_from_slice(&[9, 0, 9, 0]);
                Some(bytes)
            }
            _ => Some(bytes),
        }
    }

    /// Does what is to be done once the message has been passed on.
    fn act_after_forwarding(&mut self) {
        if self.heard.has(UpgradeStep::Prepared) && matches!(self.action.act, Act::LittleMemory(_))
        {
            // Too little from now on would be a crash of the hub, as at any other time.
            let all = Rlimit { current: None, maximum: None };
            let _ = prlimit(Some(self.new), Resource::As, all);
        }
        if !self.heard.has(self.action.at) || self.heard.done {
            return;
        }
        self.heard.done = true;
        let now = Instant::now();
        match self.action.act {
            Act::Kill(side, Some(after)) => {
                self.later.push(Later { at: now + after, signal: Signal::KILL, side });
            }
            Act::Stop(side, time) => {
                self.signal(Later { at: now, signal: Signal::STOP, side });
                self.later.push(Later { at: now + time, signal: Signal::CONT, side });
            }
            Act::LittleMemory(more) => {
                let size = super::node::figure(self.new, "VmSize").unwrap_or(0) * 1024;
                let limit = Rlimit { current: Some(size + more), maximum: None };
                let _ = prlimit(Some(self.new), Resource::As, limit);
            }
            _ => {}
        }
    }

    /// Does what is due by then; all that is left where there is no such time.
    fn act_until(&mut self, until: Option<Instant>) {
        let all = std::mem::take(&mut self.later).into_iter();
        let (due, later) = all.partition(|later| until.is_none_or(|until| later.at <= until));
        self.later = later;
        let due: Vec<Later> = due;
        for later in due {
            match later.signal {
                Signal::KILL => self.kill(later.side),
                _ => self.signal(later),
            }
        }
    }

    fn kill(&mut self, side: Side) {
        self.heard.killed = Some(side);
        self.signal(Later { at: Instant::now(), signal: Signal::KILL, side });
    }

    fn signal(&self, later: Later) {
        let pid = if later.side == Side::Old { self.old } else { self.new };
        // It may have ended.
        let _ = kill_process(pid, later.signal);
    }
}
