//! What a subscriber costs the hub over each way in: resident memory while idle, CPU to connect,
//! CPU per delivery of a paced publisher and of one that publishes as fast as it may. `bench/README.md`
//! says how to run it.
//!
//! Usage: `tls_subscribers HUB [SUBSCRIBERS] [MESSAGES] [STREAMS]`, where `HUB` is the program to measure, and
//! `STREAMS` how many share a connection over HTTP/2: one, if it is left out, as a browser has them.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rcgen::{CertifiedKey, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsConnector;

/// Between two messages.
const PACE: Duration = Duration::from_millis(20);
/// How long the hub is left alone before its memory is read.
const REST: Duration = Duration::from_secs(2);
const MESSAGE: usize = 100;
/// Without a pace: how many messages a request publishes, and how many requests' may be under way.
const BATCH: usize = 50;
const UNDER_WAY: usize = 10;

trait TransportStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<W: AsyncRead + AsyncWrite + Send + Unpin> TransportStream for W {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Transport {
    name: &'static str,
    tls: bool,
    http2: bool,
}

const WAYS: [Transport; 4] = [
    Transport { name: "HTTP/1.1", tls: false, http2: false },
    Transport { name: "HTTP/2", tls: false, http2: true },
    Transport { name: "HTTP/1.1 over TLS", tls: true, http2: false },
    Transport { name: "HTTP/2 over TLS", tls: true, http2: true },
];

/// A running hub, killed when dropped.
struct TlsHub {
    child: Child,
    address: SocketAddr,
    _files: TempDir,
}

impl Drop for TlsHub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TlsHub {
    fn start(program: &str, tls: bool, trust: &mut RootCertStore) -> Self {
        let CertifiedKey::<KeyPair> { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        trust.add(cert.der().clone()).unwrap();
        let files = TempDir::new().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
        fs::write(&certificate, cert.pem()).unwrap();
        fs::write(&key, signing_key.serialize_pem()).unwrap();
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--heartbeat", "1h", "--log-level", "warn"]);
        if tls {
            command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("://")?;
            rest.split('/').next()?.parse().ok()
        });
        Self { child, address: address.unwrap(), _files: files }
    }

    /// Resident memory, in bytes.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// How long its threads have run, in microseconds.
    fn cpu(&self) -> f64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = threads.map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap()
        });
        nanoseconds.sum::<f64>() / 1000.0
    }
}

async fn connect(
    address: SocketAddr,
    way: Transport,
    trust: &Arc<ClientConfig>,
) -> Box<dyn TransportStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    if !way.tls {
        return Box::new(socket);
    }
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(TlsConnector::from(Arc::clone(trust)).connect(name, socket).await.unwrap())
}

/// Subscribes, over HTTP/2 so many times on one connection, and counts in `received` the messages that come;
/// resolves once the streams are open.
async fn subscribe(
    address: SocketAddr,
    way: Transport,
    trust: &Arc<ClientConfig>,
    streams: usize,
    received: &Arc<AtomicUsize>,
) {
    let mut wire = connect(address, way, trust).await;
    if way.http2 {
        let (mut requests, connection) = h2::client::handshake(wire).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..streams {
            let request = Request::get(format!("http://{address}/sse/events")).body(()).unwrap();
            requests = requests.ready().await.unwrap();
            let response = requests.send_request(request, true).unwrap().0.await.unwrap();
            let (mut body, received) = (response.into_body(), Arc::clone(received));
            let keeps_it_open = requests.clone();
            tokio::spawn(async move {
                let _keeps_it_open = keeps_it_open;
                while let Some(Ok(bytes)) = body.data().await {
                    count(&bytes, &received);
                    let _ = body.flow_control().release_capacity(bytes.len());
                }
            });
        }
    } else {
        wire.write_all(b"GET /sse/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut block = [0; 1024];
        let read = wire.read(&mut block).await.unwrap();
        assert!(block[..read].starts_with(b"HTTP/1.1 200"));
        let (mut block, received) = (vec![0; 16 * 1024], Arc::clone(received));
        tokio::spawn(async move {
            while let Ok(read @ 1..) = wire.read(&mut block).await {
                count(&block[..read], &received);
            }
        });
    }
}

/// A message is one run of the letter x.
fn count(bytes: &[u8], received: &AtomicUsize) {
    let letters = bytes.iter().filter(|byte| **byte == b'x').count();
    received.fetch_add(letters, Ordering::Relaxed);
}

async fn publish(wire: &mut Pin<Box<dyn TransportStream>>, count: usize) {
    let message = format!("{{\"message\":\"{}\"}}", "x".repeat(MESSAGE));
    let body = vec![message; count].join("\n");
    let request = format!(
        "POST /sse/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut block = [0; 16 * 1024];
    let read = wire.read(&mut block).await.unwrap();
    assert!(
        block[..read].starts_with(b"HTTP/1.1 200"),
        "{:?}",
        Bytes::copy_from_slice(&block[..read])
    );
}

async fn measure(
    program: &str,
    way: Transport,
    subscribers: usize,
    messages: usize,
    streams: usize,
) {
    let mut roots = RootCertStore::empty();
    let hub = TlsHub::start(program, way.tls, &mut roots);
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let secure = |protocol: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        // Every handshake is a whole one.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    };
    let http1 = secure(b"http/1.1");
    let trust = if way.http2 { secure(b"h2") } else { Arc::clone(&http1) };
    let received = Arc::new(AtomicUsize::new(0));
    // The hub's code and its first allocations are not a subscriber's.
    subscribe(hub.address, way, &trust, 1, &received).await;
    sleep(REST).await;

    let (memory, cpu) = (hub.memory(), hub.cpu());
    let streams = if way.http2 { streams } else { 1 };
    let subscribers = subscribers / streams * streams;
    for _ in 0..subscribers / streams {
        subscribe(hub.address, way, &trust, streams, &received).await;
    }
    let connecting = (hub.cpu() - cpu) / subscribers as f64;
    sleep(REST).await;
    let idle = (hub.memory() - memory) / subscribers as f64 / 1024.0;

    let publisher = Transport { http2: false, ..way };
    let mut wire = Box::into_pin(connect(hub.address, publisher, &http1).await);
    publish(&mut wire, 1).await;
    sleep(REST).await;
    let (cpu, begun) = (hub.cpu(), Instant::now());
    received.store(0, Ordering::Relaxed);
    for message in 0..messages {
        sleep_until(begun + PACE * u32::try_from(message).unwrap()).await;
        publish(&mut wire, 1).await;
    }
    let wanted = messages * (subscribers + 1);
    while received.load(Ordering::Relaxed) < wanted * MESSAGE {
        sleep(Duration::from_millis(10)).await;
    }
    let delivering = (hub.cpu() - cpu) / wanted as f64;
    let busy = (hub.memory() - memory) / subscribers as f64 / 1024.0;
    let (cpu, begun) = (hub.cpu(), Instant::now());
    received.store(0, Ordering::Relaxed);
    let batches = messages.div_ceil(10);
    for batch in 0..batches {
        publish(&mut wire, BATCH).await;
        let due = batch.saturating_sub(UNDER_WAY) * BATCH * (subscribers + 1) * MESSAGE;
        while received.load(Ordering::Relaxed) < due {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let unpaced = batches * BATCH * (subscribers + 1);
    while received.load(Ordering::Relaxed) < unpaced * MESSAGE {
        sleep(Duration::from_millis(1)).await;
    }
    let rate = unpaced as f64 / begun.elapsed().as_secs_f64() / 1e6;
    let flooding = (hub.cpu() - cpu) * 1000.0 / unpaced as f64;
    println!(
        "| {} | {idle:.1} KiB | {busy:.1} KiB | {connecting:.0} µs | {delivering:.2} µs \
         | {flooding:.0} ns | {rate:.2} M/s |",
        way.name
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("the first argument is the hub's program");
    let number = |text: Option<String>, otherwise| text.map_or(otherwise, |t| t.parse().unwrap());
    let subscribers = number(arguments.next(), 2_000);
    let messages = number(arguments.next(), 250);
    let streams = number(arguments.next(), 1);
    println!(
        "| {subscribers} subscribers over | idle | after {messages} messages | CPU to connect \
         | CPU per delivery, paced | without pace | then at most |"
    );
    println!("|---|---|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for way in WAYS {
        runtime.block_on(measure(&program, way, subscribers, messages, streams));
    }
}
