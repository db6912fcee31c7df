//! The hub as a process: the real binary on a free port, stopped whatever happens.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustls::ClientConfig;

use super::profile::Profile;
use super::{Connection, Metrics, PATIENCE, Publisher, Response, Subscriber, Subscription};

/// A running hub. Dropping it kills it; where a test failed, what it logged is shown.
#[derive(Debug)]
pub(crate) struct Hub {
    child: Child,
    address: SocketAddr,
    log: Log,
    _profile: Profile,
}

/// How to start one.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    arguments: Vec<String>,
    soft_limit: Option<u32>,
    own_log: bool,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Setup {
    /// With these arguments, beside the profile's and the address.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { arguments, soft_limit: None, own_log: false }
    }

    /// Starts it under this soft limit of open files.
    pub(crate) fn soft_limit_of_open_files(mut self, files: u32) -> Self {
        self.soft_limit = Some(files);
        self
    }

    /// The arguments say where its log is; the profile is not asked.
    pub(crate) fn own_log(mut self) -> Self {
        self.own_log = true;
        self
    }

    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(self) -> Hub {
        let profile = if self.own_log { Profile::default() } else { Profile::fresh() };
        let binary = env!("CARGO_BIN_EXE_fanfare");
        let mut command = match self.soft_limit {
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
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--allow-host", "hub.test"])
            .args(profile.arguments())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the hub's binary runs");
        let log = Log::default();
        let (found, address) = mpsc::channel();
        drain("out", child.stdout.take().expect("piped"), &log, move |line| {
            if let Some(address) = address_in(line) {
                let _ = found.send(address);
            }
        });
        drain("err", child.stderr.take().expect("piped"), &log, |_| ());
        match address.recv_timeout(PATIENCE) {
            Ok(address) => Hub { child, address, log, _profile: profile },
            Err(_) => {
                let _ = child.kill();
                let status = child.wait();
                let arguments = self.arguments;
                let log = log.lock().unwrap().join("\n");
                panic!("the hub did not say where it serves\n{arguments:?}\n{status:?}\n{log}");
            }
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

/// The address in a line such as `… http://127.0.0.1:8000/sse/`, or with `https`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    rest.split(['/', ' ']).next()?.parse().ok()
}

impl Hub {
    /// Starts a hub with these arguments, beside those of the profile.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Setup::new(arguments).start()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// A new connection to it over TLS.
    pub(crate) fn connect_securely(&self, trust: &Arc<ClientConfig>) -> Connection {
        Connection::open_secure(self.address, trust)
    }

    /// Waits until it has logged this.
    pub(crate) fn await_log(&self, part: &str) {
        let begun = Instant::now();
        while !self.logged().contains(part) {
            assert!(begun.elapsed() < PATIENCE, "the hub does not log {part:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        self.connect().request(method, path, headers, b"")
    }

    /// `GET`, on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    /// A publisher with a connection of its own.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(self.address)
    }

    /// A subscription to be described further, and then opened.
    pub(crate) fn subscription(&self) -> Subscription {
        Subscription::new(self.address)
    }

    /// Subscribes with this query (such as `topic=a&event=b`) and checks that it was accepted.
    pub(crate) fn subscribe(&self, query: &str) -> Subscriber {
        self.subscription().query(query).open()
    }

    /// What `/metrics` says now.
    pub(crate) fn metrics(&self) -> Metrics {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        Metrics::parse(&response.text())
    }

    /// Asks `/metrics` until they say what is awaited.
    pub(crate) fn await_metrics(
        &self,
        what: &str,
        condition: impl Fn(&Metrics) -> bool,
    ) -> Metrics {
        let begun = Instant::now();
        loop {
            let metrics = self.metrics();
            if condition(&metrics) {
                return metrics;
            }
            assert!(begun.elapsed() < PATIENCE, "in vain awaited: {what}\n{metrics:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the hub runs");
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it accepts no new connection.
    pub(crate) fn await_closed_door(&self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "the hub still accepts connections");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has exited.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the hub does not exit");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            let tail = &log[log.len().saturating_sub(100)..];
            eprintln!("--- the end of the hub's log ---\n{}\n---", tail.join("\n"));
        }
    }
}

/// Lets this process open as many files as it may: tests hold thousands of sockets.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
