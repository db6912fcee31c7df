//! A little hub that keeps all the rules, and breaks the one that its flaw is about.
//!
//! What must hold: without a flaw every check passes; with one, nothing else changes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::exchange;

/// The origin whose pages are let in.
pub(crate) const ORIGIN: &str = "https://app.example.com";
/// The largest body that is taken.
pub(crate) const LARGEST: usize = 1_000_000;
/// How soon a quiet stream hears a keepalive.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(400);

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) kind: Option<String>,
    pub(crate) message: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) log: Vec<Record>,
    pub(crate) keys: HashMap<String, usize>,
    /// Held back so that it comes after its successor.
    pub(crate) held: HashMap<String, Record>,
    pub(crate) counts: HashMap<String, usize>,
    pub(crate) resumed: HashSet<String>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct FlawedHub {
    flaw: String,
    pub(crate) epoch: u64,
    state: Mutex<State>,
    pub(crate) changed: Condvar,
    pub(crate) stopping: AtomicBool,
    pub(crate) streams: AtomicUsize,
    pub(crate) open: AtomicUsize,
}

impl FlawedHub {
    pub(crate) fn new(flaw: &str) -> Arc<Self> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Arc::new(Self {
            flaw: flaw.to_owned(),
            epoch: u64::try_from(since.as_millis()).unwrap(),
            state: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        })
    }

    /// Whether this is what is wrong with it.
    pub(crate) fn has(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    pub(crate) fn wait_until_streams_have_ended(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether all streams have ended. One whose client has just left is given time to see that.
    fn nobody_listens(&self) -> bool {
        for _ in 0..100 {
            if self.open.load(Ordering::SeqCst) == 0 {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Accepts an event; its number.
    pub(crate) fn publish(&self, record: Record) -> usize {
        let unheard = self.has("forgets-what-nobody-hears") && self.nobody_listens();
        let mut state = self.state();
        let fence = record.message.starts_with(b"fence");
        let count = state.counts.entry(record.topic.clone()).or_default();
        *count += usize::from(!fence);
        let even = count.is_multiple_of(2);
        if self.has("reorders") && even && !fence {
            state.held.insert(record.topic.clone(), record);
            return state.log.len() + 2;
        }
        let again = state.log.iter().rev().find(|r| r.topic == record.topic);
        if self.has("dedupes") && again.is_some_and(|last| last.message == record.message) {
            return state.log.len();
        }
        if unheard {
            return state.log.len() + 1;
        }
        let held = state.held.remove(&record.topic);
        if self.has("drops-some") && even && !fence {
            return state.log.len() + 1;
        }
        state.log.push(record);
        let number = state.log.len();
        state.log.extend(held);
        drop(state);
        self.changed.notify_all();
        number
    }

    /// The text of an id.
    pub(crate) fn id(&self, number: usize) -> String {
        let number = if self.has("ids-have-holes") { number * 2 } else { number };
        let id = format!("{}-{number}", self.epoch);
        match self.flaw.as_str() {
            "ids-are-the-same" => format!("{}-1", self.epoch),
            "ids-are-wide" => format!("\u{e9}{id}"),
            "ids-are-long" => format!("{}{id}", "0".repeat(2000)),
            "ids-hold-nul" => format!("{id}\u{0}"),
            _ => id,
        }
    }

    /// Where an id stands: how many events came up to it.
    pub(crate) fn number(&self, id: &str) -> Option<usize> {
        let (epoch, number) = id.split_once('-')?;
        (epoch.parse() == Ok(self.epoch)).then(|| number.parse().ok()).flatten()
    }
}

/// A hub that is being served, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) url: String,
    hub: Arc<FlawedHub>,
    accepting: Option<JoinHandle<()>>,
    address: std::net::SocketAddr,
}

impl Served {
    pub(crate) fn start(hub: Arc<FlawedHub>, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        let accepting = {
            let hub = Arc::clone(&hub);
            thread::spawn(move || accept(&hub, &listener))
        };
        Ok(Self { url: format!("http://{address}"), hub, accepting: Some(accepting), address })
    }
}

fn accept(hub: &Arc<FlawedHub>, listener: &TcpListener) {
    for socket in listener.incoming() {
        if hub.is_stopping() {
            return;
        }
        let Ok(socket) = socket else { continue };
        if hub.has("serves-one-at-a-time") {
            let _ = exchange::serve(hub, &socket);
            continue;
        }
        let hub = Arc::clone(hub);
        thread::spawn(move || exchange::serve(&hub, &socket));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.hub.stop();
        // So that it notices; where it serves one at a time it may be stuck, and is left behind.
        let _ = TcpStream::connect(self.address);
        if !self.hub.has("serves-one-at-a-time") {
            let _ = self.accepting.take().map(JoinHandle::join);
        }
    }
}
