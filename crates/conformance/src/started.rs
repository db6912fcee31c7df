//! A hub that the suite has started, and will not leave behind. It stays in the suite's process group,
//! so that Ctrl-C reaches both.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::hub::{HubStopSignal, StartCommand};

/// How often it is asked whether something has happened yet.
const POLL: Duration = Duration::from_millis(10);
/// How long one that is no longer needed may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// Where it listens.
const HOST: &[u8] = b"127.0.0.1";
/// How much of what it wrote is quoted where it does not start.
const QUOTED_OUTPUT: usize = 600;

/// A running hub: its process, its ports, and a directory for what it keeps.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) url: String,
    ports: [String; 3],
    directory: TempDir,
    child: Child,
    stop: HubStopSignal,
}

impl Started {
    pub(crate) fn start(start: &StartCommand) -> Result<Self, String> {
        let directory =
            TempDir::new().map_err(|error| format!("no temporary directory: {error}"))?;
        let ports = free_ports().map_err(|error| format!("no free port: {error}"))?;
        let child = spawn(start, &ports, &directory)?;
        let url = filled(&start.url, &ports, &directory);
        Ok(Self { url, ports, directory, child, stop: start.stop })
    }

    /// What `{port}` and the like stand for.
    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        match name {
            "host" => Some(HOST),
            "port" => Some(self.ports[0].as_bytes()),
            "port2" => Some(self.ports[1].as_bytes()),
            "port3" => Some(self.ports[2].as_bytes()),
            _ => None,
        }
    }

    /// Starts it again with the same ports and the same directory; it must have stopped.
    pub(crate) fn start_again(&mut self, start: &StartCommand) -> Result<(), String> {
        self.child = spawn(start, &self.ports, &self.directory)?;
        Ok(())
    }

    /// Tells it to stop.
    pub(crate) fn ask_to_stop(&self) {
        let signal = match self.stop {
            HubStopSignal::Term => Signal::TERM,
            HubStopSignal::Quit => Signal::QUIT,
            HubStopSignal::Int => Signal::INT,
        };
        // One that has gone already need not be told.
        let _ = self.pid().map(|pid| kill_process(pid, signal));
    }

    /// How it ended, if it has by the deadline.
    pub(crate) fn ended(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks `ready` until it says yes, the process ends, or the time is over.
    pub(crate) fn wait_until(
        &mut self,
        within: Duration,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + within;
        loop {
            if ready(self) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the hub ended with {status}: {}", self.output_tail()));
            }
            if Instant::now() >= deadline {
                return Err(format!("the hub did not answer in time: {}", self.output_tail()));
            }
            std::thread::sleep(POLL);
        }
    }

    fn output_tail(&self) -> String {
        let written = std::fs::read(self.directory.path().join("output")).unwrap_or_default();
        let from = written.len().saturating_sub(QUOTED_OUTPUT);
        String::from_utf8_lossy(&written[from..]).trim().to_owned()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Started {
    /// Asks first: what has processes of its own ends them too.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.ask_to_stop();
            if self.ended(Instant::now() + GRACE).is_none() {
                // One that has gone meanwhile need not be killed.
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn spawn(start: &StartCommand, ports: &[String; 3], directory: &TempDir) -> Result<Child, String> {
    let words: Vec<String> =
        start.command.iter().map(|word| filled(word, ports, directory)).collect();
    let (program, arguments) = words.split_first().ok_or("no program to start")?;
    let output = File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("output"))
        .map_err(|error| format!("cannot keep what the hub writes: {error}"))?;
    let errors = output.try_clone().map_err(|error| format!("cannot keep errors: {error}"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors);
    if let Some(working) = &start.directory {
        command.current_dir(working);
    }
    command.spawn().map_err(|error| format!("cannot start {program:?}: {error}"))
}

fn filled(text: &crate::template::Template, ports: &[String; 3], directory: &TempDir) -> String {
    let path = directory.path().to_string_lossy();
    let bytes = text.fill(|name| match name {
        "host" => Some(HOST),
        "port" => Some(ports[0].as_bytes()),
        "port2" => Some(ports[1].as_bytes()),
        "port3" => Some(ports[2].as_bytes()),
        "dir" => Some(path.as_bytes()),
        _ => None,
    });
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Free a moment ago: the hub cannot be told to take any port and say which.
fn free_ports() -> std::io::Result<[String; 3]> {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [const { String::new() }; 3];
    for (port, listener) in ports.iter_mut().zip(held) {
        *port = listener?.local_addr()?.port().to_string();
    }
    Ok(ports)
}
