//! What is measured: a node, and the redis-server that it may be on; gone when dropped.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::ReturnError;

/// How long each may take to come up, or to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A directory of its own.
pub(crate) struct ScratchDirectory(PathBuf);

pub(crate) struct MeasuredRedis {
    address: SocketAddr,
    process: Child,
    _directory: ScratchDirectory,
}

pub(crate) struct MeasuredHub {
    address: SocketAddr,
    process: Child,
}

impl ScratchDirectory {
    pub(crate) fn new() -> Result<Self, ReturnError> {
        let name = format!("fanfare-returns-{}-{:?}", std::process::id(), Instant::now());
        let name: String = name.chars().filter(|it| it.is_ascii_alphanumeric()).collect();
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl MeasuredRedis {
    /// Starts one that syncs every second.
    pub(crate) fn start() -> Result<Self, ReturnError> {
        let failed = |source| ReturnError::Start {
            what: "redis-server (Debian's package has this name)".to_owned(),
            source,
        };
        // Given back before the server takes it; nothing else on this machine asks for many.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let address = address.map_err(failed)?;
        let directory = ScratchDirectory::new()?;
        let process = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "yes", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let redis = Self { address, process, _directory: directory };
        let begun = Instant::now();
        while redis.ranges().is_err() {
            if begun.elapsed() > TIMEOUT {
                return Err(ReturnError::Silent("redis-server".to_owned()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// How many ranges of a stream it was asked for.
    pub(crate) fn ranges(&self) -> io::Result<f64> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.write_all(b"INFO commandstats\r\nQUIT\r\n")?;
        let mut info = String::new();
        connection.read_to_string(&mut info)?;
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_xrange:calls="));
        let number = line.and_then(|line| line.split(',').next());
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or_default())
    }
}

impl Drop for MeasuredRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl MeasuredHub {
    /// Starts one, and returns once it listens.
    pub(crate) fn start(binary: &Path, further: &[String]) -> Result<Self, ReturnError> {
        let what = binary.display().to_string();
        let mut process = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--log-level", "warn", "--drain", "0s"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| ReturnError::Start { what: what.clone(), source })?;
        let greeting = process.stdout.take().map(BufReader::new);
        let lines = greeting.into_iter().flat_map(|it| it.lines().map_while(Result::ok));
        let words = lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let url = words.into_iter().find(|word| word.starts_with("http://"));
        let authority =
            url.as_deref().and_then(|url| url.strip_prefix("http://")?.split('/').next());
        let address = authority.and_then(|authority| authority.parse().ok());
        match address {
            Some(address) => Ok(Self { address, process }),
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(ReturnError::Silent(what))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes these numbers, each to the topic of a number; returns their ids.
    pub(crate) fn publish(
        &self,
        messages: impl Iterator<Item = (u32, u32)>,
    ) -> io::Result<Vec<String>> {
        let mut body = String::new();
        for (topic, number) in messages {
            // Writing to a string does not fail.
            let _ = writeln!(body, r#"{{"topic":"t/{topic}","message":"m{number:0>99}"}}"#);
        }
        let head = format!(
            "POST /sse/send HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}",
            body.len()
        );
        let answer = self.ask(&head, &body)?;
        let ids = answer.split_once("\"ids\":[").and_then(|(_, rest)| rest.split(']').next());
        let ids = ids.ok_or_else(|| io::Error::other(format!("not published: {answer}")))?;
        Ok(ids.split(',').map(|id| id.trim_matches(['"', ' ']).to_owned()).collect())
    }

    /// Its metrics without labels.
    pub(crate) fn metrics(&self) -> io::Result<HashMap<String, f64>> {
        let answer = self.ask("GET /metrics HTTP/1.1", "")?;
        let rows = answer.lines().filter_map(|line| line.split_once(' '));
        Ok(rows.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// The CPU time that it has used, in nanoseconds.
    pub(crate) fn cpu(&self) -> io::Result<f64> {
        let mut sum = 0.0;
        for entry in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(entry?.path().join("schedstat"))?;
            let used = text.split(' ').next().and_then(|used| used.parse::<f64>().ok());
            sum += used.unwrap_or_default();
        }
        Ok(sum)
    }

    /// Stops it in good order.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        self.process.wait().map(|_| ())
    }

    fn ask(&self, head: &str, body: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        let request =
            format!("{head}\r\nHost: {}\r\nConnection: close\r\n\r\n{body}", self.address);
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for MeasuredHub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
