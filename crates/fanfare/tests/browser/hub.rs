//! The hub under test: the real binary on loopback.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::http;

/// A running hub; dropping it kills it.
pub(crate) struct Hub {
    process: Child,
    /// The process that has taken its place.
    successor: Option<Pid>,
    /// Where the page is.
    pub(crate) page: String,
    pub(crate) address: SocketAddr,
}

impl Hub {
    /// A hub on a free port.
    pub(crate) fn start() -> Self {
        Self::with(&["--listen", "127.0.0.1:0"])
    }

    /// A hub with these flags. It is up once it has printed where the page is.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        // Only what is given here counts.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FANFARE_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the hub starts");
        let stdout = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let page = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let url = line[line.find("http://")?..].split_whitespace().next()?;
            Some(url.to_owned())
        });
        // Read on, so that the hub never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let page = page.expect("the hub prints the page's address before its output ends");
        let authority = page["http://".len()..].split('/').next().unwrap_or_default();
        let address = authority.parse().expect("the page's address holds the hub's");
        Self { process, successor: None, page, address }
    }

    /// Has it hand over to a new process.
    pub(crate) fn upgrade(&mut self) {
        let old = self.successor.map_or(self.process.id().cast_signed(), Pid::as_raw_pid);
        let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
            .args(["upgrade", "--pid", &old.to_string()])
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let new = said.split_whitespace().nth(1).and_then(|pid| pid.parse().ok());
        self.successor = new.and_then(Pid::from_raw);
        assert!(self.successor.is_some(), "{said}");
    }

    /// Publishes over HTTP and returns the event's id.
    pub(crate) fn publish(&self, message: &str) -> String {
        let body = json!({ "message": message }).to_string();
        let (status, answer) = self.send("application/json", &body);
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().expect("an answer has an id").to_owned()
    }

    /// Publishes to a topic, with an event type or without.
    pub(crate) fn publish_to(&self, topic: &str, event: Option<&str>, message: &str) {
        let body = json!({ "topic": topic, "event": event, "message": message });
        let (status, answer) = self.send("application/json", &without_null(body).to_string());
        assert_eq!(status, 200, "{answer}");
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = http::text(self.address, "/metrics").expect("the hub answers");
        let samples = text.lines().filter_map(|line| line.rsplit_once(' '));
        let named = samples.filter(|(key, _)| key.split('{').next() == Some(name));
        named.map(|(_, value)| value.parse::<f64>().expect("a sample is a number")).sum()
    }

    /// Waits until that sum is no less than this.
    pub(crate) async fn until_metric(&self, name: &str, least: f64) {
        let reached = async {
            while self.metric(name) < least {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(within.is_ok(), "{name} stays below {least}");
    }

    /// Publishes many messages as one batch.
    pub(crate) fn publish_all(&self, messages: impl Iterator<Item = String>) {
        let lines: String =
            messages.map(|message| format!("{}\n", json!({ "message": message }))).collect();
        let (status, answer) = self.send("application/x-ndjson", &lines);
        assert_eq!(status, 200, "{answer}");
    }

    fn send(&self, content_type: &str, body: &str) -> (u16, Value) {
        http::request(self.address, "POST", "/sse/send", content_type, body)
            .expect("the hub answers")
    }
}

/// What is `null` is left out.
fn without_null(mut body: Value) -> Value {
    let fields = body.as_object_mut().expect("it is an object");
    fields.retain(|_, value| !value.is_null());
    body
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.successor.map(|pid| kill_process(pid, Signal::KILL));
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
