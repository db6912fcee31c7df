//! What was acknowledged survives `kill -9`, again and again, under load; nobody who resumes by id
//! misses anything or gets it twice; a retried publish stays one event.
//!
//! The ledger: each publisher numbers the messages of its topic and repeats one, with its key,
//! until it is acknowledged. So every subscriber must receive each topic's numbers densely.
//!
//! Invariant: *no silent loss*, *once*.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fanfare_sse::{Parsed, Parser};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Hub, Setup, TEST_TIMEOUT};

const ROUNDS: usize = 20;
const PUBLISHERS: usize = 4;
/// How many acknowledgements there are between two kills, at least.
const ROUND: u64 = 100;

#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let start = || Setup::new(&["--data", &data, "--window-count", "64"]).own_log().start();
    let mut hub = start();
    let world = World::new(hub.address());
    let first = hub.publisher().send_to("start", "start");
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let world = &world;
            scope.spawn(move || world.watch(|| world.publish(publisher)));
        }
        for _ in 0..3 {
            let (world, first) = (&world, first.clone());
            scope.spawn(move || world.watch(|| world.subscribe(first)));
        }
        world.watch(|| {
            for _ in 0..ROUNDS {
                let target = world.acknowledged.load(Ordering::Relaxed) + ROUND;
                world.wait(|| world.acknowledged.load(Ordering::Relaxed) >= target);
                // Nobody connects meanwhile: the port may be another hub's by then.
                let mut address = world.address();
                hub.signal(Signal::KILL);
                hub.wait();
                hub = start();
                *address = hub.address();
            }
        });
        world.stopping.store(true, Ordering::Relaxed);
    });
    assert!(!world.failed.load(Ordering::Relaxed));
    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["log", "verify", &data])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn whoever_was_behind_when_the_machine_may_have_lost_something_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let start = || Setup::new(&["--data", &data, "--sync", "os"]).own_log().start();
    let mut hub = start();
    let ids = hub.publisher().count("default", 0..10);
    let restart = |hub: &mut Hub| {
        hub.signal(Signal::KILL);
        hub.wait();
        *hub = start();
    };
    restart(&mut hub);
    let mut subscriber = hub.subscription().after(&ids[4]).open();
    let next = hub.publisher().send("10");
    let all: Vec<_> = (5..11).map(|n| n.to_string()).collect();
    assert_eq!(subscriber.messages(6), all, "the machine lives: nothing is lost, nothing is told");
    drop(subscriber);
    // Another boot than the one that is noted: the machine has stopped in the meantime.
    hub.signal(Signal::KILL);
    hub.wait();
    std::fs::write(directory.path().join("unsynced"), "of no boot").unwrap();
    hub = start();
    hub.await_log("the machine stopped before");
    let mut subscriber = hub.subscription().after(&ids[4]).open();
    assert_eq!(subscriber.messages(6), all, "what is there comes first");
    let gap = subscriber.gap("engine_lost_writes");
    assert!(crate::support::seq(&next) == 1 && gap.seq() == 0, "{gap:?}");
    hub.publisher().send("after");
    assert_eq!(subscriber.messages(1), ["after"]);
}

/// What publishers, subscribers and whoever kills the hub share.
struct World {
    address: Mutex<SocketAddr>,
    acknowledged: AtomicU64,
    /// How many messages of each publisher were acknowledged in the end.
    ends: [AtomicU64; PUBLISHERS],
    stopping: AtomicBool,
    failed: AtomicBool,
}

impl World {
    const RUNNING: u64 = u64::MAX;

    fn new(address: SocketAddr) -> Self {
        Self {
            address: Mutex::new(address),
            acknowledged: AtomicU64::new(0),
            ends: [const { AtomicU64::new(Self::RUNNING) }; PUBLISHERS],
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    fn address(&self) -> MutexGuard<'_, SocketAddr> {
        self.address.lock().unwrap()
    }

    /// Runs a part; if it panics, the others stop too instead of waiting for it.
    fn watch<T>(&self, part: impl FnOnce() -> T) -> T {
        struct Fuse<'a>(&'a World);
        impl Drop for Fuse<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.failed.store(true, Ordering::Relaxed);
                    self.0.stopping.store(true, Ordering::Relaxed);
                }
            }
        }
        let _fuse = Fuse(self);
        part()
    }

    fn wait(&self, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(!self.failed.load(Ordering::Relaxed), "another part failed");
            assert!(begun.elapsed() < TEST_TIMEOUT, "nothing moves");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn publish(&self, publisher: usize) {
        let mut connection = None;
        let mut number = 0;
        let mut begun = Instant::now();
        while !self.stopping.load(Ordering::Relaxed) {
            match self.publish_one(&mut connection, publisher, number) {
                Ok(()) => {
                    number += 1;
                    begun = Instant::now();
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    connection = None;
                    assert!(begun.elapsed() < TEST_TIMEOUT, "cannot publish: {error}");
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
        self.ends[publisher].store(number, Ordering::Relaxed);
    }

    fn publish_one(
        &self,
        connection: &mut Option<BufReader<TcpStream>>,
        publisher: usize,
        number: u64,
    ) -> io::Result<()> {
        if connection.is_none() {
            let stream = TcpStream::connect(*self.address())?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TEST_TIMEOUT))?;
            *connection = Some(BufReader::new(stream));
        }
        let Some(connection) = connection else { unreachable!("just connected") };
        let body = format!(r#"{{"topic":"t/{publisher}","message":"{number}"}}"#);
        let request = format!(
            "POST /sse/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Idempotency-Key: {publisher}-{number}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let mut status = String::new();
        connection.read_line(&mut status)?;
        if status.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        assert!(status.starts_with("HTTP/1.1 200 "), "{status:?}");
        let mut length = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim_end().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        connection.read_exact(&mut answer)?;
        assert!(String::from_utf8_lossy(&answer).contains(r#""durability":"disk""#));
        Ok(())
    }

    /// Reads everything from `id` on, over as many connections as it takes.
    fn subscribe(&self, mut id: String) {
        let mut ledgers: [u64; PUBLISHERS] = [0; PUBLISHERS];
        let mut connections = 0;
        let mut begun = Instant::now();
        while !self.is_complete(&ledgers) {
            assert!(!self.failed.load(Ordering::Relaxed), "another part failed");
            assert!(begun.elapsed() < TEST_TIMEOUT, "nothing arrives: {ledgers:?}");
            // However a connection ends, what counts is what came over it.
            let _ = self.read(&mut id, &mut ledgers, || begun = Instant::now());
            connections += 1;
        }
        assert!(connections > ROUNDS / 2, "hardly any reconnect was tested");
    }

    /// Whether everything acknowledged has arrived. One message more can have been accepted: the
    /// one whose acknowledgement the last kill cut off.
    fn is_complete(&self, ledgers: &[u64; PUBLISHERS]) -> bool {
        self.ends.iter().zip(ledgers).all(|(end, next)| end.load(Ordering::Relaxed) <= *next)
    }

    /// One connection, until it is lost or the ledgers are complete.
    fn read(
        &self,
        id: &mut String,
        ledgers: &mut [u64; PUBLISHERS],
        mut progress: impl FnMut(),
    ) -> io::Result<()> {
        let mut stream = TcpStream::connect(*self.address())?;
        // So that completion is noticed although nothing comes.
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        // HTTP/1.0: the body is the stream as it is.
        let request = format!(
            "GET /sse/events?topic=t/*&envelope=json HTTP/1.0\r\nLast-Event-ID: {id}\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut parser = Parser::new(1 << 20);
        let (mut head, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let begun = Instant::now();
        while !self.is_complete(ledgers) && begun.elapsed() < TEST_TIMEOUT {
            let count = match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let mut input = &buffer[..count];
            if !head.ends_with(b"\r\n\r\n") {
                let end = (0..count).find(|&end| {
                    head.push(buffer[end]);
                    head.ends_with(b"\r\n\r\n")
                });
                let Some(end) = end else { continue };
                assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
                input = &buffer[end + 1..count];
            }
            while let Some(parsed) = parser.next(&mut input).unwrap() {
                let Parsed::Event(event) = parsed else { continue };
                assert_ne!(event.event.as_deref(), Some("fanfare.gap"), "{event:?}");
                if event.event.is_none() {
                    let data: Value = serde_json::from_str(&event.data).unwrap();
                    let topic = data["topic"].as_str().unwrap().strip_prefix("t/").unwrap();
                    let next = &mut ledgers[topic.parse::<usize>().unwrap()];
                    let message = data["message"].as_str().unwrap();
                    assert_eq!(message, next.to_string(), "lost or repeated: {event:?}");
                    *next += 1;
                    progress();
                }
                id.clone_from(&event.id);
            }
        }
        Ok(())
    }
}
