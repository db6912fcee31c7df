//! All subscribers, on one thread and one poller.
//!
//! What must hold: receiving is cheap beside sending, or the client would be what is measured. One
//! large buffer serves every socket, and nothing is allocated once a stream has begun.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::clock::RunClock;
use crate::dialect;
use crate::error::BenchError;
use crate::flow::Flow;
use crate::inbox::Arrivals;
use crate::plan::BenchPlan;
use crate::spread::Spread;
use crate::subscriber::{ConnectOptions, LoadSubscriber};

/// The buffer all sockets are read into, in bytes.
const BUFFER: usize = 256 << 10;
/// How many connections may wait for their answer at once: fewer than a listener's queue holds.
const CONNECTING: u32 = 100;
/// How long a server may answer nobody while subscribers connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections to one server a single source address is used for. Linux has 28,232 ports to
/// give out, looks at every second of them first, and keeps those of an earlier run for a minute: where few
/// are left it looks for milliseconds each time, and it is the client that is measured.
const PORTS_PER_SOURCE: u32 = 5_000;
/// What the kernel may hold for a slow reader, in bytes: little, so that it is the server that has to.
const SLOW_BUFFER: usize = 16 << 10;
/// How often a slow reader whose stream was closed comes back for what it missed.
const MOST_RETURNS: u32 = 10;

/// The subscribers of a run.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    address: SocketAddr,
    clock: RunClock,
    flow: Arc<Flow>,
    subscribers: Vec<LoadSubscriber>,
    plan: BenchPlan,
    spread: Spread,
    connected: u32,
    gone: u32,
    /// How often each slow reader has come back, once they do.
    returns: Option<Vec<u32>>,
    buffer: Box<[u8]>,
    /// Where their messages arrive.
    pub(crate) inbox: Arrivals,
}

impl Fleet {
    pub(crate) fn new(
        address: SocketAddr,
        clock: RunClock,
        flow: Arc<Flow>,
        inbox: Arrivals,
        plan: &BenchPlan,
        spread: Spread,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            poll: Poll::new().map_err(BenchError::system("cannot make a poller"))?,
            events: Events::with_capacity(1024),
            address,
            clock,
            flow,
            subscribers: Vec::new(),
            plan: plan.clone(),
            spread,
            connected: 0,
            gone: 0,
            returns: None,
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
    pub(crate) fn connect(&mut self, mut tick: impl FnMut(&Self)) -> Result<(), BenchError> {
        let wanted = self.plan.subscribers;
        let mut last_answer = (Instant::now(), 0);
        self.connected = 0;
        let mut begun = 0;
        while self.connected < wanted {
            while begun < wanted && begun - self.connected < CONNECTING {
                self.start(begun)?;
                begun += 1;
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

    /// Connects a subscriber for the first time, or again.
    fn start(&mut self, number: u32) -> Result<(), BenchError> {
        let BenchPlan { subscribers, slow, requests, .. } = &self.plan;
        let source = (*subscribers > PORTS_PER_SOURCE && self.address.ip().is_loopback())
            .then(|| source(self.address, number))
            .flatten();
        let way = ConnectOptions {
            address: self.address,
            source,
            tls: requests.as_ref().and_then(|requests| requests.tls.as_ref()),
            receive_buffer: (number < *slow).then_some(SLOW_BUFFER),
        };
        let known = self.subscribers.get_mut(number as usize);
        let id = known.as_ref().map_or(&[][..], |subscriber| subscriber.last_id());
        let request = request(&self.plan, self.spread, number, id);
        let registry = self.poll.registry();
        let begun = match known {
            Some(subscriber) => subscriber.come_back(way, request, registry),
            None => LoadSubscriber::connect(number, way, request, requests.as_deref(), registry)
                .map(|subscriber| self.subscribers.push(subscriber)),
        };
        begun.map_err(|source| BenchError::Connect { address: self.address, source })
    }

    /// Closes all connections.
    pub(crate) fn hang_up(&mut self) {
        self.subscribers.iter_mut().for_each(LoadSubscriber::hang_up);
    }

    /// Lets the slow readers rest: their sockets fill.
    pub(crate) fn rest(&mut self) -> Result<(), BenchError> {
        let registry = self.poll.registry();
        let mut slow = self.subscribers.iter_mut().take(self.plan.slow as usize);
        slow.try_for_each(|it| it.rest(registry)).map_err(BenchError::system("cannot rest"))
    }

    /// Lets them read all that is there, and come back for the rest where their streams were closed.
    pub(crate) fn wake(&mut self) -> Result<(), BenchError> {
        let slow = self.plan.slow as usize;
        let registry = self.poll.registry();
        let mut awake = self.subscribers.iter_mut().take(slow);
        awake.try_for_each(|it| it.wake(registry)).map_err(BenchError::system("cannot wake"))?;
        self.returns = Some(vec![0; slow]);
        Ok(())
    }

    /// Waits for sockets to become ready, at most `timeout`, and reads from each that is.
    pub(crate) fn pump(&mut self, timeout: Duration) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(BenchError::system("cannot poll"))?,
        }
        let mut ended = Vec::new();
        for event in &self.events {
            let subscriber = &mut self.subscribers[event.token().0];
            let was_reading = subscriber.is_reading();
            let ready = subscriber.ready(
                event.is_read_closed(),
                self.clock,
                &mut self.buffer,
                &mut self.inbox,
            );
            match ready {
                Err(BenchError::StreamBroke { .. } | BenchError::StreamEnded { .. })
                    if was_reading && self.plan.requests.is_some() =>
                {
                    subscriber.hang_up();
                    self.inbox.count_end();
                    ended.push(event.token().0);
                }
                // A socket that breaks before anything was sent on it never was connected.
                Err(BenchError::StreamBroke { source, .. }) if !was_reading => {
                    return Err(BenchError::Connect { address: self.address, source });
                }
                other => other?,
            }
            self.connected += u32::from(!was_reading && subscriber.is_reading());
            self.flow.set_settled(self.inbox.settled());
        }
        for number in ended {
            self.lose(number)?;
        }
        Ok(())
    }

    /// A stream was closed: whoever reads slowly comes back, as a browser would; of the others it is
    /// counted.
    fn lose(&mut self, number: usize) -> Result<(), BenchError> {
        let returns = self.returns.as_mut().and_then(|returns| returns.get_mut(number));
        if let Some(returns) = returns.filter(|returns| **returns < MOST_RETURNS)
            && self.plan.requests.as_ref().is_some_and(|it| it.resume.is_some())
        {
            *returns += 1;
            return self.start(number as u32);
        }
        self.gone += 1;
        self.flow.set_gone(self.gone);
        Ok(())
    }
}

/// The request for a stream of a subscriber's topics, after the event with this id if it has one.
fn request(plan: &BenchPlan, spread: Spread, number: u32, id: &[u8]) -> Vec<u8> {
    if let Some(requests) = &plan.requests {
        // A plan with requests of its own has no subscriber of several topics.
        let topic = spread.topics_of(number).next().unwrap_or_default();
        return requests.stream(topic, id);
    }
    dialect::subscription(plan, spread, number)
}

/// A loopback address to connect from, so that there are ports enough.
fn source(address: SocketAddr, number: u32) -> Option<SocketAddr> {
    let last = u8::try_from(2 + number / PORTS_PER_SOURCE).ok()?;
    address.is_ipv4().then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0))
}
