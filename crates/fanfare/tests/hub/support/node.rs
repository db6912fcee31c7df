//! A node as a process: the real binary on a free port, killed whatever happens.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::successor::Successor;
use super::{Connection, Response, TEST_TIMEOUT};

/// A running node. Dropping it kills it; where a test failed, what it logged is shown.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// The process that it has handed over to, if it has.
    successor: Option<Successor>,
    address: SocketAddr,
    log: Log,
}

/// One that has not said yet where it serves.
#[derive(Debug)]
pub(super) struct Starting {
    child: Child,
    found: mpsc::Receiver<SocketAddr>,
    log: Log,
    arguments: Vec<String>,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Node {
    /// Begins to start one, under this soft limit of open files if there is one.
    pub(super) fn begin(
        arguments: &[String],
        variables: &[(&str, OsString)],
        soft_limit: Option<u32>,
    ) -> Starting {
        let binary = env!("CARGO_BIN_EXE_fanfare");
        let mut command = match soft_limit {
            None => Command::new(binary),
            Some(files) => {
                let mut shell = Command::new("sh");
                let script = format!(r#"ulimit -Sn {files} && exec "$0" "$@""#);
                shell.args(["-c", &script, binary]);
                shell
            }
        };
        // Only what is given here counts.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FANFARE_") {
                command.env_remove(name);
            }
        }
        if !arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command
            .args(arguments)
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the hub's binary runs");
        let log = Log::default();
        let (say, found) = mpsc::channel();
        drain("out", child.stdout.take().expect("piped"), &log, move |line| {
            if let Some(address) = address_in(line) {
                let _ = say.send(address);
            }
        });
        drain("err", child.stderr.take().expect("piped"), &log, |_| ());
        Starting { child, found, log, arguments: arguments.to_vec() }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.successor.as_ref().map_or_else(|| self.child.id(), Successor::pid)
    }

    /// It has handed over to this process, and is to end.
    pub(crate) fn succeeded_by(&mut self, pid: u32) {
        let begun = Instant::now();
        while self.runs() {
            assert!(begun.elapsed() < TEST_TIMEOUT, "the old process does not end");
            thread::sleep(Duration::from_millis(5));
        }
        self.successor = Some(Successor::new(pid));
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// `GET`, on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Response {
        Connection::open(self.address).request("GET", path, &[], b"")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(successor) = &self.successor {
            return successor.signal(signal);
        }
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the hub runs");
    }

    /// Waits until it says that it is on its way out.
    pub(crate) fn await_drain(&self) {
        let begun = Instant::now();
        while self.get("/readyz").status != 503 {
            assert!(begun.elapsed() < TEST_TIMEOUT, "the hub does not say that it goes");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has exited.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap()
                && !self.runs()
            {
                return status;
            }
            assert!(begun.elapsed() < TEST_TIMEOUT, "the hub does not exit");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        match &self.successor {
            Some(successor) => successor.runs(),
            None => self.child.try_wait().unwrap().is_none(),
        }
    }
}

impl Starting {
    /// Waits until it says where it serves. One that ends because its Redis was slow to answer is begun `again`, as
    /// whatever looks after a node would do.
    pub(super) fn finish(self, again: impl Fn() -> Self) -> Node {
        let begun = Instant::now();
        let mut starting = self;
        loop {
            let Self { mut child, found, log, arguments } = starting;
            if let Ok(address) = found.recv_timeout(TEST_TIMEOUT) {
                return Node { child, successor: None, address, log };
            }
            let _ = child.kill();
            let status = child.wait();
            // What it said last may not have been copied yet.
            while Arc::strong_count(&log) > 1 && begun.elapsed() < TEST_TIMEOUT {
                thread::sleep(Duration::from_millis(5));
            }
            let log = log.lock().unwrap().join("\n");
            assert!(
                log.contains("did not answer within")
                    && !log.contains("panicked")
                    && begun.elapsed() < TEST_TIMEOUT,
                "the hub did not say where it serves\n{arguments:?}\n{status:?}\n{log}"
            );
            starting = again();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(successor) = self.successor.as_ref().filter(|successor| successor.runs()) {
            successor.signal(Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            let tail = &log[log.len().saturating_sub(100)..];
            eprintln!("--- the end of the hub's log ---\n{}\n---", tail.join("\n"));
        }
    }
}

/// Copies a pipe to the log until it closes, so that the hub never blocks on it.
fn drain(
    name: &'static str,
    pipe: impl Read + Send + 'static,
    log: &Log,
    each: impl Fn(&str) + Send + 'static,
) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            each(&line);
            log.lock().unwrap().push(format!("{name}: {line}"));
        }
    });
}

/// The address in a line such as `… http://127.0.0.1:8000/sse/`, or with `https`. A name is one of
/// this machine's.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    let authority = rest.split(['/', ' ']).next()?;
    authority.parse().ok().or_else(|| {
        let (_, port) = authority.rsplit_once(':')?;
        Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into())
    })
}
