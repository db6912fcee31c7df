//! The hub under test, and what checks do with it: subscribe, publish, hear.
//!
//! What must hold: a check's topics are its own; every wait ends; what fails says what was seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::address::Address;
use crate::finding::{CheckResult, NotPassed, ensure, failed, quote, skipped};
use crate::hub::{HubDescription, IdPlace};
use crate::parser::DispatchedEvent;
use crate::request::RawRequest;
use crate::settings::SuiteSettings;
use crate::started::Started;
use crate::stream::SubscribedStream;
use crate::template::Template;
use crate::wire::{RawAnswer, RawConnection};

/// A hub that answers.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) hub: &'a HubDescription,
    pub(crate) settings: &'a SuiteSettings,
    /// The suite has started it, and may start another.
    pub(crate) is_started: bool,
    address: Address,
    /// What the publish URL leads to, where that is another address.
    publish_url: Address,
    /// Tells this run's topics and messages from those of others.
    run: String,
    count: AtomicU64,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(
        hub: &'a HubDescription,
        settings: &'a SuiteSettings,
        url: &str,
        started: Option<&Started>,
    ) -> Result<Self, String> {
        let mut address = Address::parse(url.trim_end_matches('/'))?;
        if address.path.is_empty() {
            address.path.clone_from(&hub.prefix);
        }
        let template = &hub.publish.url;
        let needs = ["port", "port2", "port3"].iter().any(|port| template.names(port));
        if needs && started.is_none() {
            return Err("its description publishes to a port that only --start chooses".to_owned());
        }
        let text = template.fill(|name| match name {
            "topic" => Some(b"t"),
            name => started.and_then(|started| started.value(name)),
        });
        let text = String::from_utf8_lossy(&text).into_owned();
        let publish_url =
            if text.starts_with('/') { address.clone() } else { Address::parse(&text)? };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let run = format!("{:x}", since.as_nanos() & 0xff_ffff_ffff);
        let is_started = started.is_some();
        Ok(Self { hub, settings, is_started, address, publish_url, run, count: AtomicU64::new(0) })
    }

    /// A name that nobody has used.
    pub(crate) fn unique(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.run, self.count.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn topic(&self) -> String {
        self.unique("conformance")
    }

    pub(crate) fn soon(&self) -> Instant {
        Instant::now() + self.settings.timeout
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn connect(&self, address: &Address) -> CheckResult<RawConnection> {
        RawConnection::connect(address.socket, self.settings.timeout)
    }

    /// The request that subscribes.
    pub(crate) fn subscription(&self, topic: &str) -> RawRequest {
        let path =
            self.hub.subscribe.url.fill(|name| (name == "topic").then_some(topic.as_bytes()));
        let target = [self.address.path.as_bytes(), &path].concat();
        let mut request = RawRequest::new("GET", self.address.clone(), target);
        request = request.field("Accept", "text/event-stream");
        for (name, value) in self.settings.headers.iter().chain(&self.hub.subscribe.headers) {
            request = request.field(name, value.as_bytes());
        }
        request
    }

    /// The same, with the id to resume after in the URL.
    pub(crate) fn subscription_by_query(&self, topic: &str, id: &str) -> RawRequest {
        let request = self.subscription(topic);
        let Some(parameter) = &self.hub.subscribe.resume_query else { return request };
        let mut target = request.target.clone();
        target.push(if target.contains(&b'?') { b'&' } else { b'?' });
        target.extend_from_slice(parameter.as_bytes());
        target.push(b'=');
        target.extend(url_encoded(id));
        request.target(target)
    }

    /// The request that publishes.
    pub(crate) fn publication(
        &self,
        topic: &str,
        message: impl AsRef<[u8]>,
        kind: Option<&str>,
    ) -> CheckResult<RawRequest> {
        let (publish, message) = (&self.hub.publish, message.as_ref());
        let value = |name: &str| match name {
            "topic" => Some(topic.as_bytes()),
            "message" => Some(message),
            "event" => kind.map(str::as_bytes),
            _ => None,
        };
        let body = match (&publish.typed_body, kind) {
            (Some(typed), Some(_)) => typed,
            _ => &publish.body,
        };
        let mut request =
            RawRequest::new(&publish.method, self.publish_url.clone(), self.publish_target(topic));
        for (name, value) in &self.settings.headers {
            request = request.field(name, value.as_bytes());
        }
        let typed: &[(String, Template)] =
            if kind.is_some() { &publish.typed_headers } else { &[] };
        for (name, template) in publish.headers.iter().chain(typed) {
            let text = template.fill(value);
            if text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return skipped("it cannot be published: it would stand in a header");
            }
            request = request.field(name, text);
        }
        Ok(request.body(body.fill(value)))
    }

    fn publish_target(&self, topic: &str) -> Vec<u8> {
        let template = &self.hub.publish.url;
        let filled = template.fill(|name| (name == "topic").then_some(topic.as_bytes()));
        if filled.starts_with(b"/") {
            return [self.address.path.as_bytes(), &filled].concat();
        }
        // Another address: what follows its host, with the topic in it.
        let rest = &filled[b"http://".len().min(filled.len())..];
        let path = rest.iter().position(|byte| *byte == b'/').map_or(&b"/"[..], |at| &rest[at..]);
        path.to_vec()
    }

    /// Sends a request on a connection of its own; the answer, whatever it is.
    pub(crate) fn ask(&self, request: &RawRequest) -> CheckResult<RawAnswer> {
        let mut wire = self.connect(&request.address)?;
        wire.send(&request.bytes())?;
        wire.answer(request.method == "HEAD", self.soon())
    }

    /// The answer to a publish, whatever it is.
    pub(crate) fn offer(
        &self,
        topic: &str,
        message: impl AsRef<[u8]>,
        kind: Option<&str>,
    ) -> CheckResult<RawAnswer> {
        self.ask(&self.publication(topic, message, kind)?)
    }

    /// Publishes what any hub accepts.
    pub(crate) fn publish(&self, topic: &str, message: impl AsRef<[u8]>) -> CheckResult<RawAnswer> {
        let message = message.as_ref();
        let answer = self.offer(topic, message, None)?;
        accepted(message, answer)
    }

    /// Publishes one message after another over one connection, where the hub keeps it.
    pub(crate) fn publish_all(&self, topic: &str, messages: &[String]) -> CheckResult {
        let mut wire: Option<RawConnection> = None;
        for message in messages {
            let request = self.publication(topic, message, None)?;
            let mut open = match wire.take() {
                Some(wire) => wire,
                None => self.connect(&request.address)?,
            };
            open.send(&request.bytes())?;
            let answer = accepted(message.as_bytes(), open.answer(false, self.soon())?)?;
            let closes = answer.head.minor == 0 || answer.head.lists("connection", "close");
            let unframed = answer.head.field("content-length").is_none()
                && answer.head.field("transfer-encoding").is_none()
                && answer.head.status != 204;
            wire = (!closes && !unframed).then_some(open);
        }
        Ok(())
    }

    /// Opens a stream with a request; fails unless it is one.
    pub(crate) fn open(&self, request: &RawRequest) -> CheckResult<SubscribedStream> {
        let stream = self.open_any(request)?;
        ensure(stream.head.status == 200, || {
            format!("a subscription was answered {}", stream.head.status)
        })?;
        std::thread::sleep(self.hub.subscribe.settle);
        Ok(stream)
    }

    /// Opens what may be a stream, whatever its status.
    pub(crate) fn open_any(&self, request: &RawRequest) -> CheckResult<SubscribedStream> {
        let mut wire = self.connect(&request.address)?;
        wire.send(&request.bytes())?;
        let head = wire.head(self.soon())?;
        SubscribedStream::new(head, wire, &self.hub.own_events)
    }

    pub(crate) fn subscribe(&self, topic: &str) -> CheckResult<SubscribedStream> {
        self.open(&self.subscription(topic))
    }

    /// Resumes after an id.
    pub(crate) fn resume(&self, topic: &str, id: &str) -> CheckResult<SubscribedStream> {
        self.open(&self.subscription(topic).field("Last-Event-ID", id.as_bytes()))
    }

    /// Publishes a message that marks the end, and hears everything up to it.
    pub(crate) fn fenced(
        &self,
        stream: &mut SubscribedStream,
        topic: &str,
    ) -> CheckResult<Vec<DispatchedEvent>> {
        let fence = self.unique("fence");
        self.publish(topic, &fence)?;
        let came = |stream: &SubscribedStream| {
            stream.events.last().is_some_and(|event| event.data == fence)
        };
        if !stream.until(self.soon(), came) {
            // It may have come with something behind it.
            if !stream.events.iter().any(|event| event.data == fence) {
                return Err(stream.missing("the message that came after"));
            }
        }
        let mut heard = stream.events.clone();
        heard.retain(|event| event.data != fence);
        Ok(heard)
    }

    /// Subscribes, publishes one message, and gives its answer and all that was heard of it.
    pub(crate) fn told(
        &self,
        message: impl AsRef<[u8]>,
        kind: Option<&str>,
    ) -> CheckResult<(RawAnswer, Vec<DispatchedEvent>)> {
        let topic = self.topic();
        let mut stream = self.subscribe(&topic)?;
        let answer = self.offer(&topic, message, kind)?;
        let heard = self.fenced(&mut stream, &topic)?;
        if let Some(line) = &stream.noticed().not_utf8 {
            return failed(format!("a line that is not UTF-8: {}", quote(line)));
        }
        Ok((answer, heard))
    }

    /// The message is accepted and heard as one event, its line breaks made LF, nothing else changed.
    pub(crate) fn arrives(&self, message: &str) -> CheckResult {
        let (answer, heard) = self.told(message, None)?;
        accepted(message.as_bytes(), answer)?;
        one_event(&heard, message)
    }

    /// The same, or the hub refuses it.
    pub(crate) fn arrives_or_is_refused(&self, message: &str) -> CheckResult {
        let (answer, heard) = self.told(message, None)?;
        if answer.head.is_success() {
            return one_event(&heard, message);
        }
        ensure(answer.head.is_client_error() && heard.is_empty(), || {
            format!("answered {}, and heard {}", answer.head.status, shown(&heard))
        })
    }

    /// Publishes `count` messages while a stream is open, and gives their events.
    pub(crate) fn recorded(&self, topic: &str, count: usize) -> CheckResult<Vec<DispatchedEvent>> {
        let mut stream = self.subscribe(topic)?;
        self.publish_all(topic, &self.messages(count))?;
        let heard = stream.events(count, self.soon())?.to_vec();
        match heard.iter().find(|event| event.id.is_empty()) {
            Some(event) => failed(format!("an event without an id: {}", quote(&event.data))),
            None => Ok(heard),
        }
    }

    pub(crate) fn messages(&self, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{}.{n}", self.unique("m"))).collect()
    }

    /// Whether nothing more comes on a stream for a while; what came otherwise.
    pub(crate) fn stays_quiet(&self, stream: &mut SubscribedStream) -> CheckResult {
        let before = stream.events.len();
        if stream.until(Instant::now() + self.settings.quiet, |s| s.events.len() > before) {
            return failed(format!("more than expected: {}", stream.shown()));
        }
        Ok(())
    }

    /// The hub still does its work.
    pub(crate) fn still_works(&self) -> CheckResult {
        let topic = self.topic();
        let mut stream = self.subscribe(&topic)?;
        self.fenced(&mut stream, &topic).map(drop)
    }

    /// The id that an answer to a publish names.
    pub(crate) fn id_of(&self, answer: &RawAnswer) -> Option<String> {
        match self.hub.publish.id.as_ref()? {
            IdPlace::Header(name) => answer.head.field(name),
            IdPlace::Body => Some(String::from_utf8_lossy(&answer.body).trim().to_owned()),
            IdPlace::Json(pointer) => {
                let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
                body.pointer(pointer)?.as_str().map(str::to_owned)
            }
        }
    }

    pub(crate) fn quiet(&self) -> Duration {
        self.settings.quiet
    }
}

/// Fails unless a publish was accepted.
pub(crate) fn accepted(message: &[u8], answer: RawAnswer) -> CheckResult<RawAnswer> {
    if answer.head.is_success() {
        return Ok(answer);
    }
    failed(format!(
        "publishing {} was answered {}: {}",
        quote(message),
        answer.head.status,
        quote(&answer.body)
    ))
}

/// Exactly one event, untyped, with the message as its data.
pub(crate) fn one_event(heard: &[DispatchedEvent], message: &str) -> CheckResult {
    let expected = message.replace("\r\n", "\n").replace('\r', "\n");
    match heard {
        [event] if event.data == expected && event.kind == "message" => Ok(()),
        [event] if event.data == expected => {
            failed(format!("heard with the type {}", quote(&event.kind)))
        }
        heard => failed(format!("heard {} for {}", shown(heard), quote(message))),
    }
}

/// Events for a report.
pub(crate) fn shown(events: &[DispatchedEvent]) -> String {
    /// More would not be read.
    const SHOWN: usize = 4;
    let mut parts: Vec<String> = events
        .iter()
        .take(SHOWN)
        .map(|event| match event.kind.as_str() {
            "message" => quote(&event.data),
            kind => format!("{} of type {}", quote(&event.data), quote(kind)),
        })
        .collect();
    if events.len() > SHOWN {
        parts.push(format!("and {} more", events.len() - SHOWN));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// The events are these messages, in this order, once each.
pub(crate) fn exactly(events: &[DispatchedEvent], messages: &[String]) -> CheckResult {
    let same = events.len() == messages.len()
        && events.iter().zip(messages).all(|(event, message)| event.data == *message);
    if same {
        return Ok(());
    }
    let at = events.iter().zip(messages).position(|(event, message)| event.data != *message);
    let at = at.unwrap_or(events.len().min(messages.len()));
    let heard = events.get(at).map_or("nothing".to_owned(), |event| quote(&event.data));
    let wanted = messages.get(at).map_or("nothing".to_owned(), quote);
    failed(format!(
        "{} events of {}; number {at} is {heard}, not {wanted}",
        events.len(),
        messages.len()
    ))
}

/// Turns a failure into one that says in which case it came.
pub(crate) fn in_case(case: &str, found: CheckResult) -> CheckResult {
    found.map_err(|finding| match finding {
        NotPassed::Failed(seen) => NotPassed::Failed(format!("{case}: {seen}")),
        skipped @ NotPassed::Skipped(_) => skipped,
    })
}

fn url_encoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}
