//! The way between a node and Redis: it can be slow, hold everything back, break, or lead elsewhere.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A proxy on a port of its own. Dropping it breaks every connection.
#[derive(Debug)]
pub struct RedisProxy {
    address: SocketAddr,
    way: Arc<RedisLink>,
}

#[derive(Debug)]
struct RedisLink {
    to: Mutex<SocketAddr>,
    /// Nothing is carried from nodes to Redis.
    holds_requests: AtomicBool,
    /// Nothing is carried from Redis to nodes.
    holds_answers: AtomicBool,
    delay: AtomicU64,
    closed: AtomicBool,
    open: Mutex<HashMap<usize, [TcpStream; 2]>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RedisProxy {
    /// A proxy to this address.
    pub fn to(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let way = Arc::new(RedisLink {
            to: Mutex::new(to),
            holds_requests: AtomicBool::new(false),
            holds_answers: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&way);
        thread::spawn(move || {
            for (n, node) in listener.incoming().enumerate() {
                if accepting.closed.load(SeqCst) {
                    break;
                }
                if let Ok(node) = node {
                    accepting.carry(n, &node);
                }
            }
        });
        Ok(Self { address, way })
    }

    /// Where nodes find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection.
    pub fn cut(&self) {
        self.way.cut();
    }

    /// Breaks every connection; new ones lead elsewhere.
    pub fn redirect_to(&self, to: SocketAddr) {
        *lock(&self.way.to) = to;
        self.way.cut();
    }

    /// Connections stay open, and what is carried in these directions stands still.
    pub fn hold_back(&self, requests: bool, answers: bool) {
        self.way.holds_requests.store(requests, SeqCst);
        self.way.holds_answers.store(answers, SeqCst);
    }

    /// Everything takes so much longer.
    pub fn delay(&self, by: Duration) {
        self.way.delay.store(by.as_micros() as u64, SeqCst);
    }
}

impl Drop for RedisProxy {
    fn drop(&mut self) {
        self.way.closed.store(true, SeqCst);
        // The acceptor looks up from its listener once more.
        let _ = TcpStream::connect(self.address);
        self.way.cut();
    }
}

impl RedisLink {
    fn carry(self: &Arc<Self>, n: usize, node: &TcpStream) {
        let to = *lock(&self.to);
        let Ok(redis) = TcpStream::connect(to) else { return };
        let both = || Some([node.try_clone().ok()?, redis.try_clone().ok()?]);
        let (Some(kept), Some([from_node, to_redis]), Some([to_node, from_redis])) =
            (both(), both(), both())
        else {
            return;
        };
        lock(&self.open).insert(n, kept);
        for (answers, from, to) in [(false, from_node, to_redis), (true, from_redis, to_node)] {
            let _ = to.set_nodelay(true);
            let way = Arc::clone(self);
            thread::spawn(move || {
                way.copy(n, answers, &from, &to);
                way.close(n);
            });
        }
    }

    fn copy(&self, n: usize, answers: bool, mut from: &TcpStream, mut to: &TcpStream) {
        let held = if answers { &self.holds_answers } else { &self.holds_requests };
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            while held.load(SeqCst) {
                if !lock(&self.open).contains_key(&n) {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            let delay = self.delay.load(SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_micros(delay));
            }
            if to.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    }

    fn close(&self, n: usize) {
        let ends = lock(&self.open).remove(&n);
        ends.iter().flatten().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }

    fn cut(&self) {
        let open = std::mem::take(&mut *lock(&self.open));
        open.values().flatten().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }
}
