//! A TCP proxy: a way that can be slow, stall, break, or lead elsewhere.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A proxy on a port of its own. Dropping it breaks every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    way: Arc<ProxyState>,
}

#[derive(Debug)]
struct ProxyState {
    to: AtomicU16,
    stalled: AtomicBool,
    /// Only the first connection stalls.
    first_stalled: AtomicBool,
    /// What comes back is held up.
    mute: AtomicBool,
    /// 0 is unlimited.
    bytes_per_second: AtomicU64,
    closed: AtomicBool,
    /// Both ends of every open connection.
    open: Mutex<HashMap<usize, [TcpStream; 2]>>,
}

impl Proxy {
    /// A proxy to a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let way = Arc::new(ProxyState {
            to: AtomicU16::new(port),
            stalled: AtomicBool::new(false),
            first_stalled: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            bytes_per_second: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&way);
        thread::spawn(move || {
            for (n, client) in listener.incoming().enumerate() {
                if accepting.closed.load(SeqCst) {
                    break;
                }
                if let Ok(client) = client {
                    accepting.carry(n, &client);
                }
            }
        });
        Self { port: own_port, way }
    }

    /// A Redis URL that leads through it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection; new ones lead to another port.
    pub fn redirect(&self, port: u16) {
        self.redirect_to_port(port);
        self.way.cut();
    }

    /// New connections lead to another port; those that are open stay.
    pub fn redirect_to_port(&self, port: u16) {
        self.way.to.store(port, SeqCst);
    }

    /// Connections stay open and carry nothing.
    pub fn stall(&self, stalled: bool) {
        self.way.stalled.store(stalled, SeqCst);
    }

    /// The same for the first connection alone, for good.
    pub fn stall_first(&self) {
        self.way.first_stalled.store(true, SeqCst);
    }

    /// Connections carry requests and hold answers back.
    pub fn mute(&self, mute: bool) {
        self.way.mute.store(mute, SeqCst);
    }

    /// Carries no more than this in each direction of a connection; 0 is no limit.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.way.bytes_per_second.store(bytes_per_second, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.way.closed.store(true, SeqCst);
        // The acceptor looks up from its listener once more.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.way.cut();
    }
}

impl ProxyState {
    fn carry(self: &Arc<Self>, n: usize, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to.load(SeqCst))) else { return };
        let both = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
        self.open.lock().unwrap().insert(n, both());
        let ([from_client, to_server], [to_client, from_server]) = (both(), both());
        for (back, [from, to]) in
            [(false, [from_client, to_server]), (true, [from_server, to_client])]
        {
            let _ = to.set_nodelay(true);
            let way = Arc::clone(self);
            thread::spawn(move || {
                way.copy(n, back, &from, &to);
                way.close(n);
            });
        }
    }

    fn copy(&self, n: usize, back: bool, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            while self.stalls(n, back) {
                if !self.open.lock().unwrap().contains_key(&n) {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            let rate = self.bytes_per_second.load(SeqCst);
            if let Some(micros) = (read as u64 * 1_000_000).checked_div(rate) {
                thread::sleep(Duration::from_micros(micros));
            }
            if to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }

    fn stalls(&self, n: usize, back: bool) -> bool {
        let held = self.stalled.load(SeqCst) || (back && self.mute.load(SeqCst));
        held || (n == 0 && self.first_stalled.load(SeqCst))
    }

    fn close(&self, n: usize) {
        let ends = self.open.lock().unwrap().remove(&n);
        ends.iter().flatten().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }

    fn cut(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        open.values().flatten().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }
}
