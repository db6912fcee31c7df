//! A storm: all subscribers lose their connections, miss some messages, and come back at once, each
//! with the id of its last event.
//!
//! What must hold: what is counted is each subscriber's whole history, before and after, so that what
//! was lost or delivered twice on the way is seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::RunClock;
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::flow::Flow;
use crate::inbox::Arrivals;
use crate::plan::BenchPlan;
use crate::process::LocalProcess;
use crate::publisher::LoadPublisher;
use crate::report::{Latency, Violations};
use crate::run::{
    DRAIN_TIMEOUT, SETTLE, TICK, address_of, check, hold, publish_address, run_number,
    server_process,
};
use crate::spread::Spread;

/// How many messages are heard before it, so that everyone has an id, and after it, live.
const HEARD: u32 = 5;

/// What came of a storm.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Storm {
    /// How many messages each of them missed.
    pub missed: u32,
    /// From the first connection until the last of them had all it missed, in seconds.
    pub seconds: f64,
    /// From the first connection until a missed message arrived.
    pub latency: Latency,
    /// CPU time of the server for each that came back, in nanoseconds; `None` where its process was not
    /// named.
    pub cpu_per_return: Option<f64>,
    /// CPU time of the client per second.
    pub client_cpu_load: f64,
    /// What was wrong with the messages of the whole run.
    pub violations: Violations,
}

/// Makes a storm of the plan's subscribers, on one topic, that miss so many messages.
///
/// # Errors
///
/// As [`run`](crate::run()) has them.
pub fn storm(plan: &BenchPlan, missed: u32) -> Result<Storm, BenchError> {
    let plan = &BenchPlan { topics: 1, publishers: 1, batch: 1, slow: 0, ..plan.clone() };
    check(plan)?;
    let process = server_process(plan)?;
    let own = LocalProcess::new(std::process::id())?;
    let (clock, flow) = (RunClock::start(), Arc::new(Flow::default()));
    let (number, spread) = (run_number(), Spread::new(plan.subscribers, 1));
    let inbox = Arrivals::new(plan, number, spread);
    let address = address_of(&plan.url)?;
    let mut fleet = Fleet::new(address, clock, Arc::clone(&flow), inbox, plan, spread)?;
    fleet.connect(|_| ())?;
    hold(&mut fleet, SETTLE, |_| {})?;
    let publish_address = publish_address(plan)?;
    let mut publisher =
        LoadPublisher::connect(0, plan, spread, number, publish_address, clock, Arc::clone(&flow))?;
    publisher.publish_now(HEARD)?;
    receive(&mut fleet, &flow)?;

    fleet.hang_up();
    // Long enough for the server to notice.
    std::thread::sleep(SETTLE);
    publisher.publish_now(missed)?;
    std::thread::sleep(SETTLE);

    let cpu = process.map(|it| it.cpu()).transpose()?;
    let (own_cpu, begun) = (own.cpu()?, clock.now());
    fleet.inbox.measure_since(begun);
    fleet.connect(|_| ())?;
    let last = receive(&mut fleet, &flow)?.unwrap_or_else(|| clock.now());
    let took = Duration::from_nanos(last.saturating_sub(begun));
    let latency = Latency::of(fleet.inbox.latency());
    let passed = Duration::from_nanos(clock.now() - begun);
    let client_cpu_load = own.cpu()?.since(&own_cpu).as_secs_f64() / passed.as_secs_f64();
    let used = process.zip(cpu).map(|(it, before)| Ok::<_, BenchError>(it.cpu()?.since(&before)));
    let used = used.transpose()?;

    publisher.publish_now(HEARD)?;
    receive(&mut fleet, &flow)?;
    // What arrives now was delivered twice.
    hold(&mut fleet, TICK, |_| {})?;
    let sent = [vec![2 * HEARD + missed]];
    Ok(Storm {
        missed,
        seconds: took.as_secs_f64(),
        latency,
        cpu_per_return: used.map(|used| used.as_nanos() as f64 / f64::from(plan.subscribers)),
        client_cpu_load,
        violations: fleet.inbox.close(plan.subscribers, &sent),
    })
}

/// Receives until nothing is outstanding, or nothing has come for long. Returns when the last message
/// came, if any came here.
fn receive(fleet: &mut Fleet, flow: &Flow) -> Result<Option<u64>, BenchError> {
    let mut arrived = (Instant::now(), fleet.inbox.delivered());
    let mut last = fleet.inbox.last_arrival();
    while flow.outstanding() > 0 && arrived.0.elapsed() < DRAIN_TIMEOUT {
        fleet.pump(TICK)?;
        let delivered = fleet.inbox.delivered();
        if delivered != arrived.1 {
            arrived = (Instant::now(), delivered);
            last = fleet.inbox.last_arrival();
        }
    }
    Ok(last)
}
