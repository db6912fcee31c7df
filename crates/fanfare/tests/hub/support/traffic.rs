//! Traffic that goes on whatever happens to the hub, and the judge of what came of it.
//!
//! Publishers number their messages and enter in a ledger what was acknowledged; one that was not is
//! not repeated. Subscribers move from node to node, now by their own will, now because they were
//! cut off, and resume by id. What must hold for each of them: events in order, none twice, and
//! every acknowledged one received, or a gap where it should stand.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fanfare_sse::{Parsed, ParsedEvent, Parser};
use serde_json::{Value, json};

use super::heard::{Position, position};
use super::{Hub, TEST_TIMEOUT};

const PUBLISHERS: usize = 2;
const SUBSCRIBERS: u64 = 4;
/// The last message of all.
const END: &str = "end";

/// Publishers and subscribers of some nodes.
pub(crate) struct Traffic {
    world: Arc<World>,
    start: Position,
    publishers: Vec<JoinHandle<()>>,
    subscribers: Vec<JoinHandle<Vec<Seen>>>,
}

/// What they share.
struct World {
    nodes: Mutex<Vec<SocketAddr>>,
    acknowledged: Mutex<BTreeMap<Position, String>>,
    refusals: Mutex<Vec<Refusal>>,
    /// How many events all subscribers together have received.
    received: AtomicUsize,
    publishing: AtomicBool,
    /// Whether someone has failed, so that nobody need wait for them.
    failed: AtomicBool,
}

/// A publish that was not accepted, or not known to be.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: String,
}

/// What one subscriber received.
#[derive(Debug, Clone)]
enum Seen {
    Event(Position, String),
    Gap(String),
}

/// What came of it, once nobody was found to have lost anything in silence.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The reasons of the gaps, of each subscriber.
    pub(crate) gaps: Vec<Vec<String>>,
    pub(crate) refusals: Vec<Refusal>,
}

impl Traffic {
    /// Begins, and waits until something has arrived.
    pub(crate) fn begin(nodes: &[&Hub]) -> Self {
        let start = nodes[0].publisher().send_to("start", "start");
        let world = Arc::new(World {
            nodes: Mutex::new(nodes.iter().map(|node| node.address()).collect()),
            acknowledged: Mutex::default(),
            refusals: Mutex::default(),
            received: AtomicUsize::new(0),
            publishing: AtomicBool::new(true),
            failed: AtomicBool::new(false),
        });
        let publishers =
            (0..PUBLISHERS).map(|n| World::part(&world, move |world| world.publish(n)));
        let publishers = publishers.collect();
        let subscribers = (0..SUBSCRIBERS).map(|n| {
            let start = start.clone();
            World::part(&world, move |world| world.subscribe(n, start))
        });
        let subscribers = subscribers.collect();
        let start = position(&start).expect("an id");
        let traffic = Self { world, start, publishers, subscribers };
        traffic.flow();
        traffic
    }

    /// Waits until some more has been acknowledged and received.
    pub(crate) fn flow(&self) {
        let (acknowledged, received) = (self.acknowledged() + 200, self.received() + 200);
        self.world.wait("acknowledgements", || self.acknowledged() >= acknowledged);
        self.world.wait("deliveries", || self.received() >= received);
    }

    /// Waits until some publishes have been refused from now on.
    pub(crate) fn refused(&self) {
        let count = || self.world.refusals.lock().unwrap().len();
        let awaited = count() + PUBLISHERS;
        self.world.wait("refusals", || count() >= awaited);
    }

    /// A node serves at another address from now on.
    pub(crate) fn moved(&self, node: usize, address: SocketAddr) {
        self.world.nodes.lock().unwrap()[node] = address;
    }

    fn acknowledged(&self) -> usize {
        self.world.acknowledged.lock().unwrap().len()
    }

    fn received(&self) -> usize {
        self.world.received.load(Ordering::Relaxed)
    }

    /// Ends the traffic and judges. `kept` says whether an event that was acknowledged before the
    /// engine lost it stands in the log that is left: nobody can be told of one that they never had
    /// when those that did not get lost follow on from what they had.
    pub(crate) fn end(self, kept: impl Fn(&str) -> bool) -> Outcome {
        self.world.publishing.store(false, Ordering::Relaxed);
        self.publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        self.world.publish_end();
        let seen: Vec<_> =
            self.subscribers.into_iter().map(|subscriber| subscriber.join().unwrap()).collect();
        let acknowledged = self.world.acknowledged.lock().unwrap();
        for seen in &seen {
            judge(self.start, &acknowledged, seen, &kept);
        }
        let reason = |seen: &Seen| match seen {
            Seen::Gap(reason) => Some(reason.clone()),
            Seen::Event(..) => None,
        };
        Outcome {
            gaps: seen.iter().map(|seen| seen.iter().filter_map(reason).collect()).collect(),
            refusals: self.world.refusals.lock().unwrap().clone(),
        }
    }
}

impl Outcome {
    /// Nobody was told that anything was lost.
    pub(crate) fn assert_no_gap(&self) {
        assert!(
            self.gaps.iter().all(Vec::is_empty),
            "gaps where nothing was lost: {:?}",
            self.gaps
        );
    }

    /// Everyone was told, and for none but these reasons.
    pub(crate) fn assert_gaps(&self, reasons: &[&str]) {
        let known = |reason: &String| reasons.contains(&reason.as_str());
        let told = |gaps: &Vec<String>| !gaps.is_empty() && gaps.iter().all(known);
        assert!(self.gaps.iter().all(told), "{:?}", self.gaps);
    }
}

fn judge(
    start: Position,
    acknowledged: &BTreeMap<Position, String>,
    seen: &[Seen],
    kept: &impl Fn(&str) -> bool,
) {
    let mut received = BTreeMap::new();
    let mut latest = BTreeMap::new();
    let mut last = start;
    for (index, seen) in seen.iter().enumerate() {
        let Seen::Event(at, message) = seen else { continue };
        assert!(*at > last, "{message} at {at:?} after {last:?}: out of order, or twice");
        last = *at;
        received.insert(*at, (index, message));
        if let Some((publisher, number)) = message.split_once('.') {
            let number: u64 = number.parse().unwrap();
            let before = latest.insert(publisher, number);
            assert!(before.is_none_or(|before| before < number), "{message} after {before:?}");
        }
    }
    for (at, message) in acknowledged {
        if let Some((_, other)) = received.get(at) {
            assert_eq!(*other, message, "another event at {at:?}");
            continue;
        }
        let before = received.range(..at).next_back().map_or(0, |(_, (index, _))| *index);
        let after = received.range(at..).next().map_or(seen.len(), |(_, (index, _))| *index);
        let told = seen[before..after].iter().any(|seen| matches!(seen, Seen::Gap(_)));
        assert!(told || !kept(message), "{message} at {at:?} was lost in silence");
    }
}

impl World {
    /// Runs a part; if it panics, nobody waits for it.
    fn part<T: Send + 'static>(
        world: &Arc<Self>,
        part: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        struct Fuse(Arc<World>);
        impl Drop for Fuse {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.failed.store(true, Ordering::Relaxed);
                }
            }
        }
        let fuse = Fuse(Arc::clone(world));
        thread::spawn(move || part(&fuse.0))
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(!self.failed.load(Ordering::Relaxed), "another part failed");
            assert!(begun.elapsed() < TEST_TIMEOUT, "waited in vain for: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn node(&self, turn: usize) -> SocketAddr {
        let nodes = self.nodes.lock().unwrap();
        nodes[turn % nodes.len()]
    }

    fn publish(&self, publisher: usize) {
        let (mut connection, mut turn) = (None, publisher);
        for number in 0.. {
            if !self.publishing.load(Ordering::Relaxed) {
                break;
            }
            let message = format!("{publisher}.{number}");
            if self.publish_one(&mut connection, turn, &message).is_err() {
                connection = None;
                turn += 1;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether it was acknowledged; an error is a connection that is lost.
    fn publish_one(
        &self,
        connection: &mut Option<BufReader<TcpStream>>,
        turn: usize,
        message: &str,
    ) -> io::Result<bool> {
        if connection.is_none() {
            let stream = TcpStream::connect(self.node(turn))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TEST_TIMEOUT))?;
            *connection = Some(BufReader::new(stream));
        }
        let Some(connection) = connection else { unreachable!("just connected") };
        let body = json!({ "topic": "t", "message": message }).to_string();
        let request = format!(
            "POST /sse/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_ascii_lowercase());
        }
        let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
        let length = header("content-length: ").and_then(|length| length.parse().ok());
        let mut answer = vec![0; length.expect("an answer states its length")];
        connection.read_exact(&mut answer)?;
        let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
        let status = head[0].split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        if status == 200 {
            let at = answer["id"].as_str().and_then(position).expect("an id");
            let before = self.acknowledged.lock().unwrap().insert(at, message.to_owned());
            assert!(before.is_none(), "{at:?} was given to {before:?} and to {message}");
            return Ok(true);
        }
        assert!([503, 507].contains(&status), "{message}: {status} {answer}");
        assert!(header("retry-after: ").is_some(), "{message}: {head:?}");
        let detail = answer["detail"].as_str().expect("it says why").to_owned();
        self.refusals.lock().unwrap().push(Refusal { status, detail });
        Ok(false)
    }

    fn publish_end(&self) {
        let begun = Instant::now();
        for turn in 0.. {
            if self.publish_one(&mut None, turn, END).is_ok_and(|accepted| accepted) {
                break;
            }
            assert!(begun.elapsed() < TEST_TIMEOUT, "nothing is accepted any more");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Receives everything from `id` on, over as many connections as it takes.
    fn subscribe(&self, number: u64, mut id: String) -> Vec<Seen> {
        let mut random = fastrand::Rng::with_seed(number);
        let mut seen = Vec::new();
        let begun = Instant::now();
        for turn in number as usize.. {
            // Every other stays for as long as it can.
            let stay = if number.is_multiple_of(2) { usize::MAX } else { random.usize(20..400) };
            // However a connection ends, what counts is what came over it.
            if self.read(turn, &mut id, stay, &mut seen).is_ok_and(|over| over) {
                break;
            }
            assert!(!self.failed.load(Ordering::Relaxed), "another part failed");
            assert!(begun.elapsed() < 4 * TEST_TIMEOUT, "the end does not come");
            thread::sleep(Duration::from_millis(5));
        }
        seen
    }

    /// One connection, until so many events have come, or it is lost. True after the last message.
    fn read(
        &self,
        turn: usize,
        id: &mut String,
        stay: usize,
        seen: &mut Vec<Seen>,
    ) -> io::Result<bool> {
        let mut stream = TcpStream::connect(self.node(turn))?;
        // Longer than the hub is ever silent, and time to look whether others have failed.
        stream.set_read_timeout(Some(TEST_TIMEOUT))?;
        // HTTP/1.0: the body is the stream as it is.
        let request = format!("GET /sse/events?topic=t HTTP/1.0\r\nLast-Event-ID: {id}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut parser = Parser::new(1 << 20);
        let (mut head, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let mut received = 0;
        while received < stay {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(false);
            }
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
                let Parsed::Event(ParsedEvent { id: at, event, data }) = parsed else { continue };
                id.clone_from(&at);
                match event.as_deref() {
                    None => {
                        seen.push(Seen::Event(position(&at).expect("an id"), data.clone()));
                        self.received.fetch_add(1, Ordering::Relaxed);
                        received += 1;
                        if data == END {
                            return Ok(true);
                        }
                    }
                    Some("fanfare.gap") => {
                        let gap: Value = serde_json::from_str(&data).unwrap();
                        seen.push(Seen::Gap(gap["reason"].as_str().unwrap().to_owned()));
                    }
                    Some("fanfare.cursor") => {}
                    Some(other) => panic!("{other} among {seen:?}"),
                }
            }
        }
        Ok(false)
    }
}
