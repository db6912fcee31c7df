//! What is measured: a redis-server and two nodes on it, all fresh, gone when dropped.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fanfare_bench::Target;

use crate::error::ClusterError;

/// How long each may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct ClusterNodes {
    redis: SocketAddr,
    nodes: Vec<String>,
    directory: PathBuf,
    processes: Vec<Child>,
}

impl ClusterNodes {
    /// Starts all; the nodes with further arguments.
    pub(crate) fn start(
        fanfare: Option<&Path>,
        further: &[&str],
        config: &Path,
    ) -> Result<Self, ClusterError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| ClusterError::Start { what, source }
        };
        // Given back before the server takes it; nothing else on this machine asks for many.
        let redis = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let redis = redis.map_err(failed("redis-server"))?;
        let directory = std::env::temp_dir().join(format!("fanfare-cluster-{}", redis.port()));
        fs::create_dir_all(&directory).map_err(failed("redis-server"))?;
        let mut site = Self { redis, nodes: Vec::new(), directory, processes: Vec::new() };
        let server = Command::new("redis-server")
            .arg(config)
            .args(["--port", &redis.port().to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(&site.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed("redis-server (Debian's package has this name)"))?;
        site.processes.push(server);
        let begun = Instant::now();
        while site.commands().is_err() {
            if begun.elapsed() > START_TIMEOUT {
                return Err(ClusterError::Silent("redis-server".to_owned()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let beside = || {
            let program = std::env::current_exe().ok();
            program.and_then(|p| Some(p.parent()?.join("fanfare"))).unwrap_or_default()
        };
        let binary = fanfare.map_or_else(beside, Path::to_owned);
        for _ in 0..2 {
            let mut node = Command::new(&binary)
                .args(["--listen", "127.0.0.1:0", "--log-level", "warn"])
                .args(["--redis", &format!("redis://{redis}")])
                .args(further)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(failed(&binary.display().to_string()))?;
            let greeting = node.stdout.take().map(BufReader::new);
            site.processes.push(node);
            // What the greeting says after the URL fits into the pipe.
            let lines =
                greeting.into_iter().flat_map(|greeting| greeting.lines().map_while(Result::ok));
            let words =
                lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
            let url = words.into_iter().find(|word| word.starts_with("http://"));
            site.nodes.push(url.ok_or_else(|| ClusterError::Silent(binary.display().to_string()))?);
        }
        Ok(site)
    }

    /// The page of a node.
    pub(crate) fn url(&self, node: usize) -> Target {
        self.nodes[node].parse().expect("a hub prints a URL")
    }

    /// Where a node listens.
    pub(crate) fn authority(&self, node: usize) -> &str {
        let rest = self.nodes[node].trim_start_matches("http://");
        rest.split('/').next().unwrap_or(rest)
    }

    /// How many commands Redis has processed, without the two of this question.
    pub(crate) fn commands(&self) -> io::Result<u64> {
        let info = self.info("stats")?;
        let field = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        let number = field.and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| {
            io::Error::other("redis-server does not say how many commands it processed")
        })
    }

    /// How many scripts were called: all that nodes write, but for their marks as they start, they write by one.
    pub(crate) fn writes(&self) -> io::Result<u64> {
        let info = self.info("commandstats")?;
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let number = line.and_then(|line| line.split(',').next());
        Ok(number.and_then(|number| number.parse().ok()).unwrap_or_default())
    }

    fn info(&self, section: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(self.redis)?;
        connection.set_read_timeout(Some(START_TIMEOUT))?;
        connection.write_all(format!("INFO {section}\r\nQUIT\r\n").as_bytes())?;
        let mut info = String::new();
        connection.read_to_string(&mut info)?;
        Ok(info)
    }
}

impl Drop for ClusterNodes {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
