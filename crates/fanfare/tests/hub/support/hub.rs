//! The hub under test: one node, or several on one log.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustls::ClientConfig;

use super::heard::Acknowledged;
use super::node::Node;
use super::profile::Profile;
use super::{Connection, Metrics, Publisher, Response, Subscriber, Subscription, TEST_TIMEOUT};

/// A running hub. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Hub {
    nodes: Vec<Node>,
    /// Which node the next subscriber speaks to.
    turn: AtomicUsize,
    /// Kept where nodes may hear of it later.
    acknowledged: Option<Arc<Acknowledged>>,
    _profile: Profile,
}

/// How to start one.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    arguments: Vec<String>,
    soft_limit: Option<u32>,
    alone: bool,
    own_log: bool,
    unnamed: bool,
    variables: Vec<(&'static str, OsString)>,
}

impl Setup {
    /// With these arguments, beside the profile's and the address.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { arguments, ..Self::default() }
    }

    /// Starts it under this soft limit of open files.
    pub(crate) fn soft_limit_of_open_files(mut self, files: u32) -> Self {
        self.soft_limit = Some(files);
        self
    }

    /// The test is about what one process does: its memory, its limits, its console. Whatever the
    /// profile, the hub has one node.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The arguments say where its log is; the profile is not asked.
    pub(crate) fn own_log(mut self) -> Self {
        self.own_log = true;
        self
    }

    /// Starts it without the name by which tests speak to it.
    pub(crate) fn unnamed(mut self) -> Self {
        self.unnamed = true;
        self.alone = true;
        self
    }

    /// Starts it with this environment variable.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(self) -> Hub {
        let profile = if self.own_log { Profile::bare() } else { Profile::fresh() };
        let count = if self.alone { 1 } else { profile.nodes };
        let named = if self.unnamed { vec![] } else { vec!["--allow-host", "hub.test"] };
        let named: Vec<_> = named.into_iter().map(str::to_owned).collect();
        let arguments = [&named[..], &profile.arguments, &self.arguments].concat();
        let begin = || Node::begin(&arguments, &self.variables, self.soft_limit);
        let starting: Vec<_> = (0..count).map(|_| begin()).collect();
        let nodes: Vec<_> = starting.into_iter().map(|node| node.finish(begin)).collect();
        let acknowledged =
            profile.echoes.then(|| Acknowledged::new(nodes.iter().map(Node::address)));
        Hub { nodes, turn: AtomicUsize::new(0), acknowledged, _profile: profile }
    }
}

impl Hub {
    /// Starts a hub with these arguments, beside those of the profile.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Setup::new(arguments).start()
    }

    /// Starts one of one node: see [`Setup::alone`].
    pub(crate) fn alone(arguments: &[&str]) -> Self {
        Setup::new(arguments).alone().start()
    }

    /// Its only node.
    fn node(&self) -> &Node {
        assert_eq!(
            self.nodes.len(),
            1,
            "what is about one process is asked of a hub started alone"
        );
        &self.nodes[0]
    }

    /// How many nodes it has.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.node().pid()
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.node().address()
    }

    /// What its nodes have logged so far.
    pub(crate) fn logged(&self) -> String {
        self.nodes.iter().map(Node::logged).collect::<Vec<_>>().join("\n")
    }

    /// The node that publishers speak to, and whoever else asks for something.
    fn first(&self) -> SocketAddr {
        self.nodes[0].address()
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.first())
    }

    /// A new connection to it over TLS.
    pub(crate) fn connect_securely(&self, trust: &Arc<ClientConfig>) -> Connection {
        Connection::open_secure(self.first(), trust)
    }

    /// Waits until it has logged this.
    pub(crate) fn await_log(&self, part: &str) {
        let begun = Instant::now();
        while !self.logged().contains(part) {
            assert!(begun.elapsed() < TEST_TIMEOUT, "the hub does not log {part:?}");
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
        Publisher::noting(self.first(), self.acknowledged.clone())
    }

    /// A subscription to be described further, and then opened: at the next node.
    pub(crate) fn subscription(&self) -> Subscription {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let node = &self.nodes[turn % self.nodes.len()];
        Subscription::settled(node.address(), self.acknowledged.clone())
    }

    /// Subscribes with this query (such as `topic=a&event=b`) and checks that it was accepted.
    pub(crate) fn subscribe(&self, query: &str) -> Subscriber {
        self.subscription().query(query).open()
    }

    /// Waits until whoever resumes from this id with this query is told, at every node, that
    /// something was trimmed. A node that still has it in its window replays it.
    pub(crate) fn await_trim(&self, query: &str, id: &str) {
        for node in &self.nodes {
            let begun = Instant::now();
            let subscription = Subscription::new(node.address()).query(query).after(id);
            while !subscription.open().next().is_gap() {
                assert!(begun.elapsed() < TEST_TIMEOUT, "nothing is trimmed after {id}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What `/metrics` of all its nodes say now, taken together.
    pub(crate) fn metrics(&self) -> Metrics {
        let texts = self.nodes.iter().map(|node| {
            let response = node.get("/metrics");
            assert_eq!(response.status, 200, "{response:?}");
            response.text()
        });
        Metrics::parse(&texts.collect::<String>())
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
            assert!(begun.elapsed() < TEST_TIMEOUT, "waited in vain for: {what}\n{metrics:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that was resident so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(which)).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes * 1024
    }

    /// Asks its only node to hand over to another process, with these arguments to the command.
    pub(crate) fn ask_for_upgrade(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fanfare"))
            .args(["upgrade", "--pid", &self.pid().to_string()])
            .args(arguments)
            .output()
            .expect("the command runs")
    }

    /// Has its only node hand over to another process, and waits until the old one has ended; what the command
    /// said.
    pub(crate) fn upgrade(&mut self) -> String {
        self.upgrade_meanwhile(|| ())
    }

    /// The same, and does something while the old process is about to end.
    pub(crate) fn upgrade_meanwhile(&mut self, meanwhile: impl FnOnce()) -> String {
        let output = self.ask_for_upgrade(&[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}\n{}", self.logged());
        let pid = said.split_whitespace().nth(1).and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("no process in {said:?}"));
        meanwhile();
        self.nodes[0].succeeded_by(pid);
        said
    }

    /// Sends every node a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.nodes.iter().for_each(|node| node.signal(signal));
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it says that it is on its way out.
    pub(crate) fn await_drain(&self) {
        self.nodes.iter().for_each(Node::await_drain);
    }

    /// Waits until every node has exited; how the first of those did that did not end well, if
    /// there is one.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let ends: Vec<_> = self.nodes.iter_mut().map(Node::wait).collect();
        *ends.iter().find(|end| !end.success()).unwrap_or(&ends[0])
    }

    /// Whether all of it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.nodes.iter_mut().all(Node::runs)
    }
}

/// Lets this process open as many files as it may: tests hold thousands of sockets.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
