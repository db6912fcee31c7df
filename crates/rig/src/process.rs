//! A process that the rig starts, stops and kills: its output in a file, its disk and clock under
//! the rig's control.
//!
//! What must hold: it ends with the rig. The preload library sees to that, which asks for the
//! process's end at the end of the thread that started it; so what starts one stays.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::preload::Control;

/// How long a process may take to serve.
const COMES_UP: Duration = Duration::from_secs(30);

/// What a hub answers to, with whatever status.
const HUB: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A process, or one that could be.
#[derive(Debug)]
pub struct HubProcess {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    address: SocketAddr,
    probe: &'static [u8],
    /// What its disk and clock do.
    pub control: Control,
    child: Option<Child>,
    served: bool,
}

impl HubProcess {
    /// One that will serve at `address` and whose files are in `directory`.
    pub fn new(
        name: &str,
        program: &Path,
        arguments: Vec<String>,
        address: SocketAddr,
        place: &Path,
        directory: &Path,
    ) -> io::Result<Self> {
        let control = Control::new(&place.join(format!("{name}.control")), directory)?;
        Ok(Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments,
            log: place.join(format!("{name}.log")),
            address,
            probe: HUB,
            control,
            child: None,
            served: false,
        })
    }

    /// It is no hub; this is what it answers to.
    pub fn probed_by(mut self, probe: &'static [u8]) -> Self {
        self.probe = probe;
        self
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it and waits until it accepts connections; `Err` says why it does not.
    pub fn start(&mut self) -> Result<(), String> {
        self.kill();
        let told = |error: io::Error| error.to_string();
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(told)?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FANFARE_") {
                command.env_remove(name);
            }
        }
        self.served = false;
        self.control.preload(&mut command);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(told)?)
            .stderr(log);
        self.child = Some(command.spawn().map_err(|error| format!("{}: {error}", self.name))?);
        let begun = Instant::now();
        while !self.answers() {
            if let Some(status) = self.ended() {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.logged()));
            }
            if begun.elapsed() > COMES_UP {
                return Err(format!("{} does not serve:\n{}", self.name, self.logged()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.served = true;
        Ok(())
    }

    /// Whether it serves. A hub may accept connections before it has opened its log.
    fn answers(&self) -> bool {
        let timeout = Duration::from_secs(1);
        let answer = || -> io::Result<u8> {
            let mut stream = TcpStream::connect_timeout(&self.address, timeout)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.write_all(self.probe)?;
            let mut first = [0];
            stream.read_exact(&mut first)?;
            Ok(first[0])
        };
        matches!(answer(), Ok(b'H' | b'+'))
    }

    /// Whether it came as far as serving.
    pub fn served(&self) -> bool {
        self.served
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Whether it was started and not killed.
    pub fn is_meant_to_run(&self) -> bool {
        self.child.is_some()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// Asks it to end, and waits for so long; then it is killed.
    pub fn terminate(&mut self, timeout: Duration) {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while self.child.is_some() && self.ended().is_none() && begun.elapsed() < timeout {
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }

    /// The end of what it logged.
    pub fn logged(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free, and that no connection or listener elsewhere is given by chance: not one
/// of those that Linux gives out unasked.
pub fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(10_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
