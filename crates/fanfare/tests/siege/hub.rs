//! The hub that is besieged: the real binary, with settings that make its bounds small enough to be
//! reached.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::attack::ask;

/// The publisher's key, and the secret of those who may do a little.
pub(crate) const KEY: &str = "the-innocent-publishers-own-key-0123456789";
pub(crate) const SECRET: &str = "a-secret-that-signs-tokens-0123456789";

/// What an address from elsewhere may have by default, said aloud: this machine has no limits
/// otherwise, and every attacker is on it. Connections, streams and publishes are fewer than that, so
/// that two addresses for each attack come to the bounds of all. No limit is lifted.
const SETTINGS: &[&str] = &[
    "--listen",
    "127.0.0.1:0",
    "--publish-key",
    KEY,
    "--jwt-secret",
    SECRET,
    "--anonymous-subscribe",
    "**",
    "--mercure",
    "--mercure-url",
    "https://hub.example.com/.well-known/mercure",
    "--mercure-subscriptions",
    "--max-connections",
    "4000",
    "--max-connections-per-address",
    "1000",
    "--connection-rate",
    "500",
    "--max-subscribers-per-address",
    "500",
    "--publish-rate",
    "1000",
    "--max-patterns-per-address",
    "4096",
    "--failure-rate",
    "10",
    "--ticket-rate",
    "1000",
    "--request-rate",
    "20000",
    "--max-requests",
    "1500",
    "--window-bytes",
    "16MiB",
    "--retain-bytes",
    "64MiB",
    "--max-bodies",
    "64MiB",
    "--write-timeout",
    "10s",
    "--log-level",
    "error",
];

/// A running hub; killed when dropped.
#[derive(Debug)]
pub(crate) struct Hub {
    process: Child,
    address: SocketAddr,
    peak: Arc<AtomicU64>,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FANFARE_") {
                command.env_remove(name);
            }
        }
        let mut process =
            command.args(SETTINGS).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("http://").nth(1)?.split('/').next()?.parse().ok())
            .expect("the hub says where it listens");
        let peak = Arc::<AtomicU64>::default();
        watch(process.id(), Arc::clone(&peak));
        Self { process, address, peak }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most that it has occupied so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// How much of a processor it has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        /// Of the clock that `proc` counts by, in a second.
        const TICKS: f64 = 100.0;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        let ticks: f64 = fields.map(|field| field.parse::<f64>().unwrap()).sum();
        Duration::from_secs_f64(ticks / TICKS)
    }

    /// What it has refused, and why.
    pub(crate) fn refusals(&self) -> String {
        let metrics = ask(self.address, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n");
        let refused = metrics.lines().filter_map(|line| {
            let (reason, count) =
                line.strip_prefix("fanfare_refused_total{reason=\"")?.split_once("\"} ")?;
            (count != "0").then(|| format!("{reason} {count}"))
        });
        refused.collect::<Vec<_>>().join(", ")
    }
}

/// Notes the most memory that a process occupies, until it ends.
fn watch(process: u32, peak: Arc<AtomicU64>) {
    thread::spawn(move || {
        while let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kibibytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            peak.fetch_max(kibibytes.unwrap_or(0) * 1024, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
        }
    });
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets this process, and the hub that it starts, open as many files as they may.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}
