//! For fuzzing: bytes through a real socket and all that stands between it and a handler, up to whom the
//! hub takes their sender for.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use fanfare_delivery::Seats;
use fanfare_net::Network;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::access::{AccessConfig, Peer, UNKNOWN};
use crate::connection::{
    ConnectionLimits, ConnectionTable, Connections, Lifecycle, TableLimits, accept,
};
use crate::front::Front;
use crate::quotas::{AddressLimits, Addresses, QuotaLimits};
use crate::state::AppState;

/// Who sends: a proxy that the hub trusts, or somebody else.
const SENDERS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
/// How long a connection may last: nothing here has to wait.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The peers of requests, and whom they were taken to come from.
type SeenPeers = Vec<(Peer, Option<IpAddr>)>;

/// A hub whose only handler notes whom requests come from.
struct ProbeHub {
    address: SocketAddr,
    seen: Arc<Mutex<SeenPeers>>,
    /// One connection at a time.
    turn: Mutex<()>,
    runtime: Runtime,
    _lifecycle: watch::Sender<Lifecycle>,
}

static HUB: LazyLock<ProbeHub> =
    LazyLock::new(|| ProbeHub::start().unwrap_or_else(|e| panic!("{e}")));

/// Tries one input: of its first byte, the last bit says who sends the others, on a new connection.
#[cfg_attr(test, allow(unreachable_pub, reason = "only a fuzz target reaches it"))]
pub fn probe_socket(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    let sender = SENDERS[usize::from(first & 1)];
    let (from, seen) = HUB.send(sender, bytes).unwrap_or_else(|error| panic!("{error}"));
    // What an earlier connection had asked for at its end may be seen only now.
    let ours = seen.into_iter().filter(|(peer, _)| peer.address.port() == from.port());
    for (peer, client) in ours {
        assert_eq!(peer, Peer { address: from, tls: false }, "it is taken for another peer");
        let client = client.unwrap_or_else(|| panic!("it came from nowhere"));
        if sender == SENDERS[1] {
            let honest = [IpAddr::from(sender), UNKNOWN].contains(&client);
            assert!(honest, "somebody gives itself the address {client}");
        }
    }
}

impl ProbeHub {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let proxies = Vec::from_iter(Network::parse("127.0.0.2/32"));
        let access = AccessConfig { proxies: proxies.clone(), ..AccessConfig::private() };
        let app = AppState::idle(&QuotaLimits::few(), access, 1);
        let seen = Arc::<Mutex<SeenPeers>>::default();
        let (noted, state) = (Arc::clone(&seen), Arc::clone(&app));
        let note = async move |request: Request| {
            let peer = request.extensions().get::<Peer>().copied();
            let client = state.access.address(request.extensions(), request.headers());
            lock(&noted).extend(peer.map(|peer| (peer, client)));
        };
        let second = Duration::from_secs(1);
        let bounds = TableLimits {
            connections: 64,
            half_open: 64,
            idle: 64,
            unread: 64,
            head_timeout: second,
            idle_timeout: second,
            write_timeout: second,
        };
        let limits = ConnectionLimits {
            head: 64 << 10,
            target: 32 << 10,
            body_timeout: second,
            bodies: 1 << 20,
            http2_requests: 256,
            hsts: second,
            bounds,
        };
        let table = ConnectionTable::new(bounds, Seats::new(0));
        let addresses = AddressLimits { all: 64, each: None, rate: None, proxies };
        let (lifecycle, phase) = watch::channel(Lifecycle::Serving);
        let router = Router::new().fallback(note);
        let addresses = Addresses::new(addresses);
        let front = Front::new(&app, router, Vec::new());
        let (connections, _) = Connections::new(front, app, table, limits, addresses, None, phase);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(accept(listener, connections));
        Ok(Self { address, seen, turn: Mutex::default(), runtime, _lifecycle: lifecycle })
    }

    /// Whom the requests in these bytes were taken to come from, and where they did.
    fn send(&self, sender: Ipv4Addr, bytes: &[u8]) -> std::io::Result<(SocketAddr, SeenPeers)> {
        let _turn = lock(&self.turn);
        lock(&self.seen).clear();
        let connected = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((sender, 0)))?;
            socket.connect(self.address).await
        });
        let mut connection: TcpStream = connected?.into_std()?;
        connection.set_nonblocking(false)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        let from = connection.local_addr()?;
        // The hub may close while it is still being talked to; what it has understood is seen.
        let _ = connection.write_all(bytes);
        let _ = connection.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        if let Err(error) = connection.read_to_end(&mut answer) {
            assert!(error.kind() != std::io::ErrorKind::WouldBlock, "the connection does not end");
        }
        Ok((from, std::mem::take(&mut lock(&self.seen))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::{HUB, SENDERS, probe_socket};

    static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/socket");
        let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
        let inputs: Vec<_> = inputs.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(inputs.len() > 3, "{corpus} is empty");
        inputs
    });

    #[test]
    fn nobody_gives_itself_another_address_by_bytes_on_a_socket() {
        for input in CORPUS.iter() {
            for sender in [0, 1] {
                probe_socket(&[&[sender], &input[1..]].concat());
            }
        }
        let understood = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (_, seen) = HUB.send(SENDERS[1], understood).unwrap();
        assert!(!seen.is_empty(), "nothing gets as far as a handler");
    }

    proptest! {
        /// What a fuzzer makes of the corpus, without being guided (`PROPTEST_CASES` for more of it).
        #[test]
        fn nobody_gives_itself_another_address_by_damaged_bytes(
            input in 0..CORPUS.len(),
            damage in proptest::collection::vec((any::<usize>(), 0..3u8, any::<u8>()), 0..6),
        ) {
            let mut bytes = CORPUS[input].clone();
            for (at, how, byte) in damage {
                let at = at % bytes.len();
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => { let again = bytes[at..].to_vec(); bytes.extend(again); }
                }
            }
            probe_socket(&bytes);
        }
    }
}
