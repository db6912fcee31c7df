//! One upgrade: it is asked for, the fault happens, and what comes of it is held against what is due.
//!
//! What must hold: it is seen to its end before the next begins: one process is the node and serves, or none is
//! and the rig starts another.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::fault::UpgradeFault;
use super::node::{is_alive, open_files};
use super::relay::{ExpectedOutcome, RelayEnds, RelayLog};
use super::round::{SETTINGS, UpgradeRig};
use crate::engine::HubEngine;
use crate::ledger::{Outage, OutageScope, Wrong};

/// How long an upgrade may take, with everything that may stand still in it.
const UPGRADES: Duration = Duration::from_secs(90);
/// How long the process that is no hub any more may take to end.
const RETIRES: Duration = Duration::from_secs(30);

impl UpgradeRig<'_> {
    /// Asks for an upgrade, lets the fault happen, and sees what comes of it.
    pub(super) fn upgrade(
        &mut self,
        n: usize,
        fault: UpgradeFault,
        random: &mut fastrand::Rng,
    ) -> io::Result<(ExpectedOutcome, RelayLog)> {
        let old = self.nodes[n].pid;
        let from = self.ledger.now();
        let cleanup = self.prepare(n, fault)?;
        let program = match fault {
            UpgradeFault::Missing => PathBuf::from("/nowhere/fanfare"),
            UpgradeFault::NotExecutable => self.file("not-executable", 0o644, b"#!/bin/sh\n")?,
            UpgradeFault::AnotherMachine => {
                self.file("another-machine", 0o755, &another_machine())?
            }
            UpgradeFault::NoHub => PathBuf::from("/bin/false"),
            _ => self.plan.go_between.clone(),
        };
        let mut client = Command::new(&self.plan.program)
            .args(["upgrade", "--pid", &old.as_raw_pid().to_string(), "--binary"])
            .arg(&program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let begun = Instant::now();
        let mut ends: Option<RelayEnds> = None;
        let mut gives_up_after = match fault {
            UpgradeFault::ClientKilled(after) => Some(after),
            _ => None,
        };
        let mut relay = None;
        let mut new = None;
        // Until whoever asked has its answer, and nothing more is said.
        let heard = loop {
            if ends.is_none() && relay.is_none() {
                ends = self.reception.next()?;
                new = new.or(ends.as_ref().map(|ends| ends.new));
            }
            if fault != UpgradeFault::SilentProcess
                && let Some(mut ends) = ends.take()
            {
                let files = match fault {
                    UpgradeFault::FewFilesThere(part) => Some(open_files(old) as u64 * part / 1000),
                    _ => None,
                };
                // It may have been killed meanwhile.
                let _ = ends.begin(files);
                let action = fault.action();
                relay = Some(thread::spawn(move || ends.forward(old, action)));
            }
            // What was asked is under way.
            if relay.is_some() && gives_up_after.is_some_and(|after| begun.elapsed() >= after) {
                gives_up_after = None;
                // It may have its answer.
                let _ = client.kill();
            }
            let answered = client.try_wait()?.is_some();
            if answered && relay.as_ref().is_none_or(thread::JoinHandle::is_finished) {
                let heard = relay.map(|relay| relay.join().expect("a relay does not panic"));
                break heard.unwrap_or_default();
            }
            if begun.elapsed() > UPGRADES {
                let told = format!("an upgrade did not end: {fault}\n{}", self.nodes[n].logged());
                return Err(io::Error::other(told));
            }
            thread::sleep(Duration::from_millis(2));
        };
        drop(ends);
        cleanup.run();
        let output = client.wait_with_output()?;
        let outcome = self.settle(n, new, from);
        self.judge_outcome(n, fault, &heard, outcome, &output);
        if outcome == ExpectedOutcome::Crash {
            let forgets = self.plan.engine == HubEngine::Memory;
            if forgets {
                self.ledger.forgets.store(true, Ordering::Relaxed);
                self.ledger.forgets_keys.store(true, Ordering::Relaxed);
            }
            // As a supervisor would, a moment later.
            thread::sleep(Duration::from_millis(random.u64(..300)));
            self.nodes[n].restart()?;
        }
        let scope = match (outcome, heard.killed) {
            (ExpectedOutcome::Stays, _) => None,
            (ExpectedOutcome::Crash, _) => Some(OutageScope::Everything),
            (ExpectedOutcome::Moves, Some(_)) => Some(OutageScope::Requests),
            (ExpectedOutcome::Moves, None) => Some(OutageScope::Beginnings),
        };
        if let Some(scope) = scope {
            self.ledger.outage(Outage { node: n, scope, from, to: self.ledger.now() });
        }
        Ok((outcome, heard))
    }

    /// Waits until one process is the node and serves, or none.
    fn settle(&mut self, n: usize, new: Option<Pid>, from: u64) -> ExpectedOutcome {
        let old = self.nodes[n].pid;
        let begun = Instant::now();
        loop {
            let late = begun.elapsed() > RETIRES;
            let outcome = match (is_alive(old), new.filter(|new| is_alive(*new))) {
                (true, None) if self.nodes[n].answers() || late => ExpectedOutcome::Stays,
                // What was the hub may still be ending, or what is to be it beginning.
                (false, Some(_)) if self.nodes[n].answers() || late => ExpectedOutcome::Moves,
                (false, None) => ExpectedOutcome::Crash,
                (true, Some(_)) if late => {
                    let logged = self.nodes[n].logged();
                    let told = || format!("node {n} is two processes since {from} ms:\n{logged}");
                    self.ledger.wrong(Wrong::Leftover, 1, told);
                    ExpectedOutcome::Moves
                }
                _ => {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                }
            };
            match (outcome, new) {
                (ExpectedOutcome::Moves, Some(new)) => self.nodes[n].adopt(new),
                (_, Some(new)) => self.nodes[n].forget_process(new),
                (_, None) => {}
            }
            return outcome;
        }
    }

    fn judge_outcome(
        &mut self,
        n: usize,
        fault: UpgradeFault,
        heard: &RelayLog,
        outcome: ExpectedOutcome,
        output: &Output,
    ) {
        let said = String::from_utf8_lossy(&output.stdout);
        let refused = String::from_utf8_lossy(&output.stderr);
        let due = heard.due();
        let well = output.status.success();
        let told_so = match outcome {
            ExpectedOutcome::Stays => !well && refused.contains("the hub goes on as before"),
            ExpectedOutcome::Moves => well,
            ExpectedOutcome::Crash => true,
        };
        if outcome != due || !(told_so || fault.may_lose_report()) {
            let logged = self.nodes[n].logged();
            self.ledger.wrong(Wrong::Outcome, 1, || {
                format!(
                    "node {n}, {fault}: {outcome:?}, not {due:?}; {heard:?}; whoever asked was told, \
                     with {}: {said}{refused}\n{logged}",
                    output.status
                )
            });
        }
        if let Some((_, rest)) = said.split_once(" for ")
            && let Some((millis, _)) = rest.split_once(" ms")
            && let Ok(millis) = millis.parse::<f64>()
        {
            self.report.pauses.push(millis);
        }
    }

    /// A file with this content.
    fn file(&self, name: &str, mode: u32, content: &[u8]) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.place.join(name);
        if !path.exists() {
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        Ok(path)
    }

    /// What is to be so before the upgrade is asked for, and after it no more.
    fn prepare(&self, n: usize, fault: UpgradeFault) -> io::Result<Cleanup> {
        match fault {
            UpgradeFault::WrongSettings => {
                let path = self.place.join(format!("node-{n}.toml"));
                fs::write(&path, "heartbeat = \"soon\"\n")?;
                Ok(Cleanup::Settings(path))
            }
            UpgradeFault::FewFilesHere(more) => {
                let pid = self.nodes[n].pid;
                let few = open_files(pid) as u64 + more;
                let maximum = getrlimit(Resource::Nofile).maximum;
                let limit = Rlimit { current: Some(few), maximum };
                let before = prlimit(Some(pid), Resource::Nofile, limit)?;
                Ok(Cleanup::OpenFiles(pid, before))
            }
            _ => Ok(Cleanup::Nothing),
        }
    }
}

/// What is to be put back after an upgrade.
enum Cleanup {
    Nothing,
    Settings(PathBuf),
    OpenFiles(Pid, Rlimit),
}

impl Cleanup {
    fn run(self) {
        match self {
            Self::Nothing => {}
            Self::Settings(path) => {
                fs::write(path, SETTINGS).expect("the rig may write to its own files");
            }
            // The process may have ended.
            Self::OpenFiles(pid, limit) => {
                let _ = prlimit(Some(pid), Resource::Nofile, limit);
            }
        }
    }
}

/// The beginning of a program for a machine that this is not.
fn another_machine() -> Vec<u8> {
    let own = std::env::current_exe().and_then(fs::read).unwrap_or_default();
    let mut bytes = own[..own.len().min(4096)].to_vec();
    // The machine's number in an ELF file.
    if let Some(machine) = bytes.get_mut(18..20) {
        machine.copy_from_slice(&[0xf3, 0x7f]);
    }
    bytes
}
