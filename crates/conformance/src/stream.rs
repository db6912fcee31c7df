//! A subscription as its client sees it: the head, the events so far, and how it ended.

use std::time::Instant;

use crate::body::{BodyDecoder, BodyStep};
use crate::finding::{CheckResult, NotPassed, failed, quote};
use crate::head::RawHead;
use crate::parser::{DispatchedEvent, EventSourceParser, Noticed};
use crate::wire::{Fill, RawConnection};

/// How much of the raw stream is kept for reports and for checks of its form.
const KEPT: usize = 256 * 1024;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnding {
    /// As HTTP demands: by its last chunk, its length, or for HTTP/1.0 its close.
    Clean,
    /// The connection was closed where the body was not whole.
    CutShort,
    /// The connection broke.
    Broken,
    /// The bytes are no HTTP.
    Malformed(String),
}

/// An open subscription.
#[derive(Debug)]
pub(crate) struct SubscribedStream {
    pub(crate) head: RawHead,
    /// What an `EventSource` would have dispatched, without the hub's own events.
    pub(crate) events: Vec<DispatchedEvent>,
    /// The hub's own: those whose type begins as the hub's description says.
    pub(crate) notices: Vec<DispatchedEvent>,
    /// The beginning of the stream, as it came.
    pub(crate) raw: Vec<u8>,
    pub(crate) end: Option<StreamEnding>,
    wire: RawConnection,
    body: BodyDecoder,
    parser: EventSourceParser,
    own_prefix: String,
}

impl SubscribedStream {
    pub(crate) fn new(head: RawHead, wire: RawConnection, own_prefix: &str) -> CheckResult<Self> {
        let body = BodyDecoder::of(&head)?;
        Ok(Self {
            head,
            events: Vec::new(),
            notices: Vec::new(),
            raw: Vec::new(),
            end: None,
            wire,
            body,
            parser: EventSourceParser::default(),
            own_prefix: own_prefix.to_owned(),
        })
    }

    /// What it held beside events.
    pub(crate) fn noticed(&self) -> &Noticed {
        &self.parser.seen
    }

    /// Whether an event has begun and not ended.
    pub(crate) fn is_inside_an_event(&self) -> bool {
        self.parser.is_inside_an_event()
    }

    /// Reads until `enough`, the end of the stream, or the deadline; whether there is enough.
    pub(crate) fn until(
        &mut self,
        deadline: Instant,
        mut enough: impl FnMut(&Self) -> bool,
    ) -> bool {
        loop {
            self.digest();
            if enough(self) {
                return true;
            }
            if self.end.is_some() {
                return false;
            }
            match self.wire.fill(deadline) {
                Fill::Bytes => {}
                Fill::Late => return false,
                Fill::End if self.body.may_end() => self.end = Some(StreamEnding::Clean),
                Fill::End => self.end = Some(StreamEnding::CutShort),
                Fill::Broken => self.end = Some(StreamEnding::Broken),
            }
        }
    }

    /// Waits for `count` events in all.
    pub(crate) fn events(
        &mut self,
        count: usize,
        deadline: Instant,
    ) -> CheckResult<&[DispatchedEvent]> {
        if self.until(deadline, |stream| stream.events.len() >= count) {
            return Ok(&self.events);
        }
        Err(self.missing(&format!("{count} events")))
    }

    /// That something did not come, and what did.
    pub(crate) fn missing(&self, what: &str) -> NotPassed {
        let end = match &self.end {
            None => "in time".to_owned(),
            Some(StreamEnding::Malformed(how)) => {
                format!("before the stream became nonsense ({how})")
            }
            Some(_) => "before the stream ended".to_owned(),
        };
        NotPassed::Failed(format!("not {what} {end}; {}", self.shown()))
    }

    /// What came, for a report.
    pub(crate) fn shown(&self) -> String {
        match self.events.last() {
            None if self.raw.is_empty() => "nothing came".to_owned(),
            None => format!("no event, only {}", quote(&self.raw)),
            Some(last) => format!(
                "{} came, the last with data {} and id {}",
                plural(self.events.len(), "event"),
                quote(&last.data),
                quote(&last.id)
            ),
        }
    }

    fn digest(&mut self) {
        let mut body = Vec::new();
        let step = self.body.take(&mut self.wire.received, &mut body);
        let room = KEPT.saturating_sub(self.raw.len()).min(body.len());
        self.raw.extend_from_slice(&body[..room]);
        let mut events = Vec::new();
        self.parser.feed(&body, &mut events);
        for event in events {
            let own = !self.own_prefix.is_empty() && event.kind.starts_with(&self.own_prefix);
            if own { self.notices.push(event) } else { self.events.push(event) }
        }
        match step {
            Ok(BodyStep::More) => {}
            Ok(BodyStep::Done) => self.end = Some(StreamEnding::Clean),
            Err(NotPassed::Failed(how) | NotPassed::Skipped(how)) => {
                self.end = Some(StreamEnding::Malformed(how));
            }
        }
    }

    /// Fails if the stream has ended.
    pub(crate) fn still_open(&self) -> CheckResult {
        match &self.end {
            None => Ok(()),
            Some(end) => failed(format!("the stream ended ({end:?}); {}", self.shown())),
        }
    }
}

pub(crate) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
