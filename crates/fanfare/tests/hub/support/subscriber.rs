//! A subscriber, over HTTP/1.1 or HTTP/2.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use fanfare_sse::{Parsed, ParsedEvent, Parser};
use rustls::ClientConfig;
use serde_json::Value;

use super::heard::{Acknowledged, is_id};
use super::http1::request;
use super::http2::Http2Stream;
use super::{Connection, Response, TEST_TIMEOUT};

/// Which HTTP a stream comes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Http {
    #[default]
    One,
    /// In clear text, with prior knowledge.
    Two,
}

/// What to subscribe to, and how.
#[derive(Debug)]
pub(crate) struct Subscription {
    address: SocketAddr,
    http: Http,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    narrow: bool,
    trust: Option<Arc<ClientConfig>>,
    acknowledged: Option<Arc<Acknowledged>>,
}

/// An open stream, read through the parser.
#[derive(Debug)]
pub(crate) struct Subscriber {
    stream: Stream,
    parser: Parser,
    parsed: VecDeque<Parsed>,
    last_event_id: String,
    /// The answer's head.
    pub(crate) head: Response,
    /// Every `retry:` so far, in milliseconds.
    pub(crate) retries: Vec<u64>,
    /// The comments so far.
    pub(crate) comments: usize,
}

/// A stream's body.
#[derive(Debug)]
pub(crate) enum Stream {
    Chunked(Connection),
    /// Of an answer that states its length: nothing more will come.
    Whole(Vec<u8>),
    Http2(Box<Http2Stream>),
}

/// An event as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// `None` is what an EventSource calls `message`.
    pub(crate) kind: Option<String>,
    pub(crate) data: String,
}

impl Subscription {
    /// To whatever is at this address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::settled(address, None)
    }

    /// To a node that, where it matters, has first heard of what was acknowledged.
    pub(super) fn settled(address: SocketAddr, acknowledged: Option<Arc<Acknowledged>>) -> Self {
        Self {
            address,
            http: Http::One,
            path: "/sse/events".to_owned(),
            query: String::new(),
            headers: Vec::new(),
            narrow: false,
            trust: None,
            acknowledged,
        }
    }

    /// Over which HTTP.
    pub(crate) fn over(mut self, http: Http) -> Self {
        self.http = http;
        self
    }

    /// Under another prefix than `/sse`.
    pub(crate) fn prefix(self, prefix: &str) -> Self {
        self.at(&format!("{prefix}/events"))
    }

    /// Elsewhere than at the hub's own path.
    pub(crate) fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The query, such as `topic=a&topic=b`, in place of what was set before.
    pub(crate) fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    /// One more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where to resume, by header.
    pub(crate) fn after(self, id: &str) -> Self {
        self.header("Last-Event-ID", id)
    }

    /// With a small receive buffer, for a subscriber that will stop reading.
    pub(crate) fn narrow(mut self) -> Self {
        self.narrow = true;
        self
    }

    /// Over TLS.
    pub(crate) fn secure(mut self, trust: &Arc<ClientConfig>) -> Self {
        self.trust = Some(Arc::clone(trust));
        self
    }

    /// Asks, whatever the answer is: its head, and the body to come.
    pub(crate) fn ask(&self) -> (Response, Stream) {
        self.settle();
        match self.http {
            Http::One => {
                let mut connection = match &self.trust {
                    Some(trust) if self.narrow => {
                        Connection::open_narrow_secure(self.address, trust)
                    }
                    Some(trust) => Connection::open_secure(self.address, trust),
                    None if self.narrow => Connection::open_narrow(self.address),
                    None => Connection::open(self.address),
                };
                connection.send(request("GET", &self.path(), &self.headers(), b""));
                let head = connection.head();
                let stream = if head.header("transfer-encoding").is_some() {
                    Stream::Chunked(connection)
                } else {
                    Stream::Whole(connection.body_of(&head))
                };
                (head, stream)
            }
            Http::Two => self.ask_over_one_connection(1).remove(0),
        }
    }

    /// Where it begins live, waits for the node to have heard of what was published before.
    fn settle(&self) {
        let Some(acknowledged) = &self.acknowledged else { return };
        let by_header = self.headers.iter().find(|(name, _)| name == "Last-Event-ID");
        let by_query = self.query.split('&').find_map(|pair| pair.strip_prefix("last_event_id="));
        let cursor = by_header.map(|(_, id)| id.as_str()).or(by_query);
        if !cursor.is_some_and(is_id) {
            acknowledged.reach(self.address, self.trust.as_ref());
        }
    }

    fn ask_over_one_connection(&self, count: usize) -> Vec<(Response, Stream)> {
        let trust = self.trust.as_ref();
        let streams = Http2Stream::open(count, self.address, trust, &self.path(), &self.headers());
        let streams = streams.into_iter();
        streams.map(|(head, stream)| (head, Stream::Http2(Box::new(stream)))).collect()
    }

    fn path(&self) -> String {
        let separator = if self.query.is_empty() { "" } else { "?" };
        format!("{}{separator}{}", self.path, self.query)
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
    }

    /// Subscribes; the answer must be a stream.
    pub(crate) fn open(&self) -> Subscriber {
        let (head, stream) = self.ask();
        Subscriber::new(head, stream)
    }

    /// Subscribes; nothing where who asks may not.
    pub(crate) fn try_open(&self) -> Option<Subscriber> {
        let (head, stream) = self.ask();
        (head.status != 401).then(|| Subscriber::new(head, stream))
    }

    /// Subscribes this often over one HTTP/2 connection.
    pub(crate) fn open_many(&self, count: usize) -> Vec<Subscriber> {
        self.settle();
        let streams = self.ask_over_one_connection(count).into_iter();
        streams.map(|(head, stream)| Subscriber::new(head, stream)).collect()
    }

    /// Subscribes twice over one HTTP/2 connection.
    pub(crate) fn open_pair(&self) -> [Subscriber; 2] {
        self.open_many(2).try_into().expect("two were opened")
    }
}

impl Stream {
    /// More of the body; `None` after a clean end, an error where it was cut off.
    pub(crate) fn some(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Chunked(connection) => connection.chunk(),
            Self::Whole(bytes) if bytes.is_empty() => Ok(None),
            Self::Whole(bytes) => Ok(Some(std::mem::take(bytes))),
            Self::Http2(stream) => stream.some(),
        }
    }
}

impl Subscriber {
    fn new(head: Response, stream: Stream) -> Self {
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
        Self {
            stream,
            parser: Parser::new(64 << 20),
            parsed: VecDeque::new(),
            last_event_id: String::new(),
            head,
            retries: Vec::new(),
            comments: 0,
        }
    }

    /// The next event of any kind, a gap or a cursor too; `None` after a clean end, an error where
    /// the stream was cut off.
    pub(crate) fn try_next_of_any_kind(&mut self) -> Result<Option<Event>, String> {
        let begun = Instant::now();
        loop {
            while let Some(parsed) = self.parsed.pop_front() {
                match parsed {
                    Parsed::Event(ParsedEvent { id, event, data }) => {
                        self.last_event_id.clone_from(&id);
                        return Ok(Some(Event { id, kind: event, data }));
                    }
                    Parsed::Retry(milliseconds) => self.retries.push(milliseconds),
                    Parsed::Comment(_) => self.comments += 1,
                }
            }
            assert!(begun.elapsed() < TEST_TIMEOUT, "only keepalives for {TEST_TIMEOUT:?}");
            let Some(bytes) = self.stream.some()? else { return Ok(None) };
            let mut input = &bytes[..];
            while let Some(parsed) = self.parser.next(&mut input).expect("events fit") {
                self.parsed.push_back(parsed);
            }
        }
    }

    /// The next event that is not a cursor.
    pub(crate) fn try_next(&mut self) -> Result<Option<Event>, String> {
        loop {
            match self.try_next_of_any_kind()? {
                Some(event) if event.kind.as_deref() == Some("fanfare.cursor") => {}
                other => return Ok(other),
            }
        }
    }

    /// The next event that is not a cursor. There must be one.
    pub(crate) fn next(&mut self) -> Event {
        match self.try_next() {
            Ok(Some(event)) => event,
            other => panic!("no event but {other:?}"),
        }
    }

    /// The next so many messages. No gap may be among them.
    pub(crate) fn messages(&mut self, count: usize) -> Vec<String> {
        let messages = (0..count).map(|_| {
            let event = self.next();
            assert!(!event.is_gap(), "a gap where nothing was lost: {event:?}");
            event.data
        });
        messages.collect()
    }

    /// All events that are not cursors, up to the one with this message, without it.
    pub(crate) fn until(&mut self, message: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            if event.data == message {
                return events;
            }
            events.push(event);
        }
    }

    /// The next cursor event, whatever comes before it.
    pub(crate) fn cursor(&mut self) -> Event {
        loop {
            let event = self.try_next_of_any_kind().expect("the stream goes on");
            let event = event.expect("the stream goes on");
            if event.kind.as_deref() == Some("fanfare.cursor") {
                return event;
            }
        }
    }

    /// The next event, which must be a gap for this reason.
    pub(crate) fn gap(&mut self, reason: &str) -> Event {
        let event = self.next();
        assert_eq!(event.kind.as_deref(), Some("fanfare.gap"), "{event:?}");
        let said: Value = serde_json::from_str(&event.data).expect("a gap's data is JSON");
        assert_eq!(said["reason"], reason, "{event:?}");
        assert_eq!(said["resumed_from"], event.id.as_str(), "{event:?}");
        event
    }

    /// Reads on until the stream ends, which it must do cleanly; returns the events.
    pub(crate) fn until_closed(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.try_next().expect("the stream ends cleanly") {
            events.push(event);
        }
        events
    }

    /// Reads what still comes until the stream ends, cleanly or not; returns the events.
    pub(crate) fn until_lost(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Some(event)) = self.try_next() {
            events.push(event);
        }
        events
    }

    /// What a client that has seen the events taken so far sends when it reconnects.
    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }
}

impl Event {
    /// Whether it is a gap.
    pub(crate) fn is_gap(&self) -> bool {
        self.kind.as_deref() == Some("fanfare.gap")
    }

    /// Where in its epoch it stands. Tests may look inside an id; clients may not.
    pub(crate) fn seq(&self) -> u64 {
        seq(&self.id)
    }
}

/// The second part of an id.
pub(crate) fn seq(id: &str) -> u64 {
    let (epoch, seq) = id.split_once('-').unwrap_or_else(|| panic!("not an id: {id:?}"));
    assert!(epoch.parse::<u64>().is_ok(), "not an id: {id:?}");
    seq.parse().unwrap_or_else(|_| panic!("not an id: {id:?}"))
}
