//! All subscribers, on one thread and one poller.
//!
//! What must hold: receiving is cheap beside sending, or the client would be what is measured. One
//! large buffer serves every socket, and nothing is allocated once a stream has begun.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::clock::Clock;
use crate::error::BenchError;
use crate::flow::Flow;
use crate::inbox::Inbox;
use crate::plan::{Dialect, Plan};
use crate::spread::Spread;
use crate::subscriber::Subscriber;

/// The buffer all sockets are read into, in bytes.
const BUFFER: usize = 256 << 10;
/// How many connections may wait for their answer at once: fewer than a listener's queue holds.
const CONNECTING: usize = 100;
/// How long a server may answer nobody while subscribers connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections to one server a single source address is used for: Linux has 28,232 ports
/// to give out.
const PORTS_PER_SOURCE: u32 = 25_000;

/// The subscribers of a run.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    address: SocketAddr,
    clock: Clock,
    flow: Arc<Flow>,
    subscribers: Vec<Subscriber>,
    connected: u32,
    buffer: Box<[u8]>,
    /// Where their messages arrive.
    pub(crate) inbox: Inbox,
}

impl Fleet {
    pub(crate) fn new(
        address: SocketAddr,
        clock: Clock,
        flow: Arc<Flow>,
        inbox: Inbox,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            poll: Poll::new().map_err(BenchError::system("cannot make a poller"))?,
            events: Events::with_capacity(1024),
            address,
            clock,
            flow,
            subscribers: Vec::new(),
            connected: 0,
            buffer: vec![0; BUFFER].into(),
            inbox,
        })
    }

    /// How many have their stream.
    pub(crate) fn connected(&self) -> u32 {
        self.connected
    }

    /// Connects all subscribers the plan wants, a bounded number at a time, and returns once each
    /// has its stream.
    pub(crate) fn connect(
        &mut self,
        plan: &Plan,
        spread: Spread,
        mut tick: impl FnMut(&Self),
    ) -> Result<(), BenchError> {
        let wanted = plan.subscribers;
        let mut last_answer = (Instant::now(), 0);
        while self.connected < wanted {
            while self.subscribers.len() < wanted as usize
                && self.subscribers.len() - (self.connected as usize) < CONNECTING
            {
                self.start(plan, spread)?;
            }
            self.pump(Duration::from_millis(100))?;
            tick(self);
            let (since, before) = last_answer;
            if self.connected != before {
                last_answer = (Instant::now(), self.connected);
            } else if since.elapsed() > CONNECT_TIMEOUT {
                let seconds = CONNECT_TIMEOUT.as_secs();
                let connected = self.connected;
                return Err(BenchError::ConnectStalled { connected, wanted, seconds });
            }
        }
        Ok(())
    }

    fn start(&mut self, plan: &Plan, spread: Spread) -> Result<(), BenchError> {
        let number = self.subscribers.len() as u32;
        let request = request(plan, spread, number);
        let source = (plan.subscribers > PORTS_PER_SOURCE && self.address.ip().is_loopback())
            .then(|| source(self.address, number))
            .flatten();
        let subscriber =
            Subscriber::connect(number, self.address, source, request, self.poll.registry())
                .map_err(|source| BenchError::Connect { address: self.address, source })?;
        self.subscribers.push(subscriber);
        Ok(())
    }

    /// Waits for sockets to become ready, at most `timeout`, and reads from each that is.
    pub(crate) fn pump(&mut self, timeout: Duration) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(BenchError::system("cannot poll"))?,
        }
        for event in &self.events {
            let subscriber = &mut self.subscribers[event.token().0];
            let was_reading = subscriber.is_reading();
            let ready = subscriber.ready(
                event.is_read_closed(),
                self.clock,
                &mut self.buffer,
                &mut self.inbox,
            );
            ready.map_err(|error| match error {
                // A socket that breaks before anything was sent on it never was connected.
                BenchError::StreamBroke { source, .. } if !was_reading => {
                    BenchError::Connect { address: self.address, source }
                }
                other => other,
            })?;
            self.connected += u32::from(!was_reading && subscriber.is_reading());
            self.flow.set_delivered(self.inbox.delivered());
        }
        Ok(())
    }
}

/// The request for a stream of a subscriber's topics.
fn request(plan: &Plan, spread: Spread, number: u32) -> Vec<u8> {
    let (mut target, parameter) = match plan.dialect {
        Dialect::Native => (plan.url.path("events"), "topic"),
        Dialect::Mercure => ("/.well-known/mercure".to_owned(), "match"),
    };
    let topics = spread.topics_of(number).filter(|_| plan.topics > 1);
    let topics = topics.map(|topic| format!("{parameter}=bench/{topic}"));
    let default = (plan.dialect == Dialect::Mercure && plan.topics == 1)
        .then(|| format!("{parameter}=default"));
    let wishes =
        topics.chain(default).chain(plan.interval.map(|interval| format!("interval={interval}")));
    for (wish, mark) in wishes.zip("?".chars().chain("&".chars().cycle())) {
        target.push(mark);
        target.push_str(&wish);
    }
    let (host, authorization) = (plan.url.authority(), plan.authorization_line());
    format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\n{authorization}accept: text/event-stream\r\n\r\n"
    )
    .into()
}

/// A loopback address to connect from, so that there are ports enough.
fn source(address: SocketAddr, number: u32) -> Option<SocketAddr> {
    let last = u8::try_from(2 + number / PORTS_PER_SOURCE).ok()?;
    address.is_ipv4().then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))
}
