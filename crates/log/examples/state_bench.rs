//! How long it takes to hand a log in memory to another process: `state_bench EVENTS MESSAGE_BYTES KEYS`.

#![allow(clippy::unwrap_used, reason = "a measurement ends by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_event::{Draft, Event, Position, Topic};
use fanfare_log::{
    Batch, EventLog, IdempotencyKey, Lineage, MemoryLog, MemorySettings, MemoryState, Retention,
    Tail,
};

struct Deaf;

impl Tail for Deaf {
    fn begin(&self, _: &Lineage, _: Position) {}
    fn append(&self, _: &[Arc<Event>]) {}
    fn trim(&self, _: Position) {}
    fn wake(&self) {}
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [events, message, keys] = numbers.try_into().unwrap_or([100_000, 200, 10_000]);
    let age = Duration::from_secs(3600);
    let retention = Retention { count: u64::MAX, bytes: u64::MAX, age };
    let settings =
        MemorySettings { retention, key_window: age, key_capacity: keys.saturating_mul(2) };
    let log = MemoryLog::open(settings, Arc::new(Deaf));
    for n in 0..events {
        let topic = Topic::parse(&format!("orders/{}", n % 1000)).unwrap();
        let message = "x".repeat(message).into();
        let drafts = vec![Draft { topic, event_type: None, message, extras: None }];
        let key = (n < keys).then(|| IdempotencyKey::parse(&n.to_string()).unwrap());
        drop(log.append(Batch { drafts, key }));
    }
    let mut bytes = Vec::new();
    let took = |what: &str, since: Instant| println!("{what:<8} {:>9.2?}", since.elapsed());
    let begin = Instant::now();
    let state = log.state();
    took("collect", begin);
    let begin = Instant::now();
    bytes.reserve(state.length());
    state.write(&mut bytes).unwrap();
    took("write", begin);
    assert!(bytes.len() <= state.length());
    let begin = Instant::now();
    let state = MemoryState::read(&mut &bytes[..]).unwrap();
    took("read", begin);
    let begin = Instant::now();
    let log = MemoryLog::resume(settings, Arc::new(Deaf), state);
    took("resume", begin);
    println!("{} events, {keys} keys: {} bytes", log.stats().events, bytes.len());
}
