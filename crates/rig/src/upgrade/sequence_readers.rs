//! Sequence readers: thousands of streams in one thread, each of which must hear every number after the last one it
//! heard. A part of them come with tokens that soon run out.
//!
//! What must hold: a member stays for as long as its stream does; an end that its token does not explain goes
//! into the ledger, which judges it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::http::{BodyState, Got, HttpConnection};
use crate::ledger::{ConnectionUse, RoundLedger, Wrong};
use crate::sse::{ParsedSseEvent, SseParser};

/// What members listen to.
const TOPIC: &str = "sequence_readers";
/// With what tokens are signed.
pub const SECRET: &str = "a secret of the rig's, of which nobody else has any use";
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stream may outlive its token: as long as a hub may stand still, and more.
const GRACE: Duration = Duration::from_secs(30);
/// How long it may take until everyone has heard the last number.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(120);
/// By how much sooner a token may run out than the rig believes.
const SECOND: Duration = Duration::from_secs(1);
/// How many ask for their streams at a time.
const AT_ONCE: usize = 100;
/// One of so many members has a token.
const HOLDERS: usize = 8;

/// What the sequence readers and others share.
#[derive(Debug)]
pub struct SequenceReaders<'a> {
    /// Where its members may go.
    pub nodes: &'a [SocketAddr],
    /// Where ends and mistakes are noted.
    pub ledger: &'a RoundLedger,
    /// The program that mints tokens.
    pub program: PathBuf,
    /// How many members there are.
    pub members: usize,
    /// How many numbers are published a second.
    pub rate: u64,
    /// How many are open.
    pub open: AtomicUsize,
    /// Streams that ended with their tokens.
    pub expired: AtomicU64,
    /// Numbers that members heard.
    pub heard: AtomicU64,
    /// The last number, once nothing more is published.
    pub last: AtomicU64,
    /// Nothing more is to be published.
    pub closing: AtomicBool,
}

/// One stream.
#[derive(Debug)]
struct Member {
    node: usize,
    connection: Option<HttpConnection>,
    /// How the answer's body goes on; nothing before its head is there.
    body: Option<BodyState>,
    parser: SseParser,
    since: u64,
    /// Until when its token holds.
    until: Option<Instant>,
    told_of_expiry: bool,
    /// It was said already.
    overstayed: bool,
    /// Something, on this stream.
    has_heard: bool,
    id: String,
    number: Option<u64>,
}

/// A token, and until when it holds.
#[derive(Debug, Clone)]
struct HeldToken {
    text: String,
    minted: Instant,
    until: Instant,
}

impl<'a> SequenceReaders<'a> {
    /// Nobody yet.
    pub fn new(
        nodes: &'a [SocketAddr],
        ledger: &'a RoundLedger,
        program: PathBuf,
        members: usize,
        rate: u64,
    ) -> Self {
        Self {
            nodes,
            ledger,
            program,
            members,
            rate,
            open: AtomicUsize::new(0),
            expired: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            last: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }
    }

    /// Publishes number after number, each until it is acknowledged.
    pub fn lead(&self) {
        let (mut number, mut connection, mut good) = (0_u64, None, 0);
        let begun = Instant::now();
        let session = fastrand::u64(..);
        while !self.closing.load(Ordering::Acquire) {
            number += 1;
            let node = usize::try_from(number).unwrap_or(0) % self.nodes.len();
            let (mut node, first) = (node, self.ledger.now());
            loop {
                if good == 0 || connection.is_none() {
                    good = self.ledger.now();
                }
                match self.publish(&mut connection, node, number, session) {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        let told = || format!("the leader of the sequence readers: {error}");
                        self.ledger.ended(node, ConnectionUse::Request, good.min(first), told);
                        node = (node + 1) % self.nodes.len();
                    }
                }
                connection = None;
                thread::sleep(Duration::from_millis(50));
            }
            good = self.ledger.now();
            if self.nodes.len() > 1 {
                connection = None;
            }
            let due = Duration::from_millis(number * 1000 / self.rate.max(1));
            thread::sleep(due.saturating_sub(begun.elapsed()).min(Duration::from_secs(1)));
        }
        self.last.store(number, Ordering::Release);
    }

    fn publish(
        &self,
        kept: &mut Option<HttpConnection>,
        node: usize,
        number: u64,
        session: u64,
    ) -> io::Result<bool> {
        let address = self.nodes[node];
        let connection = match kept {
            Some(connection) => connection,
            None => kept.insert(HttpConnection::open(address, TIMEOUT)?),
        };
        let body = format!("{{\"topic\":\"{TOPIC}\",\"message\":\"{number}\"}}");
        let request = format!(
            "POST /sse/send HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: sequence_readers-{session:x}-{number}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request.as_bytes())?;
        let head = connection.head()?;
        connection.body(&head)?;
        Ok(head.status == 200)
    }

    /// Reads until the last number, or until it is too late.
    pub fn run(&self) -> io::Result<()> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut members: Vec<_> =
            (0..self.members).map(|n| Member::new(n % self.nodes.len())).collect();
        let mut token = None;
        let mut events = Vec::with_capacity(1024);
        let mut finishing_since = None;
        let mut closed: VecDeque<usize> = (0..self.members).collect();
        let mut looked = Instant::now();
        loop {
            let opening = |member: &&Member| member.connection.is_some() && member.body.is_none();
            let room = AT_ONCE.saturating_sub(members.iter().filter(opening).count());
            for _ in 0..room.min(closed.len()) {
                let Some(n) = closed.pop_front() else { break };
                if !self.open(&mut members[n], n % HOLDERS == 0, &mut token) {
                    closed.push_back(n);
                    // There may be no hub at this moment.
                    break;
                }
                let Some(connection) = &members[n].connection else { continue };
                let data = epoll::EventData::new_u64(n as u64);
                epoll::add(&epoll, connection, data, epoll::EventFlags::IN)?;
            }
            let open = members.iter().filter(|member| member.body.is_some()).count();
            self.open.store(open, Ordering::Release);
            events.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            // One that is interrupted is called again.
            let _ = epoll::wait(&epoll, spare_capacity(&mut events), Some(&wait));
            for event in &events {
                let n = usize::try_from(event.data.u64()).unwrap_or(0);
                if !self.listen(n, &mut members[n]) {
                    (members[n].connection, members[n].body) = (None, None);
                    members[n].until = None;
                    closed.push_back(n);
                }
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                self.check_expired_streams(&mut members);
            }
            let last = self.last.load(Ordering::Acquire);
            if last > 0 {
                let since = *finishing_since.get_or_insert_with(Instant::now);
                let late: Vec<_> = (0..members.len())
                    .filter(|&n| members[n].number.is_none_or(|number| number < last))
                    .collect();
                if late.is_empty() {
                    return Ok(());
                }
                if since.elapsed() > CATCH_UP_TIMEOUT {
                    self.ledger.wrong(Wrong::Stuck, late.len() as u64, || {
                        let first = &members[late[0]];
                        format!(
                            "{} of the sequence readers never heard {last}: {first:?}",
                            late.len()
                        )
                    });
                    return Ok(());
                }
            }
        }
    }

    fn check_expired_streams(&self, members: &mut [Member]) {
        for member in members {
            let over = member.until.is_some_and(|until| until.elapsed() > GRACE);
            if over && member.body.is_some() && !std::mem::replace(&mut member.overstayed, true) {
                self.ledger.wrong(Wrong::Overstayed, 1, || {
                    format!("one of the sequence readers: {member:?}")
                });
            }
        }
    }

    /// Asks for a stream, where a hub is there.
    fn open(&self, member: &mut Member, holder: bool, token: &mut Option<HeldToken>) -> bool {
        member.since = self.ledger.now();
        let asked = (|| {
            let address = self.nodes[member.node];
            let mut authorization = String::new();
            member.until = None;
            if holder {
                let token = self.token(token)?;
                authorization = format!("Authorization: Bearer {}\r\n", token.text);
                member.until = Some(token.until);
            }
            let cursor = match &*member.id {
                "" => String::new(),
                id => format!("Last-Event-ID: {id}\r\n"),
            };
            let mut connection = HttpConnection::open(address, TIMEOUT)?;
            let request = format!(
                "GET /sse/events?topic={TOPIC} HTTP/1.1\r\nHost: {address}\r\n{authorization}{cursor}\r\n"
            );
            connection.send(request.as_bytes())?;
            connection.make_nonblocking()?;
            Ok::<_, io::Error>(connection)
        })();
        match asked {
            Ok(connection) => {
                (member.connection, member.body) = (Some(connection), None);
                member.parser = SseParser::default();
                (member.told_of_expiry, member.has_heard, member.overstayed) =
                    (false, false, false);
                true
            }
            Err(error) => {
                let told = || format!("one of the sequence readers was not let in: {error}");
                self.ledger.ended(member.node, ConnectionUse::Request, member.since, told);
                false
            }
        }
    }

    /// Reads what is there; whether the stream goes on.
    fn listen(&self, n: usize, member: &mut Member) -> bool {
        let Some(mut connection) = member.connection.take() else { return false };
        let Some(mut body) = member.body else {
            let head = connection.try_read_head();
            member.connection = Some(connection);
            let error = match head {
                Ok(None) => return true,
                Ok(Some(head)) if head.status == 200 => {
                    self.ledger.connections.fetch_add(1, Ordering::Relaxed);
                    member.body = Some(BodyState::of(&head));
                    // What came with it may be all that comes for a while.
                    return self.listen(n, member);
                }
                // Its token ran out while it waited for an answer. Tokens know whole seconds.
                Ok(Some(head))
                    if head.status == 401
                        && member.until.is_some_and(|until| until <= Instant::now() + SECOND) =>
                {
                    return false;
                }
                Ok(Some(head)) => format!("status {}", head.status),
                Err(error) => error.to_string(),
            };
            let told = || format!("member {n} of the sequence readers was not let in: {error}");
            self.ledger.ended(member.node, ConnectionUse::Request, member.since, told);
            return false;
        };
        let mut parser = std::mem::take(&mut member.parser);
        let mut bytes = Vec::new();
        let got = connection.more(&mut body, &mut bytes);
        let parsed = parser.push(&bytes, |event| {
            self.on_event(n, member, event);
            true
        });
        (member.body, member.parser, member.connection) = (Some(body), parser, Some(connection));
        if let Err(told) = parsed {
            self.ledger.wrong(Wrong::Malformed, 1, || {
                format!("member {n} of the sequence readers: {told}")
            });
            return false;
        }
        let why = match got {
            Ok(Got::Bytes | Got::Nothing) => return true,
            Ok(Got::End) => "the hub closed it".to_owned(),
            Err(error) => error.to_string(),
        };
        if member.told_of_expiry && why == "the hub closed it" {
            self.expired.fetch_add(1, Ordering::Relaxed);
        } else {
            let open =
                if member.has_heard { ConnectionUse::Stream } else { ConnectionUse::Beginning };
            let told = || format!("member {n} of the sequence readers: {why}; {member:?}");
            self.ledger.ended(member.node, open, member.since, told);
        }
        false
    }

    fn on_event(&self, n: usize, member: &mut Member, event: &ParsedSseEvent) {
        event.id.clone_into(&mut member.id);
        member.has_heard = true;
        match &*event.kind {
            "fanfare.cursor" => {}
            "fanfare.expired" => {
                member.told_of_expiry = true;
                if member.until.is_none() {
                    let told = || {
                        format!("member {n} of the sequence readers was expired without a token")
                    };
                    self.ledger.wrong(Wrong::Closed, 1, told);
                }
            }
            "fanfare.gap" => {
                if !self.ledger.forgets.load(Ordering::Relaxed) {
                    let told = || format!("member {n} of the sequence readers was told: {event:?}");
                    self.ledger.wrong(Wrong::Lost, 1, told);
                }
                member.number = None;
            }
            _ => {
                let Ok(number) = event.data.parse::<u64>() else {
                    let told = || format!("member {n} of the sequence readers heard {event:?}");
                    self.ledger.wrong(Wrong::Garbled, 1, told);
                    return;
                };
                self.heard.fetch_add(1, Ordering::Relaxed);
                // One that comes in the middle has heard nothing before.
                let expected = member.number.map_or(number, |before| before + 1);
                if number != expected {
                    let wrong = match number {
                        number if number > expected => Wrong::SilentLoss,
                        number if number + 1 == expected => Wrong::Duplicate,
                        _ => Wrong::Reordered,
                    };
                    let told = || {
                        format!("member {n} of the sequence readers heard {number}, not {expected}")
                    };
                    self.ledger.wrong(wrong, number.abs_diff(expected), told);
                }
                member.number = Some(number);
            }
        }
    }

    /// A token that holds for some seconds; each is shared by whoever comes soon after.
    fn token(&self, last: &mut Option<HeldToken>) -> io::Result<HeldToken> {
        let fresh = |token: &&HeldToken| token.minted.elapsed() < Duration::from_secs(2);
        if let Some(token) = last.as_ref().filter(fresh) {
            return Ok(token.clone());
        }
        let time = fastrand::u64(5..15);
        let minted = Instant::now();
        let output = Command::new(&self.program)
            .args(["token", "mint", "--secret", SECRET, "--subscribe", "**", "--expires-in"])
            .arg(format!("{time}s"))
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        // Its time began when the program ran, which may have ended a while ago.
        let token = HeldToken { text, minted, until: minted + Duration::from_secs(time) };
        Ok(last.insert(token).clone())
    }
}

impl Member {
    fn new(node: usize) -> Self {
        Self {
            node,
            connection: None,
            body: None,
            parser: SseParser::default(),
            since: 0,
            until: None,
            told_of_expiry: false,
            overstayed: false,
            has_heard: false,
            id: String::new(),
            number: None,
        }
    }
}
