//! One connection of the little hub: requests are read, routed and answered.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::hub::{FlawedHub, LARGEST, ORIGIN, Record};
use super::stream;

const LONGEST_HEAD: usize = 32 * 1024;

/// A request, read.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) old: bool,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice())
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.field(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// Why no request was read: the connection is over, or the answer is this.
enum Bad {
    Over,
    Status(u16),
}

impl From<io::Error> for Bad {
    fn from(_: io::Error) -> Self {
        Self::Over
    }
}

struct Input<'h> {
    hub: &'h FlawedHub,
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// Serves a connection to its end.
pub(crate) fn serve(hub: &FlawedHub, socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut input = Input { hub, socket: socket.try_clone()?, buffer: Vec::new() };
    loop {
        let request = match input.request() {
            Ok(request) => request,
            Err(Bad::Over) => return Ok(()),
            Err(Bad::Status(status)) => return answer(hub, socket, status, &[], b"", None, true),
        };
        let close = request.text("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if hub.has("drops-half-closed") {
            std::thread::sleep(Duration::from_millis(50));
            if socket.peek(&mut [0])? == 0 {
                return Ok(());
            }
        }
        if hub.has("forgets-pipelined") {
            input.buffer.clear();
        }
        if route(hub, socket, &request)? || (close && !hub.has("never-closes")) || request.old {
            return Ok(());
        }
        if hub.has("closes-always") {
            return Ok(());
        }
    }
}

impl Input<'_> {
    fn more(&mut self) -> Result<(), Bad> {
        let mut bytes = [0; 16 * 1024];
        let read = self.socket.read(&mut bytes)?;
        if read == 0 {
            return Err(Bad::Over);
        }
        self.buffer.extend_from_slice(&bytes[..read]);
        Ok(())
    }

    fn line(&mut self) -> Result<Vec<u8>, Bad> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                return Ok(self.buffer.drain(..end + 2).take(end).collect());
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(Bad::Status(431));
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Bad> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn request(&mut self) -> Result<Request, Bad> {
        let hub = self.hub;
        if hub.has("reads-once") && self.buffer.is_empty() {
            self.more()?;
            if !self.buffer.windows(4).any(|w| w == b"\r\n\r\n") {
                return Err(Bad::Status(400));
            }
        }
        let head = self.head()?;
        let mut lines = head.into_iter();
        let first = String::from_utf8_lossy(&lines.next().unwrap_or_default()).into_owned();
        let words: Vec<&str> = first.split(' ').collect();
        let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words[..] else {
            if hub.has("ignores-garbage") {
                loop {
                    self.more()?;
                }
            }
            return Err(Bad::Status(400));
        };
        let longest_target = if hub.has("takes-short-targets") { 4000 } else { 16 * 1024 };
        if target.len() > longest_target {
            return Err(Bad::Status(414));
        }
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            old: version == "HTTP/1.0",
            fields: Vec::new(),
            body: Vec::new(),
        };
        for line in lines {
            let Some(colon) = line.iter().position(|b| *b == b':') else {
                return Err(Bad::Status(400));
            };
            let mut name = String::from_utf8_lossy(&line[..colon]).into_owned();
            if name.ends_with(' ') && !hub.has("forgives-spaces") {
                return Err(Bad::Status(400));
            }
            let canonical = ["Last-Event-ID", "Content-Length", "Content-Type", "Host"];
            if !hub.has("knows-one-case") || canonical.contains(&name.as_str()) {
                name = name.trim_end().to_ascii_lowercase();
            }
            request.fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        let hosts = request.fields.iter().filter(|(name, _)| name == "host").count();
        if hosts != 1 && !hub.has("needs-no-host") {
            return Err(Bad::Status(400));
        }
        request.body = self.body(&request)?;
        Ok(request)
    }

    fn head(&mut self) -> Result<Vec<Vec<u8>>, Bad> {
        let mut first = self.line();
        if matches!(&first, Ok(line) if line.is_empty()) && !self.hub.has("skips-no-blank-line") {
            first = self.line();
        }
        let mut lines = Vec::new();
        let mut next = first;
        let mut length = 0;
        loop {
            let line = match next {
                Ok(line) => line,
                Err(Bad::Status(_)) if self.hub.has("drops-long-heads") => return Err(Bad::Over),
                Err(bad) => return Err(bad),
            };
            if line.is_empty() {
                return Ok(lines);
            }
            length += line.len() + 2;
            lines.push(line);
            next = if length > LONGEST_HEAD { Err(Bad::Status(431)) } else { self.line() };
        }
    }

    fn body(&mut self, request: &Request) -> Result<Vec<u8>, Bad> {
        let hub = self.hub;
        let lengths: Vec<&[u8]> = request
            .fields
            .iter()
            .filter(|(name, _)| name == "content-length")
            .map(|(_, value)| value.as_slice())
            .collect();
        let chunked = request.text("transfer-encoding").is_some_and(|value| value == "chunked");
        if chunked && !lengths.is_empty() && !hub.has("smuggles") {
            return Err(Bad::Status(400));
        }
        if request.text("expect").is_some() && !hub.has("ignores-expectations") {
            self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if chunked && !hub.has("reads-no-chunks") {
            return self.chunks();
        }
        let Some(first) = lengths.first() else { return Ok(Vec::new()) };
        if lengths.iter().any(|other| other != first) && !hub.has("takes-the-first-length") {
            return Err(Bad::Status(400));
        }
        let digits = first.iter().all(u8::is_ascii_digit) || hub.has("takes-signed-lengths");
        let length = std::str::from_utf8(first).ok().filter(|_| digits);
        let length: usize = length.and_then(|l| l.parse().ok()).ok_or(Bad::Status(400))?;
        if length > LARGEST && !hub.has("has-no-limit") {
            return Err(Bad::Status(413));
        }
        self.exactly(length)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Bad> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.line()?).into_owned();
            if line.contains(';') && self.hub.has("knows-no-extensions") {
                return Err(Bad::Status(400));
            }
            let mut size = line.split(';').next().unwrap_or_default();
            if self.hub.has("forgives-chunk-sizes") {
                size = size.trim_start_matches("0x");
            }
            let size = usize::from_str_radix(size, 16).map_err(|_| Bad::Status(400))?;
            if body.len() + size > LARGEST && !self.hub.has("has-no-limit") {
                return Err(Bad::Status(413));
            }
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.line()?;
        }
    }
}

/// Whether the connection is over after it.
fn route(hub: &FlawedHub, socket: &TcpStream, request: &Request) -> io::Result<bool> {
    let mut target = request.target.as_str();
    if let Some(rest) = target.strip_prefix("http://").filter(|_| !hub.has("knows-paths-only")) {
        target = rest.find('/').map_or("/", |slash| &rest[slash..]);
    }
    let path = target.split('?').next().unwrap_or_default();
    let origin = request.text("origin");
    let origin = origin.as_deref();
    let error = |status, fields: &[&str]| {
        answer(hub, socket, status, fields, b"", origin, false)
            .map(|()| hub.has("closes-after-errors"))
    };
    match (path, request.method.as_str()) {
        ("/events" | "/send", "OPTIONS") => {
            let fields = [
                "Access-Control-Allow-Methods: GET, POST",
                "Access-Control-Allow-Headers: Last-Event-ID, Content-Type",
            ];
            error(204, if hub.has("knows-no-cors") { &[] } else { &fields })
        }
        ("/events", "GET") => stream::run(hub, socket, request, target).map(|()| true),
        ("/events", "HEAD") => {
            let fields: &[&str] = if hub.has("answers-head-otherwise") {
                &["Content-Type: text/plain"]
            } else {
                &["Content-Type: text/event-stream; charset=utf-8"]
            };
            answer(hub, socket, 200, fields, b"", origin, false)?;
            if hub.has("answers-head-with-a-body") {
                (&*socket).write_all(b"x")?;
            }
            Ok(false)
        }
        ("/events", _) if hub.has("takes-any-method") => {
            stream::run(hub, socket, request, target).map(|()| true)
        }
        ("/events", _) if hub.has("names-no-methods") => error(405, &[]),
        ("/events", _) => error(405, &["Allow: GET, HEAD"]),
        ("/send", method) if method == "POST" || hub.has("publishes-by-any-method") => {
            let (status, text) = publish(hub, request);
            answer(hub, socket, status, &[], text.as_bytes(), origin, false)?;
            Ok(status == 0)
        }
        ("/send", _) => error(405, &["Allow: POST"]),
        _ if hub.has("has-everything") => error(200, &[]),
        _ => error(404, &[]),
    }
}

fn publish(hub: &FlawedHub, request: &Request) -> (u16, String) {
    let body = &request.body;
    if hub.has("crashes-on-depth") && body.starts_with(b"[[[[") {
        return (0, String::new());
    }
    if hub.has("ends-streams-on-surrogates") && body.windows(4).any(|w| w == b"\\ud8") {
        hub.stop();
        return (200, String::new());
    }
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let text = |name: &str| parsed.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let message = match text("message") {
        Some(message) => message.into_bytes(),
        None if hub.has("passes-bytes-on") && std::str::from_utf8(body).is_err() => body.clone(),
        None if hub.has("publishes-anything") => b"anything".to_vec(),
        None => return (422, "no message".to_owned()),
    };
    let kind = text("event");
    let line_break = |kind: &String| kind.contains(['\r', '\n', '\0']);
    if kind.as_ref().is_some_and(line_break) && !hub.has("passes-types-on") {
        return (422, "no type".to_owned());
    }
    let lossy = String::from_utf8_lossy(body);
    let topic = serde_json::from_str::<serde_json::Value>(&lossy).ok();
    let topic = topic.as_ref().and_then(|body| body.get("topic")?.as_str());
    let topic = topic.filter(|_| !hub.has("has-one-topic")).unwrap_or_default().to_owned();
    let key = request.text("idempotency-key").filter(|_| !hub.has("knows-no-keys"));
    let known = key.as_ref().and_then(|key| hub.state().keys.get(key).copied());
    let number = known.unwrap_or_else(|| hub.publish(Record { topic, kind, message }));
    if let Some(key) = key {
        hub.state().keys.insert(key, number);
    }
    let named = number + usize::from(hub.has("answers-another-id"));
    (200, serde_json::json!({"id": hub.id(named)}).to_string())
}

/// The fields that CORS needs.
pub(crate) fn cors(hub: &FlawedHub, origin: Option<&str>) -> String {
    let allowed = match origin {
        None if hub.has("allows-unasked") => ORIGIN,
        None => return String::new(),
        _ if hub.has("knows-no-cors") => return String::new(),
        _ if hub.has("allows-all-with-credentials") => {
            return "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n"
                .to_owned();
        }
        Some(origin) if hub.has("allows-whom-it-hears") => origin,
        Some(origin) if hub.has("compares-beginnings") && origin.starts_with(ORIGIN) => origin,
        Some(origin) if origin == ORIGIN => origin,
        Some(_) => return String::new(),
    };
    let vary = if hub.has("varies-not") { "" } else { "Vary: Origin\r\n" };
    format!("Access-Control-Allow-Origin: {allowed}\r\n{vary}")
}

/// Dated, as every answer should be.
pub(crate) fn date(hub: &FlawedHub) -> &'static str {
    if hub.has("dates-nothing") { "" } else { "Date: Sun, 29 Nov 2026 06:00:00 GMT\r\n" }
}

fn answer(
    hub: &FlawedHub,
    mut socket: &TcpStream,
    status: u16,
    fields: &[&str],
    body: &[u8],
    origin: Option<&str>,
    close: bool,
) -> io::Result<()> {
    if status == 0 {
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {status} So\r\n{}{}", date(hub), cors(hub, origin));
    fields.iter().for_each(|field| head += &format!("{field}\r\n"));
    // A stream has no length, nor has the answer to HEAD that speaks of one.
    if status != 204 && !fields.iter().any(|field| field.starts_with("Content-Type")) {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += if close { "Connection: close\r\n\r\n" } else { "\r\n" };
    socket.write_all(&[head.as_bytes(), body].concat())
}
