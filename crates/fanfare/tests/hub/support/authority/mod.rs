//! A certificate authority with an ACME directory (RFC 8555), on this machine. It takes nothing on
//! trust: signatures, nonces and addresses are checked, a domain is proved by a visit to where it
//! leads (RFC 8737), and a request for a certificate must be for what was proved. It is not Let's
//! Encrypt: limits, outages and policies are what a test makes of them.

mod jws;
mod protocol;
mod visit;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned};

use super::{Ca, TEST_TIMEOUT};
use jws::AccountKey;
use protocol::{Answer, Order};

pub(crate) struct Authority(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    ca: Ca,
    tls: Arc<ServerConfig>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    nonces: HashSet<String>,
    accounts: Vec<AccountKey>,
    orders: Vec<Order>,
    leads: HashMap<String, SocketAddr>,
    lifetime: Lifetime,
    away: bool,
    refuses: bool,
    visits_at_once: bool,
    issued: usize,
    posts: usize,
    /// What a client of an authority must not do.
    violations: Vec<String>,
}

/// How long a certificate has been good, and will be, when it is issued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    pub(crate) past: Duration,
    pub(crate) left: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { past: Duration::from_secs(3600), left: Duration::from_secs(90 * 24 * 3600) }
    }
}

impl Authority {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ca = Ca::new();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            tls: ca.server(),
            ca,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // Whoever breaks off has lost interest.
                thread::spawn(move || drop(shared.serve(socket)));
            }
        });
        Self(shared)
    }

    /// Where its directory is.
    pub(crate) fn directory(&self) -> String {
        self.0.url("directory")
    }

    /// Its certificate, in PEM.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.ca.file()
    }

    /// A client that trusts what it issues.
    pub(crate) fn trust(&self) -> Arc<ClientConfig> {
        self.0.ca.trust()
    }

    /// What the domain name system says from now on. Until it does, visits wait.
    pub(crate) fn lead(&self, domain: &str, to: SocketAddr) {
        self.0.lock().leads.insert(domain.to_owned(), to);
        self.0.changed.notify_all();
    }

    /// Makes visits to a domain wait.
    pub(crate) fn stall_visits(&self, domain: &str) {
        self.0.lock().leads.remove(domain);
    }

    /// How long what it issues from now on is good.
    pub(crate) fn issue_for(&self, lifetime: Lifetime) {
        self.0.lock().lifetime = lifetime;
    }

    /// Whether it breaks off every connection.
    pub(crate) fn break_connections(&self, away: bool) {
        self.0.lock().away = away;
    }

    /// Whether it takes no order.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.lock().refuses = refuses;
    }

    /// Has a visit end before its challenge is answered, as one may.
    pub(crate) fn visit_at_once(&self) {
        self.0.lock().visits_at_once = true;
    }

    /// Forgets every account.
    pub(crate) fn forget(&self) {
        self.0.lock().accounts.clear();
    }

    /// How many certificates it has issued.
    pub(crate) fn issued(&self) -> usize {
        self.0.lock().issued
    }

    /// How many orders it was given.
    pub(crate) fn orders(&self) -> usize {
        self.0.lock().orders.len()
    }

    /// How many accounts it has.
    pub(crate) fn accounts(&self) -> usize {
        self.0.lock().accounts.len()
    }

    /// The contacts of its first account.
    pub(crate) fn contacts(&self) -> Vec<String> {
        self.0.lock().accounts[0].contacts.clone()
    }

    /// What was done that it may not be asked to do.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.0.lock().violations.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.address.port())
    }

    /// Where a domain leads.
    fn resolve(&self, domain: &str) -> SocketAddr {
        let unknown = |state: &mut State| !state.leads.contains_key(domain);
        let (state, timeout) =
            self.changed.wait_timeout_while(self.lock(), TEST_TIMEOUT, unknown).unwrap();
        assert!(!timeout.timed_out(), "nobody says where {domain} leads");
        state.leads[domain]
    }

    /// Answers the one request of a connection.
    fn serve(self: &Arc<Self>, socket: TcpStream) -> std::io::Result<()> {
        if self.lock().away {
            return Ok(());
        }
        let tls = ServerConnection::new(Arc::clone(&self.tls)).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(tls, socket));
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let mut words = line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            stream.read_line(&mut header)?;
            match header.to_ascii_lowercase().trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let Answer { status, kind, location, body } = self.answer(&method, &path, &body);
        let nonce = self.lock().new_nonce();
        let location = location.map(|url| format!("Location: {url}\r\n")).unwrap_or_default();
        let length = body.len();
        let mut stream = stream.into_inner();
        write!(
            stream,
            "HTTP/1.1 {status} -\r\nReplay-Nonce: {nonce}\r\n{location}Content-Type: {kind}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        if method != "HEAD" {
            stream.write_all(body.as_bytes())?;
        }
        stream.conn.send_close_notify();
        stream.flush()
    }
}
