//! A redis-server of the rig's own, and as much of its protocol as is needed to disturb it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{HubProcess, free_address};

/// A redis-server.
#[derive(Debug)]
pub struct RigRedis {
    /// Its process.
    pub process: HubProcess,
    directory: PathBuf,
}

/// How a server keeps what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisPersistence {
    /// Every write, before it is answered.
    Always,
    /// A snapshot now and then: what came after it is lost with the process.
    Snapshots,
}

impl RigRedis {
    /// Starts one whose files are in a directory of this name at `place`.
    pub fn start(name: &str, place: &Path, persistence: RedisPersistence) -> io::Result<Self> {
        let directory = place.join(name);
        std::fs::create_dir_all(&directory)?;
        let address = free_address();
        let mut arguments: Vec<_> = [
            "--bind",
            "127.0.0.1",
            "--repl-diskless-sync-delay",
            "0",
            "--stream-node-max-entries",
            "10",
            "--save",
            "",
        ]
        .map(str::to_owned)
        .to_vec();
        if persistence == RedisPersistence::Always {
            arguments.extend(["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned));
        }
        let port = address.port().to_string();
        let place_of = directory.display().to_string();
        arguments.extend(["--port".to_owned(), port, "--dir".to_owned(), place_of]);
        let program = Path::new("redis-server");
        let process = HubProcess::new(name, program, arguments, address, place, &directory)?;
        let process = process.probed_by(b"PING\r\n");
        let mut redis = Self { process, directory };
        redis.process.start().map_err(io::Error::other)?;
        Ok(redis)
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// A command on a connection of its own, its answer as text, line by line.
    pub fn command(&self, words: &[&str]) -> io::Result<Vec<String>> {
        command(self.address(), words)
    }
}

/// A command to the server at an address.
pub fn command(address: SocketAddr, words: &[&str]) -> io::Result<Vec<String>> {
    let timeout = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut lines) = (BufReader::new(stream), Vec::new());
    read(&mut answer, &mut lines)?;
    Ok(lines)
}

fn read(from: &mut BufReader<TcpStream>, into: &mut Vec<String>) -> io::Result<()> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or(io::ErrorKind::UnexpectedEof)?;
    match kind {
        "-" => return Err(io::Error::other(rest.to_owned())),
        "$" => {
            if let Ok(length) = rest.parse::<usize>() {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                into.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            }
        }
        "*" => {
            for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                read(from, into)?;
            }
        }
        _ => into.push(rest.to_owned()),
    }
    Ok(())
}
