//! A server under measurement: a process on a core of its own.

use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::CompareError;

/// How long a server may take until it prints its URL.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server; it is killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    /// Starts `binary` on `core`, with further arguments, and waits for the line of its output that holds its URL. What
    /// it says on standard error goes to a log in `folder`.
    pub(crate) fn start(
        binary: &Path,
        further: &[&str],
        core: usize,
        folder: &Path,
    ) -> Result<Self, CompareError> {
        let error = |source| CompareError::Start { binary: binary.to_owned(), source };
        // `taskset` would report a missing binary too, but only in the log.
        binary.metadata().map_err(error)?;
        let name = binary.file_name().unwrap_or_default();
        let log = folder.join(name).with_extension("log");
        let stderr = OpenOptions::new().create(true).append(true).open(&log).map_err(error)?;
        let mut child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(error)?;
        let stdout = child.stdout.take();
        let mut server = Self { child, url: String::new() };
        let (found, url) = mpsc::channel();
        std::thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                if let Some(url) = line.split_whitespace().find(|w| w.starts_with("http://")) {
                    // Nobody waits any more: the server took too long and is about to be killed.
                    let _ = found.send(url.to_owned());
                    break;
                }
                line.clear();
            }
            // A full pipe would stop the server.
            let _ = io::copy(&mut lines, &mut io::sink());
        });
        match url.recv_timeout(START_TIMEOUT) {
            Ok(url) => server.url = url,
            Err(_) => return Err(CompareError::NoUrl { binary: binary.to_owned(), log }),
        }
        Ok(server)
    }

    /// The page it printed.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its process: `taskset` has become it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
