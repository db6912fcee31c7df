//! One publisher: a thread and a connection it keeps, one request at a time. Where the server ends the
//! connection with an answer, the next request takes another.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::answer_reader::AnswerReader;
use crate::clock::{Pace, RunClock, nanoseconds};
use crate::dialect;
use crate::error::BenchError;
use crate::flow::Flow;
use crate::framing::BodyFraming;
use crate::payload::BenchMessage;
use crate::plan::{BenchPlan, Load};
use crate::response::{BadResponse, ResponseHead, excerpt};
use crate::spread::Spread;
use crate::wire::LoadSocket;

/// What a request that goes on consists of, and its answer.
const LINES: &str = "application/x-ndjson";
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after its end a paced run may go on sending what was due before it.
const OVERRUN: Duration = Duration::from_secs(5);
/// How long a publisher sleeps that has too many messages on their way.
const BACK_OFF: Duration = Duration::from_micros(100);

/// One of the run's publishers, connected.
pub(crate) struct LoadPublisher {
    number: u8,
    plan: BenchPlan,
    spread: Spread,
    run: u32,
    clock: RunClock,
    flow: Arc<Flow>,
    address: SocketAddr,
    stream: LoadSocket<TcpStream>,
    /// The server closes, or has closed, this connection.
    is_over: bool,
    /// The next request's number.
    next: u64,
    /// How many messages it has sent to each topic.
    sent: Vec<u32>,
    request: Vec<u8>,
    body: Vec<u8>,
    message: Vec<u8>,
    answer: Vec<u8>,
    /// Where the answer of a request that goes on is read, once it has begun.
    answers: Option<AnswerReader>,
}

impl LoadPublisher {
    pub(crate) fn connect(
        number: u8,
        plan: &BenchPlan,
        spread: Spread,
        run: u32,
        address: SocketAddr,
        clock: RunClock,
        flow: Arc<Flow>,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            number,
            plan: plan.clone(),
            spread,
            run,
            clock,
            flow,
            address,
            stream: open(plan, address)?,
            is_over: false,
            next: number.into(),
            sent: vec![0; plan.topics as usize],
            request: Vec::new(),
            body: Vec::new(),
            message: Vec::new(),
            answer: Vec::new(),
            answers: None,
        })
    }

    /// Publishes so many messages now, one after the other.
    pub(crate) fn publish_now(&mut self, messages: u32) -> Result<(), BenchError> {
        for _ in 0..messages {
            self.send(self.next, self.clock.now())?;
            self.next += 1;
        }
        Ok(())
    }

    /// Publishes from `start` to `end` on the run's clock. Returns how many messages were sent to
    /// each topic. A failure stops the run.
    pub(crate) fn publish(mut self, start: u64, end: u64) -> Result<Vec<u32>, BenchError> {
        let result = self.publish_all(start, end).and_then(|()| self.end_stream());
        if result.is_err() {
            self.flow.stop();
        }
        result.map(|()| self.sent)
    }

    fn publish_all(&mut self, start: u64, end: u64) -> Result<(), BenchError> {
        // A wake-up 50 µs late, Linux's default, would count as the server's latency. Where the
        // kernel does not grant it, it does.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        self.clock.sleep_until(start);
        let requests = (u64::from(self.number)..).step_by(self.plan.publishers as usize);
        match self.plan.load {
            Load::Idle => {}
            Load::Paced { rate } => {
                let pace = Pace::new(start, rate, self.plan.batch);
                let latest = end.saturating_add(nanoseconds(OVERRUN));
                for (request, due) in requests.map(|request| (request, pace.due(request))) {
                    if due >= end || self.clock.now() >= latest || self.flow.is_stopped() {
                        break;
                    }
                    self.clock.sleep_until(due);
                    self.send(request, due)?;
                }
            }
            Load::Unpaced { in_flight } => {
                for request in requests {
                    while self.flow.outstanding() > self.most_outstanding(in_flight)
                        && self.clock.now() < end
                    {
                        std::thread::sleep(BACK_OFF);
                    }
                    let now = self.clock.now();
                    if now >= end || self.flow.is_stopped() {
                        break;
                    }
                    self.send(request, now)?;
                }
            }
        }
        Ok(())
    }

    /// How many deliveries may be outstanding where so many messages may be in flight.
    fn most_outstanding(&self, in_flight: u64) -> u64 {
        let left = self.plan.subscribers.saturating_sub(self.flow.gone());
        let per_message = (left / self.plan.topics).max(1);
        match in_flight.saturating_mul(per_message.into()) {
            0 => u64::MAX,
            most => most,
        }
    }

    /// Publishes one batch, stamped `stamp`, and waits until it is acknowledged.
    fn send(&mut self, request: u64, stamp: u64) -> Result<(), BenchError> {
        let batch = self.plan.batch as u64;
        let mut deliveries = 0;
        self.body.clear();
        for message in request * batch..(request + 1) * batch {
            // Less than the number of topics, which is 32 bits wide.
            let topic = (message % u64::from(self.plan.topics)) as u32;
            let sequence = &mut self.sent[topic as usize];
            let payload = BenchMessage {
                run: self.run,
                publisher: self.number,
                topic,
                sequence: *sequence,
                stamp,
            };
            *sequence += 1;
            let gone = if self.plan.topics == 1 { self.flow.gone() } else { 0 };
            deliveries += u64::from(self.spread.fan_out(topic).saturating_sub(gone));
            if let Some(requests) = &self.plan.requests {
                self.message.clear();
                payload.write(&mut self.message, self.plan.size);
                requests.write_publication(&mut self.body, topic, &self.message);
                continue;
            }
            dialect::message(&mut self.body, &self.plan, payload);
        }
        self.flow.sending(deliveries);
        if self.plan.publish_stream {
            return self.send_lines();
        }
        self.request.clear();
        if self.plan.requests.is_none() {
            let target = self.plan.publish_target();
            self.request = dialect::publication(&self.plan, target, self.body.len());
        }
        self.request.extend_from_slice(&self.body);
        if self.is_over {
            self.stream = open(&self.plan, self.address)?;
        }
        self.stream.write_all(&self.request).map_err(BenchError::Publish)?;
        self.is_over = self.read_answer()?;
        self.flow.acknowledged(batch);
        Ok(())
    }

    /// Sends what is in the body as a part of a request that goes on.
    fn send_lines(&mut self) -> Result<(), BenchError> {
        self.request.clear();
        if self.answers.is_none() {
            let target = self.plan.publish_target();
            let (path, host) = (target.path("send"), target.authority());
            let authorization = self.plan.authorization_line();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}accept: {LINES}\r\n\
                 content-type: {LINES}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            self.request.extend_from_slice(head.as_bytes());
            let stream = self.stream.socket().try_clone().map_err(BenchError::Publish)?;
            self.answers = Some(AnswerReader::start(stream, Arc::clone(&self.flow))?);
        }
        let length = format!("{:x}\r\n", self.body.len());
        self.request.extend_from_slice(length.as_bytes());
        self.request.extend_from_slice(&self.body);
        self.request.extend_from_slice(b"\r\n");
        self.stream.write_all(&self.request).map_err(BenchError::Publish)
    }

    /// Ends a request that goes on, and waits for the last of its answer.
    fn end_stream(&mut self) -> Result<(), BenchError> {
        let Some(answers) = self.answers.take() else { return Ok(()) };
        self.stream.write_all(b"0\r\n\r\n").map_err(BenchError::Publish)?;
        answers.join()
    }

    /// Reads it to its end. True where the connection ends with it.
    fn read_answer(&mut self) -> Result<bool, BenchError> {
        let bad = |source| BenchError::Response { request: "POST send".into(), source };
        self.answer.clear();
        let mut head = loop {
            if let Some(head) = ResponseHead::parse(&self.answer).map_err(bad)? {
                break head;
            }
            self.read_more()?;
        };
        let mut body = Vec::new();
        let mut taken = head.length;
        loop {
            head.framing
                .take(&self.answer[taken..], |piece| body.extend_from_slice(piece))
                .map_err(|source| bad(source.into()))?;
            taken = self.answer.len();
            if head.framing.is_complete() {
                break;
            }
            match self.read_more() {
                Err(BenchError::Response { source: BadResponse::Closed, .. })
                    if !head.is_success() || head.framing == BodyFraming::Close =>
                {
                    head.closes = true;
                    break;
                }
                other => other?,
            }
        }
        // Fanfare says 200; others say what they did.
        if head.is_ok() || self.plan.requests.is_some() && head.is_success() {
            return Ok(head.closes);
        }
        Err(BenchError::Refused {
            request: "POST send".into(),
            status_line: head.status_line,
            body: excerpt(&body),
        })
    }

    fn read_more(&mut self) -> Result<(), BenchError> {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    let source = BadResponse::Closed;
                    return Err(BenchError::Response { request: "POST send".into(), source });
                }
                Ok(n) => {
                    self.answer.extend_from_slice(&chunk[..n]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let seconds = ANSWER_TIMEOUT.as_secs();
                    let late = format!("no answer to POST send in {seconds} s");
                    return Err(BenchError::Publish(io::Error::new(ErrorKind::TimedOut, late)));
                }
                Err(error) => return Err(BenchError::Publish(error)),
            }
        }
    }
}

fn open(plan: &BenchPlan, address: SocketAddr) -> Result<LoadSocket<TcpStream>, BenchError> {
    let connect = || {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        LoadSocket::new(stream, plan.requests.as_ref().and_then(|requests| requests.tls.as_ref()))
    };
    connect().map_err(|source| BenchError::Connect { address, source })
}
