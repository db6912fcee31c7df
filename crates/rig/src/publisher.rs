//! A publisher: batches, one after another, each under a key of its own, and a note of every
//! acknowledgement.
//!
//! What must hold: an event is published again only under the key it had. A batch is acknowledged
//! only by a `200` that names an id for each of its events; anything else leaves it unknown.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::book::{BookPage, Contradiction};
use crate::http::HttpConnection;
use crate::id::ReceivedId;
use crate::ledger::{ConnectionUse, RoundLedger, Unknown, Wrong};
use crate::message::{EventName, Meant};
use crate::topic::{KINDS, TOPICS, topic};

/// How a publisher behaves.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Most events of a batch.
    pub batch: usize,
    /// Events a second, about; 0 is as fast as it goes.
    pub rate: u64,
    /// Batches carry a key and are repeated until they are acknowledged or it is too late.
    pub keyed: bool,
    /// Every batch is of one topic.
    pub one_topic: bool,
}

/// A publisher.
#[derive(Debug)]
pub struct RigPublisher<'a> {
    number: u32,
    nodes: &'a [SocketAddr],
    node: usize,
    connection: Option<HttpConnection>,
    /// When the connection was last seen to be good.
    good: u64,
    ledger: &'a RoundLedger,
    page: BookPage,
    random: fastrand::Rng,
    n: u32,
    session: u64,
}

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How long a batch is tried again. Well within the time that keys are kept.
const TRIES: Duration = Duration::from_secs(20);

impl<'a> RigPublisher<'a> {
    /// One with a number that no other has.
    pub fn new(number: u32, nodes: &'a [SocketAddr], ledger: &'a RoundLedger, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let node = random.usize(..nodes.len());
        let session = random.u64(..);
        let page = BookPage::default();
        Self { number, nodes, node, connection: None, good: 0, ledger, page, random, n: 0, session }
    }

    /// Publishes until the ledger closes.
    pub fn run(&mut self, config: &PublisherConfig) {
        let begun = Instant::now();
        let mut due = 0;
        while !self.ledger.closing.load(Ordering::Relaxed) {
            let size = self.random.usize(1..=config.batch);
            let batch = self.compose(size, config.one_topic);
            let keyed = config.keyed && self.random.u8(..4) > 0;
            self.publish(&batch, keyed, TRIES);
            due += size as u64;
            if let Some(millis) = (due * 1000).checked_div(config.rate) {
                let wait = Duration::from_millis(millis).saturating_sub(begun.elapsed());
                thread::sleep(wait.min(Duration::from_secs(1)));
            }
        }
    }

    /// One event of every topic and type, in one batch, which must be acknowledged in time.
    pub fn finish(&mut self, timeout: Duration) -> bool {
        let batch: Vec<_> = (0..TOPICS)
            .flat_map(|topic| (0..KINDS.len()).map(move |kind| (topic, kind)))
            .map(|(topic, kind)| self.next(topic, kind))
            .collect();
        self.publish(&batch, true, timeout)
    }

    fn next(&mut self, topic: usize, kind: usize) -> Meant {
        self.n += 1;
        Meant { name: EventName { publisher: self.number, n: self.n }, topic, kind }
    }

    fn compose(&mut self, size: usize, one_topic: bool) -> Vec<Meant> {
        let first = self.random.usize(..TOPICS);
        let each = |n: usize| if one_topic { first } else { (first + n) % TOPICS };
        (0..size)
            .map(|n| {
                let kind = self.random.usize(..KINDS.len());
                self.next(each(n), kind)
            })
            .collect()
    }

    fn publish(&mut self, batch: &[Meant], keyed: bool, tries: Duration) -> bool {
        let mut body = Vec::with_capacity(batch.len() * 96);
        for meant in batch {
            let kind = KINDS[meant.kind];
            let mut line = serde_json::json!({
                "message": meant.message(),
                "topic": topic(meant.topic),
            });
            if !kind.is_empty() {
                line["event"] = kind.into();
            }
            body.extend_from_slice(line.to_string().as_bytes());
            body.push(b'\n');
        }
        let first = batch[0].name;
        let key = keyed.then(|| format!("rig-{:x}-{}-{}", self.session, self.number, first.n));
        let begun = Instant::now();
        loop {
            match self.attempt(&body, key.as_deref()) {
                Ok(Some(ids)) => {
                    self.acknowledged(batch, &ids);
                    return true;
                }
                refused => {
                    if let Err(error) = refused {
                        let told = || format!("publisher {}: {error}", self.number);
                        self.ledger.ended(self.node, ConnectionUse::Request, self.good, told);
                    }
                    self.ledger.refused.fetch_add(1, Ordering::Relaxed);
                    self.connection = None;
                    self.node = (self.node + 1) % self.nodes.len();
                }
            }
            if key.is_none() || begun.elapsed() > tries {
                let count = batch.len() as u32;
                self.ledger.unknown(Unknown { first, count });
                return false;
            }
            thread::sleep(Duration::from_millis(self.random.u64(20..200)));
        }
    }

    /// The ids, or `None` where the hub refused.
    fn attempt(&mut self, body: &[u8], key: Option<&str>) -> io::Result<Option<Vec<ReceivedId>>> {
        let address = self.nodes[self.node];
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.good = self.ledger.now();
                HttpConnection::open(address, TIMEOUT)?
            }
        };
        let key = key.map_or(String::new(), |key| format!("Idempotency-Key: {key}\r\n"));
        let head = format!(
            "POST /sse/send HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\n\
             {key}Content-Length: {}\r\n\r\n",
            body.len()
        );
        connection.send(head.as_bytes())?;
        connection.send(body)?;
        let head = connection.head()?;
        let answer = connection.body(&head)?;
        self.good = self.ledger.now();
        if head.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        if head.status != 200 {
            // What is wrong with the request stays wrong.
            assert!(
                head.status >= 500 || head.status == 429,
                "{}: {}",
                head.status,
                String::from_utf8_lossy(&answer)
            );
            return Ok(None);
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        let ids = answer["ids"].as_array().into_iter().flatten();
        let ids = ids.map(|id| ReceivedId::parse(id.as_str().unwrap_or_default()));
        ids.collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("an answer without ids: {answer}")))
    }

    fn acknowledged(&mut self, batch: &[Meant], ids: &[ReceivedId]) {
        let told = || format!("publisher {}, {:?}: {ids:?}", self.number, batch[0].name);
        if ids.len() != batch.len() || ids.windows(2).any(|pair| !pair[0].touches(pair[1])) {
            self.ledger.wrong(Wrong::TornBatch, batch.len() as u64, told);
        }
        for (&id, meant) in ids.iter().zip(batch) {
            if let Err(contradiction) = self.ledger.book.enter(&mut self.page, id, meant.name) {
                let wrong = Wrong::from(contradiction);
                if !self.ledger.tolerates(wrong) {
                    self.ledger.wrong(wrong, 1, || format!("acknowledged: {meant:?} as {id}"));
                }
            }
        }
        self.ledger.acknowledge(ids.iter().copied().zip(batch.iter().copied()));
    }
}

impl From<Contradiction> for Wrong {
    fn from(contradiction: Contradiction) -> Self {
        match contradiction {
            Contradiction::TwoEventsOneId => Self::TwoEventsOneId,
            Contradiction::OneEventTwoIds => Self::OneEventTwoIds,
        }
    }
}
