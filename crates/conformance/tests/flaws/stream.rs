//! One stream of the little hub: what is sent, in which form, and when.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::encode::encode;
use super::exchange::{Request, cors, date};
use super::hub::{FlawedHub, HEARTBEAT, Record};

/// How often a stream looks whether the hub stops.
const LOOK: Duration = Duration::from_millis(20);

struct Out<'h> {
    hub: &'h FlawedHub,
    socket: &'h TcpStream,
    chunked: bool,
}

impl Out<'_> {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut socket = self.socket;
        if !self.chunked || bytes.is_empty() {
            return socket.write_all(bytes);
        }
        let size = if self.hub.has("counts-chunks-in-tens") {
            format!("{}\r\n", bytes.len())
        } else {
            format!("{:x}\r\n", bytes.len())
        };
        let sent = socket.write_all(&[size.as_bytes(), bytes, b"\r\n"].concat());
        if sent.is_err() && self.hub.has("dies-of-a-broken-pipe") {
            self.hub.stop();
        }
        sent
    }

    fn end(&self) -> io::Result<()> {
        if self.hub.has("ends-inside-an-event") {
            self.send(b"data: hal")?;
        }
        if self.chunked { (&*self.socket).write_all(b"0\r\n\r\n") } else { Ok(()) }
    }
}

/// Where a client stands, and what it is told first.
struct Start {
    cursor: usize,
    replays: bool,
    gap: bool,
}

fn parameter(target: &str, name: &str) -> Option<String> {
    let query = target.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.to_owned())
}

fn start(hub: &FlawedHub, request: &Request, target: &str) -> Start {
    let query = parameter(target, "id").filter(|_| !hub.has("reads-no-query"));
    let header = request.text("last-event-id");
    let asked = if hub.has("prefers-the-query") { query.or(header) } else { header.or(query) };
    let mut state = hub.state();
    let end = state.log.len();
    let live = Start { cursor: end, replays: false, gap: false };
    let from = |cursor| Start { cursor, replays: true, gap: false };
    match asked.as_deref() {
        None if hub.has("replays-unasked") => from(0),
        None => live,
        Some("") if hub.has("takes-empty-for-bad") => Start { gap: true, ..live },
        Some("") => live,
        Some("earliest") if hub.has("knows-no-earliest") => live,
        Some("earliest") => from(0),
        Some(id) => match hub.number(id) {
            Some(_) if hub.has("replays-everything") => from(0),
            Some(number) if hub.has("repeats-the-last") => from(number.saturating_sub(1)),
            Some(_) if hub.has("resumes-once") && !state.resumed.insert(id.to_owned()) => live,
            Some(number) if hub.has("has-a-short-memory") => {
                from(number.max(end.saturating_sub(50)))
            }
            Some(number) => from(number),
            None if hub.has("says-nothing") => live,
            None => Start { gap: true, ..from(0) },
        },
    }
}

/// What of a request is refused; nothing if it is granted.
fn refusal(hub: &FlawedHub, request: &Request, target: &str) -> Option<u16> {
    let id = request.field("last-event-id").unwrap_or_default();
    let accept = request.text("accept");
    match () {
        () if hub.has("answers-202") => Some(202),
        () if hub.has("refuses-bad-ids") && id == b"not an id!" => Some(400),
        () if hub.has("refuses-wide-ids") && !id.is_ascii() => Some(400),
        () if hub.has("chokes-on-numbers") && id.starts_with(b"99999") => Some(0),
        () if hub.has("blames-itself-for-long-ids") && id.len() > 4096 => Some(500),
        () if hub.has("chokes-on-percents") && target.contains('%') => Some(500),
        () if hub.has("refuses-event-sources")
            && accept.as_deref() == Some("text/event-stream") =>
        {
            Some(406)
        }
        () if hub.has("needs-an-accept") && accept.as_deref() != Some("text/event-stream") => {
            Some(406)
        }
        () => None,
    }
}

fn head(hub: &FlawedHub, request: &Request, chunked: bool) -> String {
    let kind = match () {
        () if hub.has("calls-it-text") => "text/plain",
        () if hub.has("names-another-charset") => "text/event-stream; charset=iso-8859-1",
        () => "text/event-stream; charset=utf-8",
    };
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{}", date(hub));
    head += &cors(hub, request.text("origin").as_deref());
    if !hub.has("lets-caches-in") {
        head += "Cache-Control: no-store, no-transform\r\n";
    }
    if !hub.has("tells-nginx-nothing") {
        head += "X-Accel-Buffering: no\r\n";
    }
    if hub.has("claims-gzip") {
        head += "Content-Encoding: gzip\r\n";
    }
    if hub.has("names-a-length") {
        head += "Content-Length: 100000000\r\n";
    } else if chunked {
        head += "Transfer-Encoding: chunked\r\n";
    }
    head += "\r\n";
    if hub.has("ends-lines-with-lf") { head.replace("\r\n", "\n") } else { head }
}

/// Serves a stream to its end.
pub(crate) fn run(
    hub: &FlawedHub,
    mut socket: &TcpStream,
    request: &Request,
    target: &str,
) -> io::Result<()> {
    if let Some(status) = refusal(hub, request, target) {
        if status > 0 {
            socket.write_all(
                format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes(),
            )?;
        }
        return Ok(());
    }
    let number = hub.streams.fetch_add(1, Ordering::SeqCst);
    let open = hub.open.fetch_add(1, Ordering::SeqCst);
    let chunked = (!request.old || hub.has("chunks-for-1.0")) && !hub.has("names-a-length");
    let out = Out { hub, socket, chunked };
    let ended = stream(&out, request, target, number, open);
    hub.open.fetch_sub(1, Ordering::SeqCst);
    ended
}

fn stream(
    out: &Out<'_>,
    request: &Request,
    target: &str,
    number: usize,
    open: usize,
) -> io::Result<()> {
    let hub = out.hub;
    let mut begin = start(hub, request, target);
    let head = head(hub, request, out.chunked);
    let late = hub.has("waits-with-its-head");
    let mut socket = out.socket;
    if !late {
        socket.write_all(head.as_bytes())?;
    }
    if hub.has("subscribes-late") {
        std::thread::sleep(Duration::from_millis(500));
        begin.cursor = hub.state().log.len();
    }
    if hub.has("ends-old-streams") && request.old {
        return Ok(());
    }
    if !late {
        out.send(&preamble(hub))?;
    }
    if begin.gap {
        let id = if hub.has("gives-a-gap-no-id") {
            String::new()
        } else {
            format!("id: {}\n", hub.id(0))
        };
        out.send(format!("event: hub.gap\n{id}data: gap\n\n").as_bytes())?;
    }
    let mut view = View {
        topic: parameter(target, "topic").unwrap_or_default(),
        number,
        open,
        begin,
        late: late.then_some(head),
        held: None,
        sticky: None,
        sent: 0,
    };
    view.deliver(out, request)
}

fn preamble(hub: &FlawedHub) -> Vec<u8> {
    let mark = if hub.has("begins-with-a-mark") { "\u{feff}" } else { "" };
    let text = match () {
        () if hub.has("begins-with-nothing") => "",
        () if hub.has("tells-no-retry") => ":\n",
        () if hub.has("tells-retry-in-words") => ":\nretry: 3s\n",
        () => ":\nretry: 3000\n",
    };
    format!("{mark}{text}").into_bytes()
}

struct View {
    topic: String,
    number: usize,
    open: usize,
    begin: Start,
    late: Option<String>,
    held: Option<(usize, Record)>,
    sticky: Option<String>,
    sent: usize,
}

impl View {
    fn deliver(&mut self, out: &Out<'_>, request: &Request) -> io::Result<()> {
        let hub = out.hub;
        let (mut cursor, mut last) = (self.begin.cursor, Instant::now());
        let replay_end = if self.begin.replays { hub.state().log.len() } else { 0 };
        loop {
            let mut state = hub.state();
            let behind = usize::from(hub.has("is-one-behind"));
            if state.log.len() <= cursor + behind && !hub.is_stopping() {
                state = hub.changed.wait_timeout(state, LOOK).unwrap().0;
            }
            let mut news: Vec<(usize, Record)> = state
                .log
                .iter()
                .cloned()
                .enumerate()
                .skip(cursor)
                .map(|(n, r)| (n + 1, r))
                .collect();
            if behind == 1 {
                news.pop();
            }
            if hub.has("skips-for-the-slow") && news.len() > 20 {
                news.drain(..10);
            }
            cursor = news.last().map_or(cursor, |(number, _)| *number);
            let locked = hub.has("writes-under-its-lock").then_some(state);
            for (number, record) in news {
                if record.topic != self.topic && !hub.has("has-one-topic") {
                    continue;
                }
                if hub.has("falls-asleep")
                    && last.elapsed() > Duration::from_millis(80)
                    && self.begin.replays == (replay_end > 0)
                {
                    continue;
                }
                last = Instant::now();
                self.one(out, request, number, record, number <= replay_end)?;
                if hub.has("skips-at-the-seam") && number == replay_end {
                    cursor += 1;
                }
            }
            drop(locked);
            if hub.has("ends-after-replay") && self.begin.replays {
                return out.end();
            }
            if hub.has("ends-when-quiet")
                && self.sent > 0
                && last.elapsed() > Duration::from_millis(50)
            {
                return out.end();
            }
            if hub.is_stopping() {
                return out.end();
            }
            if last.elapsed() > HEARTBEAT
                && !hub.has("has-no-heartbeat")
                && !hub.has("begins-with-nothing")
            {
                last = Instant::now();
                out.send(match () {
                    () if hub.has("beats-in-messages") => b"data: ping\n\n",
                    () if hub.has("beats-in-blocks") => b":\n\n",
                    () => b":\n",
                })?;
            }
        }
    }

    fn one(
        &mut self,
        out: &Out<'_>,
        request: &Request,
        number: usize,
        mut record: Record,
        replayed: bool,
    ) -> io::Result<()> {
        let hub = out.hub;
        let fence = record.message.starts_with(b"fence") || record.message.starts_with(b"last");
        if hub.has("serves-thirty") && self.open >= 30
            || hub.has("holds-back-what-is-compressed")
                && request.text("accept-encoding").is_some_and(|v| v.contains("gzip"))
        {
            return Ok(());
        }
        if hub.has("lags") {
            std::thread::sleep(Duration::from_millis(300));
            if hub.is_stopping() {
                return Ok(());
            }
        }
        if let Some(head) = self.late.take() {
            (&*out.socket).write_all(head.as_bytes())?;
            out.send(&preamble(hub))?;
        }
        if replayed && hub.has("flattens-what-it-replays") {
            record
                .message
                .iter_mut()
                .filter(|b| matches!(b, b'\r' | b'\n'))
                .for_each(|b| *b = b' ');
        }
        if replayed && hub.has("replays-no-types") {
            record.kind = None;
        }
        if hub.has("keeps-the-type") {
            record.kind = record.kind.or(self.sticky.clone());
            self.sticky.clone_from(&record.kind);
        }
        let shown =
            if replayed && hub.has("replays-with-new-ids") { number + 1000 } else { number };
        if hub.has("orders-by-stream") && self.number % 2 == 1 && !fence {
            match self.held.take() {
                None => {
                    self.held = Some((shown, record));
                    return Ok(());
                }
                Some((earlier, held)) => {
                    self.sent += 1;
                    out.send(&encode(hub, shown, &record))?;
                    return out.send(&encode(hub, earlier, &held));
                }
            }
        }
        self.sent += 1;
        out.send(&encode(hub, shown, &record))?;
        if hub.has("leaves-a-line-behind") {
            out.send(b"data: x")?;
        }
        Ok(())
    }
}
