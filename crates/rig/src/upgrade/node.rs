//! A node of a hub that changes hands: an address, and whatever process serves there now.
//!
//! What must hold: every process that was ever the node, or was to be, is known, so that at the end the rig
//! can say that one is left; and none outlives the rig's.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{PROGRAM, RIG};
use crate::process::free_address;

/// How long a process may take to serve, or to end.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A node.
#[derive(Debug)]
pub struct UpgradingNode {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    reception: PathBuf,
    log: PathBuf,
    address: SocketAddr,
    /// The process that is the hub.
    pub pid: Pid,
    /// Those that were, or were to be.
    former: Vec<Pid>,
}

impl UpgradingNode {
    /// Starts one.
    pub fn start(
        name: &str,
        program: &Path,
        mut arguments: Vec<String>,
        reception: &Path,
        place: &Path,
    ) -> io::Result<Self> {
        let address = free_address();
        arguments.extend(["--listen".to_owned(), address.to_string()]);
        let mut node = Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            reception: reception.to_owned(),
            log: place.join(format!("{name}.log")),
            address,
            pid: Pid::INIT,
            former: Vec::new(),
        };
        node.restart()?;
        Ok(node)
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a process where there is none, and waits until it serves.
    pub fn restart(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
            let mut command = Command::new(&self.program);
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("FANFARE_") {
                    command.env_remove(name);
                }
            }
            let child = command
                .args(&self.arguments)
                .env(RIG, &self.reception)
                .env(PROGRAM, &self.program)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()?;
            self.adopt(Pid::from_child(&child));
            while is_alive(self.pid) && begun.elapsed() < TIMEOUT {
                if self.answers() {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(5));
            }
            if begun.elapsed() >= TIMEOUT {
                let told = format!("{} does not serve:\n{}", self.name, self.logged());
                return Err(io::Error::other(told));
            }
            // What was there before may still be ending.
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Another process is the node.
    pub fn adopt(&mut self, pid: Pid) {
        if self.pid != Pid::INIT {
            self.former.push(self.pid);
        }
        self.pid = pid;
    }

    /// A process was to be the node, and is not.
    pub fn forget_process(&mut self, pid: Pid) {
        self.former.push(pid);
    }

    /// Those that are alive and should not be.
    pub fn leftovers(&mut self) -> Vec<Pid> {
        // A number may be another process's by now, which knows nothing of this place.
        let place = self.log.parent().map_or_else(PathBuf::new, Path::to_owned);
        let is_own = |pid: &Pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&*place.to_string_lossy())
        };
        self.former.retain(|pid| is_alive(*pid) && is_own(pid));
        self.former.clone()
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        self.get("/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 "))
    }

    /// The whole answer to a request.
    pub fn get(&self, path: &str) -> io::Result<String> {
        let timeout = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&self.address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        // A hub that changes hands answers a moment later.
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The sum of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").ok()?;
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        let values = samples
            .filter(|(key, _)| key.split('{').next() == Some(name))
            .filter_map(|(_, value)| value.trim().parse::<f64>().ok());
        Some(values.sum())
    }

    /// How many files it has open.
    pub fn open_files(&self) -> usize {
        open_files(self.pid)
    }

    /// How much memory it has, in KiB.
    pub fn memory(&self) -> u64 {
        figure(self.pid, "VmRSS").unwrap_or(0)
    }

    /// The end of what it logged.
    pub fn logged(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(6000)..]).into_owned()
    }
}

impl Drop for UpgradingNode {
    fn drop(&mut self) {
        self.former.push(self.pid);
        for pid in self.leftovers() {
            // It may end by itself.
            let _ = kill_process(pid, Signal::KILL);
            let begun = Instant::now();
            while is_alive(pid) && begun.elapsed() < TIMEOUT {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// Whether a process of the rig's, or one that a process of the rig's has started, runs.
pub fn is_alive(pid: Pid) -> bool {
    if pid == Pid::INIT {
        return false;
    }
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(waited) => waited.is_none(),
        // It is another's child still.
        Err(_) => {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = status.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
        }
    }
}

/// How many files a process has open.
pub fn open_files(pid: Pid) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// A figure of the kernel's about a process.
pub fn figure(pid: Pid, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
