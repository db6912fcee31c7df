//! The herd: clients of one node that all come back at the other, each with the id of its last event.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::ClusterError;
use crate::site::ClusterNodes;

/// How many connect at the same time, and how often each: 5,000 clients.
const THREADS: usize = 8;
const EACH: usize = 625;
const TIMEOUT: Duration = Duration::from_secs(60);

/// What became of it.
pub(crate) struct Herd {
    /// All that Redis was sent meanwhile, the nodes' own reading and checking included.
    pub(crate) commands: f64,
    pub(crate) nanoseconds: f64,
}

/// Lets them come, and waits until each has what it missed.
pub(crate) fn come(site: &ClusterNodes) -> Result<Herd, ClusterError> {
    let last = publish(site, "seen")?;
    for n in 0..3 {
        publish(site, &format!("missed {n}"))?;
    }
    // The other node has heard of all that by now, or the first client waits for it.
    drop(resume(site, &last)?);
    let (before, begun) = (site.commands()?, Instant::now());
    let streams = thread::scope(|scope| {
        let open = || (0..EACH).map(|_| resume(site, &last)).collect::<io::Result<Vec<_>>>();
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<io::Result<Vec<_>>>()
    })?;
    let nanoseconds = begun.elapsed().as_nanos() as f64;
    // Less the question before: INFO, and QUIT.
    let commands = site.commands()?.saturating_sub(before + 2);
    drop(streams);
    Ok(Herd { commands: commands as f64, nanoseconds })
}

/// Publishes at the first node; returns the id.
fn publish(site: &ClusterNodes, message: &str) -> io::Result<String> {
    let body = format!("{{\"message\":\"{message}\"}}");
    let mut answer = String::new();
    let mut connection = ask(
        site.authority(0),
        &format!(
            "POST /sse/send HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}",
            body.len()
        ),
        &body,
    )?;
    connection.read_to_string(&mut answer)?;
    let id = answer.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next());
    id.map(str::to_owned).ok_or_else(|| io::Error::other(format!("not published: {answer}")))
}

/// Subscribes at the second node after `last` and reads what was missed.
fn resume(site: &ClusterNodes, last: &str) -> io::Result<TcpStream> {
    let head = format!("GET /sse/events HTTP/1.1\r\nLast-Event-ID: {last}");
    let mut stream = ask(site.authority(1), &head, "")?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("data: missed 2") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("the stream ended")),
            n => seen.extend_from_slice(&buffer[..n]),
        }
    }
    let missed = String::from_utf8_lossy(&seen).matches("data: missed ").count();
    if missed == 3 { Ok(stream) } else { Err(io::Error::other(format!("{missed} of 3 came"))) }
}

fn ask(authority: &str, head: &str, body: &str) -> io::Result<TcpStream> {
    let mut connection = TcpStream::connect(authority)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    let request = format!("{head}\r\nHost: {authority}\r\n\r\n{body}");
    connection.write_all(request.as_bytes())?;
    Ok(connection)
}
