//! A hub, and commands against it. Every wait is for a condition, under one generous [`TEST_TIMEOUT`],
//! and fails with what was seen instead.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take before a test gives up. Nothing that works comes near it: a run of the conformance
/// suite takes ten seconds where nobody else wants the processor.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// `fanfare`, with nothing in its environment that the test has not put there.
pub(crate) fn fanfare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end. It must end by itself.
pub(crate) fn run(command: &mut Command) -> Ended {
    let mut running = Running::start(command);
    drop(running.stdin.take());
    let status = running.wait();
    Ended { code: status.code(), stdout: running.stdout(), stderr: running.stderr() }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The lines of output; the command must have succeeded.
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.lines().collect()
    }
}

/// A command under way, killed at the end of the test.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Text,
    stderr: Text,
    readers: Vec<thread::JoinHandle<()>>,
}

type Text = Arc<Mutex<String>>;

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
        let (stdout, stderr) = (Text::default(), Text::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), &stdout),
            collect(child.stderr.take().unwrap(), &stderr),
        ];
        Self { stdin: child.stdin.take(), child, stdout, stderr, readers }
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until it has printed what is awaited.
    pub(crate) fn await_output(&self, what: &str, seen: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !seen(self) {
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "waited in vain for: {what}\n{}\n{}",
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes to its standard input.
    pub(crate) fn feed(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("its input is a pipe");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended and all it said is read.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let (out, err) = (self.stdout(), self.stderr());
            assert!(begun.elapsed() < TEST_TIMEOUT, "it does not end\n{out}\n{err}");
            thread::sleep(Duration::from_millis(5));
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        status
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read + Send + 'static, text: &Text) -> thread::JoinHandle<()> {
    let text = Arc::clone(text);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut text = text.lock().unwrap();
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    })
}

/// A running hub.
#[derive(Debug)]
pub(crate) struct Hub {
    running: Running,
    address: SocketAddr,
}

impl Hub {
    /// Starts one on a free port, with these settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), settings)
    }

    fn start_at(address: SocketAddr, settings: &[&str]) -> Self {
        let mut command = fanfare(&["--listen", &address.to_string(), "--retry", "50ms"]);
        let running = Running::start(command.args(settings));
        let address_in = |text: &str| {
            let (_, rest) = text.split_once("http://")?;
            rest.split(['/', ' ']).next()?.parse::<SocketAddr>().ok()
        };
        running.await_output("where it serves", |hub| address_in(&hub.stdout()).is_some());
        let address = address_in(&running.stdout()).unwrap();
        Self { running, address }
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(mut self) -> Crashed {
        self.running.signal(Signal::KILL);
        self.running.wait();
        Crashed(self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `fanfare`, told where this hub is.
    pub(crate) fn fanfare(&self, arguments: &[&str]) -> Command {
        let mut command = fanfare(arguments);
        command.env("FANFARE_URL", self.url());
        command
    }

    /// Runs a command that succeeds, and returns its lines.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let ended = run(&mut self.fanfare(arguments));
        ended.lines().into_iter().map(str::to_owned).collect()
    }

    /// Publishes, and returns the id.
    pub(crate) fn publish(&self, arguments: &[&str]) -> String {
        let ids = self.lines(&[&["publish"], arguments].concat());
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids.into_iter().next().unwrap()
    }

    /// Starts a subscriber, and waits until the hub has let it in. Where its stream begins may not be settled yet.
    pub(crate) fn subscriber(&self, arguments: &[&str]) -> Running {
        let before = self.metric("fanfare_subscribers");
        let running = Running::start(&mut self.fanfare(&[&["subscribe"], arguments].concat()));
        running.await_output("a subscriber", |_| self.metric("fanfare_subscribers") > before);
        running
    }

    /// A subscriber that has its first id: what is published from now on it gets, whatever happens.
    pub(crate) fn subscriber_with_id(&self, arguments: &[&str]) -> Running {
        let before = self.metric("fanfare_fresh_cursors_total");
        let running = self.subscriber(arguments);
        running.await_output("an id", |_| self.metric("fanfare_fresh_cursors_total") > before);
        running
    }

    fn metric(&self, name: &str) -> f64 {
        let answer = get(self.address, "/metrics");
        let figure = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        figure.expect("it is counted").parse().unwrap()
    }
}

/// A hub that is gone, and whose address is still known.
#[derive(Debug)]
pub(crate) struct Crashed(SocketAddr);

impl Crashed {
    /// Starts another where it was.
    pub(crate) fn restart(self) -> Hub {
        self.restart_with(&[])
    }

    /// The same, with these settings.
    pub(crate) fn restart_with(self, settings: &[&str]) -> Hub {
        Hub::start_at(self.0, settings)
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Each line as JSON.
pub(crate) fn json(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A shell pipeline, which `fanfare` is part of as `$fanfare`.
pub(crate) fn shell(hub: &Hub, script: &str) -> Output {
    let mut shell = Command::new("bash");
    shell.args(["-c", script]).env("fanfare", env!("CARGO_BIN_EXE_fanfare"));
    shell.env("FANFARE_URL", hub.url()).env_remove("FANFARE_TOKEN").output().unwrap()
}
