//! What a crowd that reads all there is costs another: a thousand streams of one address begin at the
//! earliest event at once, and meanwhile one of another address resumes, again and again.
//!
//! ```sh
//! cargo run --release -p fanfare-delivery --example crowd
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "an example may panic")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_delivery::{
    BodyReader, Delivery, DeliverySettings, Framing, NewSubscriber, Retry, Seats, Sink, StepLimits,
    Wire, body,
};
use fanfare_event::{Draft, Position, PrivateRights, Selector, Topic};
use fanfare_hub::{Envelope, Hub, Interest, Requested, Window, WindowBounds};
use fanfare_log::{Batch, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings};

const CROWD: usize = 1_000;
const EVENTS: usize = 100_000;
const WINDOW: usize = 1_000;
const RESUMES: usize = 20;

fn main() {
    let retention = Retention { count: 10_000_000, bytes: 1 << 34, age: Duration::from_secs(3600) };
    let window = Arc::new(Window::new(WindowBounds { count: WINDOW, bytes: 1 << 30 }, retention));
    let memory = MemorySettings { retention, key_window: Duration::ZERO, key_capacity: 0 };
    let log = MemoryLog::open(memory, Arc::clone(&window) as Arc<dyn Tail>);
    let hub = Arc::new(Hub::new(window, log));
    let settings = DeliverySettings {
        shards: 1,
        heartbeat: Duration::from_secs(3600),
        longest_heartbeat: Duration::from_secs(3600),
        write_timeout: Duration::from_secs(3600),
        min_rate: 0,
        max_age: None,
        retry: Retry(Duration::from_secs(3)),
        seats: Seats::new(CROWD + 1),
        limits: StepLimits::default(),
    };
    let delivery = Delivery::start(&hub, &settings).unwrap();
    for first in (0..EVENTS).step_by(1_000) {
        publish(&hub, first..first + 1_000);
    }
    resumes(&hub, &delivery, "alone");
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| subscribe(&hub, &delivery, [192, 0, 2, 1].into(), &Requested::Earliest))
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let taking = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || take_all(&crowd, &is_over)
    });
    resumes(
        &hub,
        &delivery,
        &format!("while {CROWD} streams read {EVENTS} events from the earliest"),
    );
    let pages = delivery.totals().pages;
    is_over.store(true, Ordering::Relaxed);
    let taken = taking.join().unwrap();
    println!("the crowd was given {} MB by then, in {pages} pages", taken >> 20);
}

fn publish(hub: &Hub, numbers: std::ops::Range<usize>) {
    let draft = |n: usize| Draft {
        topic: Topic::parse("t").unwrap(),
        event_type: None,
        message: format!("{n} {}", "x".repeat(200)).into(),
        extras: None,
    };
    let mut appending = hub.publish(Batch { drafts: numbers.map(draft).collect(), key: None });
    let polled = appending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
}

fn subscribe(hub: &Hub, delivery: &Delivery, address: IpAddr, from: &Requested) -> BodyReader {
    let (writer, reader) = body();
    delivery.join(NewSubscriber {
        sink: Sink::Body(writer),
        wire: Wire::native(Envelope::None, Framing::Bare),
        head: Bytes::new(),
        cadence: None,
        interest: Arc::new(Interest::new(Selector::parse(["t"], []).unwrap(), PrivateRights::None)),
        start: hub.resolve(from).into_start(),
        has_id: *from != Requested::Earliest,
        address,
        seat: delivery.seat().unwrap(),
        lease: None,
    });
    reader
}

/// Takes what comes, as fast as it comes; how many bytes those were.
fn take_all(crowd: &[BodyReader], is_over: &AtomicBool) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut taken = 0;
    while !is_over.load(Ordering::Relaxed) {
        for reader in crowd {
            while let Poll::Ready(Some(Ok(bytes))) = reader.poll_next(&mut context, Instant::now())
            {
                taken += bytes.len();
            }
        }
        sleep(Duration::from_millis(1));
    }
    taken
}

/// How long those of another address wait for the first event of a page of the log.
fn resumes(hub: &Hub, delivery: &Delivery, when: &str) {
    let last = hub.window().last();
    let from = Requested::After(Position::new(last.epoch, last.seq - 5 * WINDOW as u64));
    let mut waits: Vec<_> = (0..RESUMES)
        .map(|_| {
            sleep(Duration::from_millis(100));
            let begin = Instant::now();
            let reader = subscribe(hub, delivery, [198, 51, 100, 1].into(), &from);
            let mut context = Context::from_waker(Waker::noop());
            loop {
                match reader.poll_next(&mut context, Instant::now()) {
                    Poll::Ready(Some(Ok(bytes)))
                        if bytes.windows(5).any(|part| part == b"\nid: ") =>
                    {
                        return begin.elapsed();
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => panic!("the stream ended"),
                    Poll::Pending => thread::yield_now(),
                }
            }
        })
        .collect();
    waits.sort_unstable();
    let (median, worst) = (waits[RESUMES / 2], waits[RESUMES - 1]);
    println!("a resume, {when}: median {median:.1?}, worst {worst:.1?}");
}
