//! How long it takes to hand a log in memory to another process: `state_bench EVENTS MESSAGE_BYTES KEYS`.

#![allow(clippy::unwrap_used, reason = "a measurement ends by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_event::{Draft, Event, Position, Topic};
use fanfare_log::{Batch, EventLog, IdempotencyKey, Lineage, Retention, Tail};
use fanfare_memory::{MemoryLog, MemorySettings, MemoryState};

struct StateBenchTail;

impl Tail for StateBenchTail {
    fn begin(&self, _: &Lineage, _: Position) {}
    fn append(&self, _: &[Arc<Event>]) {}
    fn trim(&self, _: Position) {}
    fn wake(&self) {}
}

/// How long this process has run on a processor, however busy the machine is.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [events, message, keys] = numbers.try_into().unwrap_or([100_000, 200, 10_000]);
    let age = Duration::from_secs(3600);
    let retention = Retention { count: u64::MAX, bytes: u64::MAX, age };
    let settings =
        MemorySettings { retention, key_window: age, key_capacity: keys.saturating_mul(2) };
    let log = MemoryLog::open(settings, Arc::new(StateBenchTail));
    for n in 0..events {
        let topic = Topic::parse(&format!("orders/{}", n % 1000)).unwrap();
        let message = "x".repeat(message).into();
        let drafts = vec![Draft { topic, event_type: None, message, extras: None }];
        let key = (n < keys).then(|| IdempotencyKey::parse(&n.to_string()).unwrap());
        drop(log.append(Batch { drafts, key }));
    }
    let mut bytes = Vec::new();
    let took = |what: &str, (since, cpu): (Instant, Duration)| {
        println!("{what:<8} {:>9.2?}, {:>9.2?} of processor", since.elapsed(), on_cpu() - cpu);
    };
    let begin = || (Instant::now(), on_cpu());
    let begun = begin();
    let state = log.state();
    took("collect", begun);
    let begun = begin();
    bytes.reserve(state.length());
    state.write(&mut bytes).unwrap();
    took("write", begun);
    assert!(bytes.len() <= state.length());
    let begun = begin();
    let state = MemoryState::read(&mut &bytes[..]).unwrap();
    took("read", begun);
    let begun = begin();
    let log = MemoryLog::resume(settings, Arc::new(StateBenchTail), state);
    took("resume", begun);
    println!("{} events, {keys} keys: {} bytes", log.stats().events, bytes.len());
}
