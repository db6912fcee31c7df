//! A client: it subscribes, notes what it hears, goes away, and comes back with the last id it
//! heard.
//!
//! What must hold: it looks at nothing but its stream; what it finds wrong in it, it finds while it
//! reads, and what only others can tell it leaves to the judge.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::book::BookPage;
use crate::http::{BodyState, Got, HttpConnection};
use crate::id::ReceivedId;
use crate::ledger::{ClientStream, ConnectionUse, Observation, RoundLedger, What, Wrong};
use crate::message::{EventName, Meant};
use crate::sse::{ParsedSseEvent, SseParser};
use crate::topic::{KINDS, TopicChoice, topic};

/// How events are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedEnvelope {
    /// The data is the message.
    None,
    /// The data is JSON that holds it.
    Json,
    /// The same, and no event has a type outside.
    Sealed,
}

impl AskedEnvelope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Json, Self::Sealed];

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Json => "json",
            Self::Sealed => "sealed",
        }
    }
}

/// With what a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCursor {
    /// Nothing: what is published from now on.
    Live,
    /// Everything that is retained.
    Earliest,
    /// What comes after this.
    After(ReceivedId),
}

/// When it leaves, whichever is first.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// After so many events.
    pub events: u64,
    /// After this time.
    pub time: Duration,
    /// Once it has come this far.
    pub at: Option<ReceivedId>,
    /// It pauses for this long after each read, as long as there is time.
    pub read_pause: Duration,
    /// It takes little at a time.
    pub narrow: bool,
}

/// A client.
#[derive(Debug)]
pub struct RigClient<'a> {
    number: u32,
    nodes: &'a [SocketAddr],
    ledger: &'a RoundLedger,
    /// What it wants.
    pub selector: Arc<TopicChoice>,
    envelope: AskedEnvelope,
    wanted: Vec<bool>,
    page: BookPage,
    /// The last id it knows.
    pub position: Option<ReceivedId>,
    /// The latest event of this connection.
    latest: Option<ReceivedId>,
    /// It has a stream.
    has_stream: bool,
    /// The last gap it was told.
    pub gap: Option<ReceivedId>,
    /// What it heard by name, where somebody wants to know.
    pub names: Option<HashSet<EventName>>,
    /// Everyone should come to the end now.
    finishing: &'a AtomicBool,
}

/// How long an answer may take. A node that waits for its engine keeps a client for ten seconds.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How a stream ends that the hub ends.
const CLOSED: &str = "the hub closed it";

/// How often a client looks up from a quiet stream.
const LOOK_UP: Duration = Duration::from_millis(50);

impl<'a> RigClient<'a> {
    /// One with a number that no other has.
    pub fn new(
        number: u32,
        nodes: &'a [SocketAddr],
        ledger: &'a RoundLedger,
        finishing: &'a AtomicBool,
        selector: TopicChoice,
        envelope: AskedEnvelope,
    ) -> Self {
        let wanted = (0..crate::topic::TOPICS * KINDS.len())
            .map(|n| selector.wants(&topic(n / KINDS.len()), n % KINDS.len()))
            .collect();
        Self {
            number,
            nodes,
            ledger,
            selector: Arc::new(selector),
            envelope,
            wanted,
            page: BookPage::default(),
            position: None,
            latest: None,
            has_stream: false,
            gap: None,
            names: None,
            finishing,
        }
    }

    /// One connection to a node, noted in the ledger.
    pub fn run_connection(&mut self, node: usize, cursor: ClientCursor, leave: Leave) {
        let after = match cursor {
            ClientCursor::After(id) => Some(id),
            ClientCursor::Live | ClientCursor::Earliest => None,
        };
        self.position = after;
        self.latest = None;
        self.has_stream = false;
        let mut stream = ClientStream {
            client: self.number,
            node,
            selector: Arc::clone(&self.selector),
            after,
            at: self.ledger.now(),
            heard: Vec::new(),
            end: String::new(),
            to_the_end: false,
        };
        stream.end = match self.listen(&mut stream, cursor, leave) {
            Ok(why) => {
                if why == CLOSED {
                    self.noted(&stream, why);
                }
                why.to_owned()
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::InvalidData {
                    self.noted(&stream, &error.to_string());
                }
                if error.kind() == io::ErrorKind::InvalidData {
                    self.ledger.wrong(Wrong::Malformed, 1, || {
                        format!("client {} at node {node}: {error}", self.number)
                    });
                }
                error.to_string()
            }
        };
        // Nobody else has heard anything that the judge could use.
        if !stream.heard.is_empty() || self.finishing.load(Ordering::Relaxed) {
            self.ledger.record_stream(stream);
        }
    }

    fn noted(&self, stream: &ClientStream, why: &str) {
        let open = match self.has_stream {
            true if stream.heard.is_empty() => ConnectionUse::Beginning,
            true => ConnectionUse::Stream,
            false => ConnectionUse::Request,
        };
        self.ledger
            .ended(stream.node, open, stream.at, || format!("client {}: {why}", self.number));
    }

    fn listen(
        &mut self,
        stream: &mut ClientStream,
        cursor: ClientCursor,
        leave: Leave,
    ) -> io::Result<&'static str> {
        let begun = Instant::now();
        let address = self.nodes[stream.node];
        let mut connection = match leave.narrow {
            true => HttpConnection::open_narrow(address, TIMEOUT)?,
            false => HttpConnection::open(address, TIMEOUT)?,
        };
        let cursor = match cursor {
            ClientCursor::Live => String::new(),
            ClientCursor::Earliest => "last_event_id=earliest&".to_owned(),
            ClientCursor::After(id) => format!("last_event_id={id}&"),
        };
        let query = self.selector.query();
        let envelope = self.envelope.as_str();
        let request = format!(
            "GET /sse/events?{query}{cursor}envelope={envelope} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        );
        connection.send(request.as_bytes())?;
        let head = connection.head()?;
        if head.status != 200 {
            let told = format!("status {} to a client, for good", head.status);
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
        self.ledger.connections.fetch_add(1, Ordering::Relaxed);
        self.has_stream = true;
        connection.set_read_timeout(LOOK_UP)?;
        let (mut body, mut parser) = (BodyState::of(&head), SseParser::default());
        let (mut bytes, mut count) = (Vec::new(), 0);
        let mut target = leave.at;
        loop {
            bytes.clear();
            match connection.more(&mut body, &mut bytes)? {
                Got::Bytes => {
                    let go_on = parser
                        .push(&bytes, |event| {
                            let well = self.on_event(stream, event);
                            count += 1;
                            well && count < leave.events
                        })
                        .map_err(|told| io::Error::new(io::ErrorKind::InvalidData, told))?;
                    if !go_on {
                        return Ok("the client left");
                    }
                }
                Got::Nothing => {}
                Got::End => return Ok(CLOSED),
            }
            let finishing = self.finishing.load(Ordering::Acquire);
            if target.is_none() && finishing {
                target = self.target();
                if leave.narrow {
                    connection.widen()?;
                }
            }
            // Who knows no id is owed nothing, unless it came for everything.
            let is_far = |end| self.position.map_or(leave.at.is_none(), |here| here >= end);
            if target.is_some_and(is_far) {
                return Ok("the client has come far enough");
            }
            if begun.elapsed() >= leave.time {
                return Ok("the client had enough");
            }
            if !leave.read_pause.is_zero() && !finishing {
                std::thread::sleep(leave.read_pause);
            }
        }
    }

    /// The last that was acknowledged of what this client wants.
    pub fn target(&self) -> Option<ReceivedId> {
        self.ledger.look(|all| {
            let wanted = all
                .iter()
                .filter(|event| self.wanted[event.meant.topic * KINDS.len() + event.meant.kind]);
            wanted.map(|event| event.id).max()
        })
    }

    /// Says in the ledger that this client should have everything now.
    pub fn conclude(&self) {
        self.ledger.record_stream(ClientStream {
            client: self.number,
            node: 0,
            selector: Arc::clone(&self.selector),
            after: self.position,
            at: self.ledger.now(),
            heard: Vec::new(),
            end: "it was given up".to_owned(),
            to_the_end: true,
        });
    }

    /// Whether it has everything.
    pub fn is_at_the_end(&self) -> bool {
        let Some(position) = self.position else { return true };
        self.target().is_none_or(|target| position >= target)
    }

    /// Notes an event; `false` if the stream is not worth reading on.
    fn on_event(&mut self, stream: &mut ClientStream, event: &ParsedSseEvent) -> bool {
        let at = self.ledger.now();
        let Some(id) = ReceivedId::parse(&event.id) else {
            return self.mismatch(
                Wrong::Malformed,
                stream,
                &format!("an id that is none: {event:?}"),
            );
        };
        match event.kind.as_str() {
            "fanfare.gap" => {
                let told: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
                let to = told["resumed_from"].as_str().and_then(ReceivedId::parse);
                if to != Some(id) {
                    let told = format!("a gap whose id is not where it resumes: {event:?}");
                    return self.mismatch(Wrong::Malformed, stream, &told);
                }
                let reason = told["reason"].as_str().unwrap_or_default().to_owned();
                stream.heard.push(Observation { at, what: What::Gap { reason, to: id } });
                self.gap = Some(id);
                self.position = Some(id);
                return true;
            }
            "fanfare.cursor" => {
                stream.heard.push(Observation { at, what: What::Cursor(id) });
                if self.position.is_some_and(|position| id < position) {
                    return self.mismatch(Wrong::Reordered, stream, "a cursor event goes back");
                }
                self.position = Some(id);
                return true;
            }
            _ => {}
        }
        let Some((meant, kind)) = self.open(event) else {
            return self.mismatch(Wrong::Garbled, stream, &format!("{event:?}"));
        };
        if KINDS[meant.kind] != kind {
            return self.mismatch(Wrong::Garbled, stream, &format!("its type: {event:?}"));
        }
        if !self.wanted[meant.topic * KINDS.len() + meant.kind] {
            return self.mismatch(Wrong::Unwanted, stream, &format!("{event:?}"));
        }
        if let Err(contradiction) = self.ledger.book.enter(&mut self.page, id, meant.name) {
            let wrong = contradiction.into();
            if !self.ledger.tolerates(wrong) {
                return self.mismatch(wrong, stream, &format!("{meant:?} as {id}"));
            }
        }
        // What is later than everything need not be looked for.
        if self.latest.is_some_and(|latest| id <= latest) && received_before(&stream.heard, id) {
            return self.mismatch(Wrong::Duplicate, stream, &format!("{meant:?} as {id}"));
        }
        if self.position.is_some_and(|position| id <= position) {
            let told = format!("{id} after {:?}", self.position);
            return self.mismatch(Wrong::Reordered, stream, &told);
        }
        self.position = Some(id);
        self.latest = self.latest.max(Some(id));
        if let Some(names) = &mut self.names {
            names.insert(meant.name);
        }
        self.ledger.delivered.fetch_add(1, Ordering::Relaxed);
        if let Some(Observation { what: What::Events { last, .. }, .. }) = stream.heard.last_mut()
            && last.touches(id)
        {
            *last = id;
        } else {
            stream.heard.push(Observation { at, what: What::Events { first: id, last: id } });
        }
        true
    }

    /// What an event holds, and its type.
    fn open(&self, event: &ParsedSseEvent) -> Option<(Meant, String)> {
        if self.envelope == AskedEnvelope::None {
            return Some((Meant::read(&event.data)?, event.kind.clone()));
        }
        let data: serde_json::Value = serde_json::from_str(&event.data).ok()?;
        let meant = Meant::read(data["message"].as_str()?)?;
        let inside = data["event"].as_str().unwrap_or_default();
        let outside = if self.envelope == AskedEnvelope::Sealed { "" } else { inside };
        let agrees = event.kind == outside && data["topic"] == topic(meant.topic);
        agrees.then(|| (meant, inside.to_owned()))
    }

    fn mismatch(&self, wrong: Wrong, stream: &ClientStream, told: &str) -> bool {
        self.ledger.wrong(wrong, 1, || {
            let last: Vec<_> = stream.heard.iter().rev().take(8).rev().collect();
            format!(
                "client {} at node {}, {} with cursor {:?}: {told}; heard before: {last:?}",
                self.number,
                stream.node,
                self.selector.query(),
                stream.after.map(|id| id.to_string())
            )
        });
        false
    }
}

/// Whether an event was heard on this connection.
fn received_before(heard: &[Observation], id: ReceivedId) -> bool {
    heard.iter().any(|entry| match entry.what {
        What::Events { first, last } => (first..=last).contains(&id),
        What::Gap { .. } | What::Cursor(_) => false,
    })
}
