//! A TCP proxy: a link that can be slow, stall, break, or lead elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Duration, sleep};

pub(crate) struct Proxy {
    port: u16,
    link: Arc<Link>,
    /// Counts up; connections from before are broken.
    cut: watch::Sender<u32>,
    accepting: AbortHandle,
}

struct Link {
    to: AtomicU16,
    stalled: AtomicBool,
    /// Only the first connection stalls.
    first_stalled: AtomicBool,
    /// 0 is unlimited.
    bytes_per_second: AtomicU64,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let link = Arc::new(Link {
            to: AtomicU16::new(port),
            stalled: AtomicBool::new(false),
            first_stalled: AtomicBool::new(false),
            bytes_per_second: AtomicU64::new(0),
        });
        let (cut, cuts) = watch::channel(0);
        let serving = link.clone();
        let accepting = tokio::spawn(async move {
            for n in 0.. {
                let Ok((client, _)) = listener.accept().await else { break };
                tokio::spawn(carry(client, n, serving.clone(), cuts.clone()));
            }
        });
        Self { port: own_port, link, cut, accepting: accepting.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection; new ones lead to another port.
    pub(crate) fn redirect(&self, port: u16) {
        self.link.to.store(port, Ordering::SeqCst);
        self.cut.send_modify(|cut| *cut += 1);
    }

    /// Connections stay open and carry nothing.
    pub(crate) fn stall(&self, stalled: bool) {
        self.link.stalled.store(stalled, Ordering::SeqCst);
    }

    /// The same for the first connection alone, for good.
    pub(crate) fn stall_first(&self) {
        self.link.first_stalled.store(true, Ordering::SeqCst);
    }

    pub(crate) fn throttle(&self, bytes_per_second: u64) {
        self.link.bytes_per_second.store(bytes_per_second, Ordering::SeqCst);
    }
}

impl Link {
    fn stalls(&self, n: usize) -> bool {
        self.stalled.load(Ordering::SeqCst) || (n == 0 && self.first_stalled.load(Ordering::SeqCst))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut.send_modify(|cut| *cut += 1);
    }
}

async fn carry(client: TcpStream, n: usize, link: Arc<Link>, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let Ok(server) = TcpStream::connect(("127.0.0.1", link.to.load(Ordering::SeqCst))).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, n, &link) => {}
        () = copy(from_server, to_client, n, &link) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    n: usize,
    link: &Link,
) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        while link.stalls(n) {
            sleep(Duration::from_millis(5)).await;
        }
        let rate = link.bytes_per_second.load(Ordering::SeqCst);
        if let Some(micros) = (read as u64 * 1_000_000).checked_div(rate) {
            sleep(Duration::from_micros(micros)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
