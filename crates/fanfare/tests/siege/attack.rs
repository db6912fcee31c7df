//! An attack, and what all of them share: where the hub is, and addresses to come from.

use std::fmt;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::hub::SECRET;

/// One way of doing harm.
pub(crate) trait Attack: Send + Sync {
    /// What it is called in the report.
    fn name(&self) -> &'static str;

    /// Does it once. It is done again for as long as the siege lasts, and may be broken off.
    fn run<'a>(&'a self, target: &'a Target) -> AttackFuture<'a>;
}

pub(crate) type AttackFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The hub, as one attack sees it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    sources: Range<u8>,
    turn: AtomicU64,
    rounds: AtomicU64,
    connections: AtomicU64,
}

/// A connection that speaks HTTP/2.
pub(crate) type Http2 = SendRequest<Bytes>;

impl Target {
    pub(crate) fn new(address: SocketAddr, sources: Range<u8>) -> Self {
        let [turn, rounds, connections] = [(); 3].map(|()| AtomicU64::new(0));
        Self { address, sources, turn, rounds, connections }
    }

    /// Notes that the attack was run once more.
    pub(crate) fn count_run(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// What it came to.
    pub(crate) fn summary(&self) -> impl fmt::Display {
        let [rounds, connections] =
            [&self.rounds, &self.connections].map(|count| count.load(Ordering::Relaxed));
        format!("{rounds} rounds, {connections} connections")
    }

    /// A new connection, from one of the attack's addresses in turn.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize % self.sources.len();
        let source = Ipv4Addr::new(127, 0, 0, self.sources.start + turn as u8);
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let connected = timeout(Duration::from_secs(2), socket.connect(self.address)).await??;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(connected)
    }

    /// A new connection on which these bytes have been sent.
    pub(crate) async fn say(&self, bytes: impl AsRef<[u8]>) -> io::Result<TcpStream> {
        let mut connection = self.connect().await?;
        connection.write_all(bytes.as_ref()).await?;
        Ok(connection)
    }

    /// Sends these bytes, and reads what comes back until the connection ends, for a second at most.
    pub(crate) async fn hear(&self, bytes: impl AsRef<[u8]>) -> io::Result<Vec<u8>> {
        let mut connection = self.say(bytes).await?;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(1), connection.read_to_end(&mut answer)).await;
        Ok(answer)
    }

    /// A connection that speaks HTTP/2, whose streams have room for so many bytes.
    pub(crate) async fn http2(&self, window: u32) -> Option<Http2> {
        let socket = self.connect().await.ok()?;
        let mut builder = client::Builder::new();
        builder.initial_window_size(window).initial_max_send_streams(200);
        let (requests, connection) = builder.handshake(socket).await.ok()?;
        tokio::spawn(connection);
        Some(requests)
    }

    /// A request of HTTP/2, without a body.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        http::Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }
}

/// All attackers are on the hub's own machine, where large bodies have no share to keep to. Those who
/// send them say that they are not.
pub(crate) const FROM_ELSEWHERE: &str = "X-Forwarded-For: 192.0.2.66\r\n";

/// The head of a request of HTTP/1.1.
pub(crate) fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

/// A token of somebody who may publish and subscribe a little.
pub(crate) fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let rights = json!({"publish": ["mallory/**"], "subscribe": ["**"]});
    let claims = json!({"sub": "mallory", "exp": now + 3600, "fanfare": rights});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Asks and reads to the end, blocking. Who is turned away has no answer.
pub(crate) fn ask(address: SocketAddr, request: &str) -> String {
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    let mut answer = Vec::new();
    let asked = connection.write_all(request.as_bytes());
    let _ = asked.and_then(|()| connection.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}
