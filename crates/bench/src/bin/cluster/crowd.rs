//! The crowd: subscribers of Mercure's protocol who all come to one node at once, each with several subscriptions,
//! which the hub tells of.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::ClusterError;
use crate::site::ClusterNodes;

/// How many connect at the same time, how often each, and with how many subscriptions: 100,000 of 10,000 clients.
const THREADS: usize = 8;
const EACH: usize = 1250;
const MATCHERS: usize = 10;
/// What nodes are started with.
pub(crate) const ARGUMENTS: &[&str] = &["--mercure", "--mercure-subscriptions"];
const TIMEOUT: Duration = Duration::from_secs(120);

/// What became of it.
pub(crate) struct CrowdOutcome {
    /// How many subscriptions were told of, and how many not.
    pub(crate) told: f64,
    pub(crate) untold: f64,
    /// How many times Redis was written to meanwhile, by all nodes, whatever for.
    pub(crate) writes: f64,
    pub(crate) nanoseconds: f64,
}

/// Lets them come, and waits until it is told.
pub(crate) fn come(site: &ClusterNodes) -> Result<CrowdOutcome, ClusterError> {
    let (before, begun) = (site.writes()?, Instant::now());
    let streams = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let numbers = thread * EACH..(thread + 1) * EACH;
                scope.spawn(move || {
                    numbers.map(|n| subscribe(site, n)).collect::<io::Result<Vec<_>>>()
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<io::Result<Vec<_>>>()
    })?;
    let wanted = (THREADS * EACH * MATCHERS) as f64;
    let (told, untold) = loop {
        let metrics = metrics(site)?;
        let of = |name| figure(&metrics, name);
        let told = of("fanfare_mercure_subscription_events_total ");
        let untold = of("fanfare_mercure_untold_subscriptions_total ");
        if told + untold >= wanted {
            break (told, untold);
        }
        if begun.elapsed() > TIMEOUT {
            return Err(ClusterError::Silent(format!("{told} of {wanted} told: the node")));
        }
        thread::sleep(Duration::from_millis(100));
    };
    let nanoseconds = begun.elapsed().as_nanos() as f64;
    let writes = site.writes()?.saturating_sub(before) as f64;
    drop(streams);
    Ok(CrowdOutcome { told, untold, writes, nanoseconds })
}

fn subscribe(site: &ClusterNodes, n: usize) -> io::Result<TcpStream> {
    let matchers: String =
        (0..MATCHERS).map(|m| format!("match=https://example.com/{n}/{m}&")).collect();
    let head = format!("GET /.well-known/mercure?{matchers} HTTP/1.1\r\n");
    let mut stream = ask(site, &head)?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("the stream ended")),
            n => seen.extend_from_slice(&buffer[..n]),
        }
    }
    if seen.starts_with(b"HTTP/1.1 200 ") {
        return Ok(stream);
    }
    Err(io::Error::other(String::from_utf8_lossy(&seen).into_owned()))
}

fn metrics(site: &ClusterNodes) -> io::Result<String> {
    let mut text = String::new();
    ask(site, "GET /metrics HTTP/1.1\r\nConnection: close\r\n")?.read_to_string(&mut text)?;
    Ok(text)
}

/// A metric; 0 where it is not there.
fn figure(metrics: &str, name: &str) -> f64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(name));
    found.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

fn ask(site: &ClusterNodes, head: &str) -> io::Result<TcpStream> {
    let authority = site.authority(0);
    let mut connection = TcpStream::connect(authority)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    connection.write_all(format!("{head}Host: {authority}\r\n\r\n").as_bytes())?;
    Ok(connection)
}
