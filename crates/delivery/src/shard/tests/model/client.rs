//! A client of the model: what it has been given, and what it may complain of.

use std::sync::Arc;

use fanfare_event::{EventType, Position};
use fanfare_hub::{Envelope, Interest};
use fanfare_sse::{Parsed, ParsedEvent, Parser};

use super::log::{Log, Message};
use super::unframer::Unframer;
use crate::cadence::Cadence;
use crate::simulated_socket::SimulatedSocket;
use crate::wire::Framing;

/// A client over all its connections.
pub(super) struct Client {
    pub(super) interest: Arc<Interest>,
    pub(super) framing: Framing,
    pub(super) envelope: Envelope,
    /// Its sink holds back what it has accepted until there is room for it.
    pub(super) sealing: bool,
    pub(super) cadence: Option<Cadence>,
    /// Where its stream is, or is on its way to.
    pub(super) shard: usize,
    /// What it has been given or told of.
    pub(super) accounted: Position,
    /// It holds that as its last event id.
    pub(super) has_id: bool,
    /// It was given what the log has lost since: nothing may follow but a gap.
    pub(super) deceived: bool,
    /// It asked for all that is retained, and has been given nothing of it yet.
    pub(super) is_fresh: bool,
    pub(super) connection: Option<Connection>,
}

/// One connection, as the client sees it.
pub(super) struct Connection {
    pub(super) socket: SimulatedSocket,
    pub(super) unframer: Unframer,
    pub(super) parser: Parser,
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    InOrder,
    Broken,
}

impl Client {
    /// Whether it is connected, and nothing keeps it from what it wants.
    pub(super) fn is_there(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|c| !c.socket.is_broken()) && !self.is_fresh
    }

    pub(super) fn wants(&self, message: &Message) -> bool {
        let selector = self.interest.selector();
        selector.topics.matches(&message.topic) && selector.wants_type(message.event_type.as_ref())
    }

    /// The first event that it wants and has not been given or told of, up to `through`.
    pub(super) fn missed(&self, log: &Log, through: Position) -> Option<Position> {
        if through <= self.accounted {
            return None;
        }
        let mut ahead = log.published.range(self.accounted.next()..=through);
        ahead.find(|(_, message)| self.wants(message)).map(|(at, _)| *at)
    }

    /// Reads what has arrived; how the connection ended, if it has.
    pub(super) fn listen(&mut self, log: &Log) -> Option<End> {
        let connection = self.connection.as_mut()?;
        let bytes = connection.unframer.push(&connection.socket.taken());
        let (mut input, mut events) = (&bytes[..], Vec::new());
        while let Some(parsed) = connection.parser.next(&mut input).unwrap() {
            if let Parsed::Event(event) = parsed {
                events.push(event);
            }
        }
        let closed = connection.socket.is_closed();
        let in_order = connection.unframer.has_ended_in_order();
        events.iter().for_each(|event| self.receive(event, log));
        closed.then(|| {
            self.connection = None;
            if in_order { End::InOrder } else { End::Broken }
        })
    }

    fn receive(&mut self, event: &ParsedEvent, log: &Log) {
        if event.id.is_empty() {
            // It comes back as it came, for all there is.
            assert!(self.is_fresh, "{event:?} takes the place of an id");
            return;
        }
        let at: Position = event.id.parse().unwrap();
        if std::mem::take(&mut self.is_fresh) {
            // It may have been read before it was trimmed.
            let before = Position::new(at.epoch, at.seq.saturating_sub(1));
            self.accounted = log.engine.trimmed().min(before);
        }
        match event.event.as_deref() {
            Some("fanfare.gap") => {
                let backwards = at < self.accounted && !self.deceived;
                assert!(!backwards, "a gap goes back from {} to {at}", self.accounted);
                self.deceived = false;
            }
            // Both say that nothing up to here is missing. An id that is lost itself does no harm:
            // whoever comes back with it is told.
            Some("fanfare.cursor" | "fanfare.expired") => {
                let is_lost = log.lost.contains_key(&at);
                assert!(is_lost || !self.deceived, "{at} is given as if nothing had been lost");
                self.deceived = is_lost;
                assert_eq!(self.missed(log, at), None, "{at} skips something");
            }
            event_type => {
                // What has been lost may still be on its way, and nothing of what came after it.
                let is_lost = log.lost.contains_key(&at);
                assert!(is_lost || !self.deceived, "{at} came as if nothing had been lost");
                assert!(at > self.accounted, "{at} came twice or out of order");
                let before = Position::new(at.epoch, at.seq - 1);
                assert_eq!(self.missed(log, before), None, "lost in silence before {at}");
                self.deceived = is_lost;
                let message = log.lost.get(&at).or_else(|| log.published.get(&at)).unwrap();
                self.check(message, event_type, &event.data);
            }
        }
        self.accounted = at;
        self.has_id = true;
    }

    fn check(&self, message: &Message, event_type: Option<&str>, data: &str) {
        assert!(self.wants(message), "{message:?} is another's");
        assert_eq!(event_type, message.event_type.as_ref().map(EventType::as_str));
        if self.envelope == Envelope::Json {
            let (topic, text) = (message.topic.as_str(), &message.text);
            assert!(data.starts_with(&format!(r#"{{"topic":"{topic}","#)), "{data}");
            assert!(data.ends_with(&format!(r#""message":"{text}"}}"#)), "{data}");
        } else {
            assert_eq!(data, message.text);
        }
    }
}
