//! A redis-server of the test's own, on a free port, with its own directory.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::Value;

pub(crate) struct Server {
    pub(crate) port: u16,
    directory: PathBuf,
    options: Vec<String>,
    process: Option<Child>,
}

/// How long a condition may take before the test fails.
pub(crate) const AT_MOST: Duration = Duration::from_secs(30);

impl Server {
    /// Nothing is kept on disk unless the options say so.
    pub(crate) fn start(options: &[&str]) -> Self {
        let quiet = ["--save", "", "--repl-diskless-sync-delay", "0"];
        let mut server = Self::prepared(&[&quiet, options].concat());
        server.launch();
        server
    }

    /// Not yet running.
    pub(crate) fn prepared(options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("fanfare-redis-{}-{n}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let port = free_port();
        let options = options.iter().map(|&o| o.to_owned()).collect();
        Self { port, directory, options, process: None }
    }

    /// A Sentinel that watches nothing yet.
    pub(crate) fn sentinel() -> Self {
        let mut server = Self::prepared(&[]);
        let config = server.directory.join("sentinel.conf");
        fs::write(&config, "sentinel resolve-hostnames no\n").unwrap();
        server.options = vec![config.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        server.launch();
        server
    }

    /// Comes up with TLS on another port.
    pub(crate) fn serve_tls(&mut self, port: u16, certificate: &str, key: &str) {
        let file = |name: &str, content: &str| {
            let path = self.directory.join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = (file("cert.pem", certificate), file("key.pem", key));
        let port = port.to_string();
        for (option, value) in [
            ("--tls-port", &port),
            ("--tls-cert-file", &certificate),
            ("--tls-key-file", &key),
            ("--tls-ca-cert-file", &certificate),
            ("--tls-auth-clients", &"no".to_owned()),
        ] {
            self.options.extend([option.to_owned(), value.clone()]);
        }
        self.launch();
    }

    fn launch(&mut self) {
        let log = fs::File::create(self.directory.join("log")).unwrap();
        // A configuration file, which only a Sentinel has, comes first.
        let (file, options): (Vec<_>, Vec<_>) =
            self.options.iter().partition(|option| option.ends_with(".conf"));
        let process = Command::new("redis-server")
            .args(file)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--dir", self.directory.to_str().unwrap()])
            .args(options)
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need redis-server 7: apt-get install redis-server");
        self.process = Some(process);
        let start = Instant::now();
        while self.try_command(&["PING"]).is_none_or(|answer| answer != "PONG") {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(start.elapsed() < AT_MOST, "redis-server did not come up:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: no chance to save anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// Sends the process a signal by name, such as `STOP` and `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// A command on a connection of its own, its answer as text.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.try_command(words).unwrap_or_else(|| panic!("redis refused {words:?}"))
    }

    /// The same, where a refusal may be.
    pub(crate) fn attempt(&self, words: &[&str]) -> Option<String> {
        self.try_command(words)
    }

    fn try_command(&self, words: &[&str]) -> Option<String> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5)).ok()?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        Some(words_of(command.query(&mut connection).ok()?))
    }

    pub(crate) fn number(&self, words: &[&str]) -> i64 {
        self.command(words).parse().unwrap()
    }

    /// A field of `INFO`; empty where there is none, or no answer.
    pub(crate) fn info(&self, field: &str) -> String {
        let info = self.attempt(&["INFO", "everything"]).unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.signal("CONT");
        }
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn words_of(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::SimpleString(text) => text,
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Array(values) => values.into_iter().map(words_of).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}
