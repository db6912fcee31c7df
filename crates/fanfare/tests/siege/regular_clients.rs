//! Regular clients: subscribers who read what they are sent, and a publisher with a good key.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::attack::head;
use crate::hub::KEY;

/// How many subscribers share an address.
const PER_ADDRESS: usize = 100;
/// How long everything that was sent may take to arrive in the end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Everyone who is to notice nothing.
#[derive(Debug)]
pub(crate) struct RegularClients {
    shared: Arc<Shared>,
    reading: JoinHandle<()>,
    publishing: JoinHandle<()>,
    subscribers: usize,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    latencies: Mutex<Histogram<u64>>,
    acknowledgements: Mutex<Histogram<u64>>,
    published: AtomicU64,
    refused: AtomicU64,
    received: AtomicU64,
    closed: AtomicUsize,
    /// Nothing more is published.
    over: AtomicBool,
    /// Nothing more is read.
    done: AtomicBool,
}

/// How long events took to arrive, and their publisher waited for each answer, in microseconds.
#[derive(Debug)]
pub(crate) struct Latencies {
    events: Histogram<u64>,
    acknowledgements: Histogram<u64>,
}

/// What happened to the regular clients.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) published: u64,
    pub(crate) refused: u64,
    pub(crate) missed: u64,
    pub(crate) closed: usize,
}

impl RegularClients {
    /// Has so many subscribe, and begins to publish to them.
    pub(crate) fn gather(hub: SocketAddr, subscribers: usize, rate: u32) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            latencies: Mutex::new(histogram()),
            acknowledgements: Mutex::new(histogram()),
            published: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            received: AtomicU64::new(0),
            closed: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            done: AtomicBool::new(false),
        });
        let streams: Vec<_> = (0..subscribers).map(|number| subscribe(hub, number)).collect();
        let (reading, publishing) = (Arc::clone(&shared), Arc::clone(&shared));
        let reading = thread::spawn(move || read(streams, &reading));
        let publishing = thread::spawn(move || publish(hub, rate, &publishing));
        Self { shared, reading, publishing, subscribers }
    }

    /// How long events take from now on, for so long.
    pub(crate) fn observe(&mut self, during: Duration) -> Latencies {
        let Shared { latencies, acknowledgements, .. } = &*self.shared;
        let begin_anew = |one: &Mutex<_>| std::mem::replace(&mut *one.lock().unwrap(), histogram());
        let _ = [latencies, acknowledgements].map(begin_anew);
        thread::sleep(during);
        let [events, acknowledgements] = [latencies, acknowledgements].map(begin_anew);
        Latencies { events, acknowledgements }
    }

    /// Publishes no more, waits for what is on its way, and says how it went.
    pub(crate) fn settle(self) -> Account {
        let Self { shared, reading, publishing, subscribers } = self;
        shared.over.store(true, Ordering::Relaxed);
        publishing.join().unwrap();
        let began = Instant::now();
        let due = || shared.published.load(Ordering::Relaxed) * subscribers as u64;
        let received = || shared.received.load(Ordering::Relaxed);
        while received() < due() && began.elapsed() < TIMEOUT {
            thread::sleep(Duration::from_millis(20));
        }
        shared.done.store(true, Ordering::Relaxed);
        reading.join().unwrap();
        Account {
            published: shared.published.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            missed: due().saturating_sub(received()),
            closed: shared.closed.load(Ordering::Relaxed),
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(3_600_000_000, 3).unwrap()
}

/// Subscribes from one of a few addresses, and reads the head of the answer.
fn subscribe(hub: SocketAddr, number: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let last = 1 + u8::try_from(number / PER_ADDRESS).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 1, 0, last), 0)).into()).unwrap();
    socket.connect(&hub.into()).unwrap();
    let mut stream: TcpStream = socket.into();
    stream.write_all(head("GET", "/sse/events?topic=news", "").as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "a regular client was refused");
        seen.push(byte[0]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 200 "));
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Reads all streams until everything is over, and notes when what was published arrives.
fn read(streams: Vec<TcpStream>, shared: &Shared) {
    let mut poll = Poll::new().unwrap();
    let mut streams: Vec<_> = streams.into_iter().map(mio::net::TcpStream::from_std).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        poll.registry().register(stream, Token(number), Interest::READABLE).unwrap();
    }
    let mut rests = vec![Vec::new(); streams.len()];
    let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
    while !shared.done.load(Ordering::Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(50))).unwrap();
        for event in &events {
            let number = event.token().0;
            loop {
                match streams[number].read(&mut buffer) {
                    Ok(0) => {
                        shared.closed.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    Ok(read) => note(&mut rests[number], &buffer[..read], shared),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        shared.closed.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
            }
        }
    }
}

/// Finds the moments at which events were sent, in `data: @MICROSECONDS;`.
fn note(rest: &mut Vec<u8>, bytes: &[u8], shared: &Shared) {
    rest.extend_from_slice(bytes);
    let now = u64::try_from(shared.began.elapsed().as_micros()).unwrap();
    let mut latencies = shared.latencies.lock().unwrap();
    let mut used = 0;
    while let Some(at) = rest[used..].iter().position(|&byte| byte == b'@') {
        let begin = used + at + 1;
        let Some(length) = rest[begin..].iter().position(|&byte| byte == b';') else {
            used = begin - 1;
            break;
        };
        let sent: u64 = str::from_utf8(&rest[begin..begin + length]).unwrap().parse().unwrap();
        latencies.saturating_record(now.saturating_sub(sent).max(1));
        shared.received.fetch_add(1, Ordering::Relaxed);
        used = begin + length + 1;
    }
    let keeps = rest[used..].first() == Some(&b'@');
    rest.drain(..if keeps { used } else { rest.len() });
}

/// Publishes at this rate over one connection, which is opened again only where it was closed.
fn publish(hub: SocketAddr, rate: u32, shared: &Shared) {
    let mut connection = None;
    let mut next = Instant::now();
    while !shared.over.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next = (next + Duration::from_secs(1) / rate).max(Instant::now());
        let message = format!("@{};", shared.began.elapsed().as_micros());
        let body = format!(r#"{{"topic":"news","message":"{message}"}}"#);
        let more = format!(
            "Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let request = head("POST", "/sse/send", &more) + &body;
        let stream = connection.get_or_insert_with(|| TcpStream::connect(hub).unwrap());
        let asked = Instant::now();
        match exchange(stream, request.as_bytes()) {
            Ok(status) if status == "200" => {
                let took = u64::try_from(asked.elapsed().as_micros()).unwrap();
                shared.acknowledgements.lock().unwrap().saturating_record(took.max(1));
                shared.published.fetch_add(1, Ordering::Relaxed);
            }
            other => {
                eprintln!("a publish was not accepted: {other:?}");
                shared.refused.fetch_add(1, Ordering::Relaxed);
                connection = None;
            }
        }
    }
}

/// Sends a request and reads its short answer; what its status is.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<String> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    // The body of an acknowledgement is one object, its last byte the brace.
    while !answer.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer[9..12]).into_owned())
}

impl Latencies {
    pub(crate) fn p99(&self) -> f64 {
        self.events.value_at_quantile(0.99) as f64
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, of) in [("events", &self.events), ("; answers", &self.acknowledgements)] {
            let [p50, p99, most] =
                [0.5, 0.99, 1.0].map(|quantile| of.value_at_quantile(quantile) as f64 / 1000.0);
            write!(
                f,
                "{what} p50 {p50:.2} ms, p99 {p99:.2} ms, most {most:.2} ms of {}",
                of.len()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { published, refused, missed, closed } = self;
        write!(f, "{published} published, {refused} refused, {missed} missed, {closed} closed")
    }
}
