//! A redis-server of the test's own, on a free port, with its own directory.
//!
//! What must hold: it ends with the test, also where the test is killed. So a shell stands between
//! the two, which ends the server when its own input ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::Value;
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to come up.
const AT_MOST: Duration = Duration::from_secs(30);

/// Starts the server, says its process id, and waits for word, or for the end, of the test.
const KEEPER: &str = r#"
    directory=$1; shift
    redis-server "$@" >"$directory/log" 2>&1 & echo $!
    read -r word
    kill -9 $! && wait
    [ "$word" = keep ] || rm -rf "$directory"
"#;

/// A redis-server 7. Dropping it kills it and removes its directory.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: PathBuf,
    options: Vec<String>,
    process: Option<RedisProcess>,
}

#[derive(Debug)]
struct RedisProcess {
    keeper: Child,
    pid: Pid,
}

impl RedisServer {
    /// Nothing is kept on disk unless the options say so.
    pub fn start(options: &[&str]) -> Self {
        let quiet = ["--save", "", "--repl-diskless-sync-delay", "0"];
        let mut server = Self::prepared(&[&quiet, options].concat());
        server.launch();
        server
    }

    /// Not yet running.
    pub fn prepared(options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("fanfare-redis-{}-{n}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let options = options.iter().map(|&o| o.to_owned()).collect();
        Self { port: free_port(), directory, options, process: None }
    }

    /// A Sentinel that watches nothing yet.
    pub fn sentinel() -> Self {
        let mut server = Self::prepared(&[]);
        let config = server.directory.join("sentinel.conf");
        fs::write(&config, "sentinel resolve-hostnames no\n").unwrap();
        server.options = vec![config.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        server.launch();
        server
    }

    /// Comes up, or comes up again, with TLS on another port, and uses it on its own way to others.
    pub fn serve_tls(&mut self, port: u16, certificate: &str, key: &str) {
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
            ("--tls-replication", &"yes".to_owned()),
            ("--tls-cluster", &"yes".to_owned()),
        ] {
            self.options.extend([option.to_owned(), value.clone()]);
        }
        self.restart();
    }

    fn launch(&mut self) {
        let start = Instant::now();
        self.spawn();
        while !self.answers() {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            let missing = log.contains("redis-server: not found");
            assert!(!missing, "this needs redis-server 7: apt-get install redis-server");
            assert!(start.elapsed() < AT_MOST, "redis-server did not come up:\n{log}");
            // Another test was quicker to take the port.
            if log.contains("Address already in use") {
                self.kill();
                self.port = free_port();
                self.spawn();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn spawn(&mut self) {
        // A configuration file, which only a Sentinel has, comes first.
        let (file, options): (Vec<_>, Vec<_>) =
            self.options.iter().partition(|option| option.ends_with(".conf"));
        let directory = self.directory.to_str().unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", directory])
            .args(file)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir", directory])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What ends the test, by whichever signal, must not end its keeper.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process has an id");
        self.process = Some(RedisProcess { keeper, pid });
    }

    /// Whether it is this server that answers at its port.
    fn answers(&self) -> bool {
        let pid = self.process.as_ref().map(|process| process.pid.as_raw_nonzero().to_string());
        pid.is_some_and(|pid| self.info("process_id") == pid)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: no chance to save anything.
    pub fn kill(&mut self) {
        let Some(RedisProcess { mut keeper, .. }) = self.process.take() else { return };
        let mut word = keeper.stdin.take().unwrap();
        let _ = word.write_all(b"keep\n");
        let _ = keeper.wait();
    }

    /// Starts it again, with what it had on disk.
    pub fn restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// It stands still: connections stay open, nothing is answered.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on where it stood still.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.process.as_ref().unwrap().pid, signal).unwrap();
    }

    /// A command on a connection of its own, its answer as text.
    pub fn command(&self, words: &[&str]) -> String {
        self.attempt(words).unwrap_or_else(|| panic!("redis refused {words:?}"))
    }

    /// The same, where a refusal may be.
    pub fn attempt(&self, words: &[&str]) -> Option<String> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5)).ok()?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        Some(words_of(command.query(&mut connection).ok()?))
    }

    /// A command that is answered with a number.
    pub fn number(&self, words: &[&str]) -> i64 {
        self.command(words).parse().unwrap()
    }

    /// A field of `INFO`; empty where there is none, or no answer.
    pub fn info(&self, field: &str) -> String {
        let info = self.attempt(&["INFO", "everything"]).unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A port that is free, and that no connection or listener elsewhere is given by chance: not one
/// of those that Linux gives out unasked (`ip_local_port_range`, 32768 and up by default).
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
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
