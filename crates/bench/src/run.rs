//! One run, from connecting to the report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::{RunClock, nanoseconds};
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::flow::Flow;
use crate::inbox::Arrivals;
use crate::open_files::raise_open_files;
use crate::plan::{BenchPlan, Load};
use crate::process::{CpuReading, LocalProcess};
use crate::progress::RunProgress;
use crate::publisher::LoadPublisher;
use crate::report::{BenchReport, Latency, MeasuredWindow, ServerUsage};
use crate::spread::Spread;
use crate::target::Target;

/// Files this process has open besides its subscribers and publishers.
const OTHER_FILES: u64 = 16;
/// How long the server is left alone after everyone has connected, before its memory is read.
pub(crate) const SETTLE: Duration = Duration::from_millis(500);
/// How long after publishing nothing may arrive until what is missing counts as lost.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the receiver rests between two rounds of reading when publishing is unpaced.
///
/// Without it, it wakes for every single message, and takes the core it shares with the publishers
/// from them: a server that answers a publisher last would wait for the client.
const REST: Duration = Duration::from_millis(1);
/// The longest wait between two looks at the clock.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Makes a run, and tells `progress` how far it is a few times a second.
///
/// The calling thread receives for all subscribers; each publisher has a thread of its own.
///
/// # Errors
///
/// If the plan cannot be carried out, if the server refuses something, or if it closes a stream.
/// Messages that were lost, duplicated or reordered are no error but part of the report.
pub fn run(
    plan: &BenchPlan,
    progress: &mut dyn FnMut(RunProgress),
) -> Result<BenchReport, BenchError> {
    check(plan)?;
    let address = address_of(&plan.url)?;
    let publish_address = publish_address(plan)?;
    let process = server_process(plan)?;
    let (clock, flow) = (RunClock::start(), Arc::new(Flow::default()));
    let (number, spread) = (run_number(), Spread::new(plan.subscribers, plan.topics));
    let inbox = Arrivals::new(plan, number, spread);
    let mut fleet = Fleet::new(address, clock, Arc::clone(&flow), inbox, plan, spread)?;

    let before = Usage::read(process)?;
    let connecting = Instant::now();
    fleet.connect(|fleet| {
        let (connected, wanted) = (fleet.connected(), plan.subscribers);
        progress(RunProgress::Connecting { connected, wanted });
    })?;
    let connect_seconds = connecting.elapsed().as_secs_f64();
    hold(&mut fleet, SETTLE, |_| {})?;
    let connected = Usage::read(process)?;

    let measured = if plan.load == Load::Idle {
        let start = Moment::take(clock, &flow, &fleet, process)?;
        let of = plan.duration.as_secs_f64();
        hold(&mut fleet, plan.duration, |held| {
            progress(RunProgress::Holding { seconds: held.as_secs_f64(), of });
        })?;
        Measured { start, end: Moment::take(clock, &flow, &fleet, process)?, sent: Vec::new() }
    } else {
        let publishers = (0..=u8::MAX)
            .take(plan.publishers as usize)
            .map(|publisher| {
                let flow = Arc::clone(&flow);
                LoadPublisher::connect(
                    publisher,
                    plan,
                    spread,
                    number,
                    publish_address,
                    clock,
                    flow,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut publication =
            PublishPhase { plan, clock, flow: &flow, fleet: &mut fleet, process, progress };
        publication.measure(publishers)?
    };

    let violations = fleet.inbox.close(plan.subscribers, &measured.sent);
    let window = (plan.load != Load::Idle).then(|| measured.window(&fleet.inbox));
    let end = Usage::read(process)?;
    let idle = if plan.load == Load::Idle { &end } else { &connected };
    let server = match (before, &connected, idle, &end) {
        (Some(before), Some(connected), Some(idle), Some(end)) => {
            let each = f64::from(plan.subscribers);
            let connecting = connected.cpu.since(&before.cpu);
            let used = measured.cpu();
            let per = |number: u64| (number > 0).then(|| used.as_nanos() as f64 / number as f64);
            Some(ServerUsage {
                resident_before: before.resident,
                resident_idle: idle.resident,
                resident_loaded: measured.end.resident.unwrap_or(end.resident),
                resident_end: end.resident,
                bytes_per_subscriber: (idle.resident as f64 - before.resident as f64) / each,
                cpu_per_connect: connecting.as_nanos() as f64 / each,
                cpu_seconds: used.as_secs_f64(),
                cpu_load: used.as_secs_f64() / measured.seconds(),
                cpu_per_delivery: window.and_then(|window| per(window.deliveries)),
                cpu_per_publish: window.and_then(|window| per(window.published)),
            })
        }
        _ => None,
    };
    Ok(BenchReport {
        plan: plan.clone(),
        connect_seconds,
        client_cpu_load: measured.client_cpu_load(),
        window,
        violations,
        server,
    })
}

/// Checks the plan, and that there are files enough for it.
pub(crate) fn check(plan: &BenchPlan) -> Result<(), BenchError> {
    plan.check()?;
    let needed = u64::from(plan.subscribers) + u64::from(plan.publishers) + OTHER_FILES;
    let limit = raise_open_files();
    if needed > limit { Err(BenchError::OpenFiles { needed, limit }) } else { Ok(()) }
}

/// Keeps reading for so long.
pub(crate) fn hold(
    fleet: &mut Fleet,
    time: Duration,
    mut tick: impl FnMut(Duration),
) -> Result<(), BenchError> {
    let since = Instant::now();
    while since.elapsed() < time {
        fleet.pump(TICK.min(time.saturating_sub(since.elapsed())))?;
        tick(since.elapsed());
    }
    Ok(())
}

/// Where the plan publishes.
pub(crate) fn publish_address(plan: &BenchPlan) -> Result<SocketAddr, BenchError> {
    let told = plan.requests.as_ref().and_then(|requests| requests.publish_address);
    told.map_or_else(|| address_of(plan.publish_target()), Ok)
}

/// The plan's server, where its process is known; a hub that is asked in its own way may be several.
pub(crate) fn server_process(plan: &BenchPlan) -> Result<Option<LocalProcess>, BenchError> {
    let process = plan.pid.map(LocalProcess::new).transpose()?;
    Ok(process.map(|it| if plan.requests.is_some() { it.with_descendants() } else { it }))
}

pub(crate) fn address_of(target: &Target) -> Result<SocketAddr, BenchError> {
    let error = |source| BenchError::Resolve { host: target.authority().to_owned(), source };
    target.resolve().map_err(error)
}

/// A number that tells this run's messages from those of others.
pub(crate) fn run_number() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.subsec_nanos() ^ (now.as_secs() as u32).rotate_left(16) ^ std::process::id().rotate_left(8)
}

/// What the server's process has used up to a moment.
struct Usage {
    resident: u64,
    cpu: CpuReading,
}

impl Usage {
    fn read(process: Option<LocalProcess>) -> Result<Option<Self>, BenchError> {
        let Some(process) = process else { return Ok(None) };
        Ok(Some(Self { resident: process.resident_bytes()?, cpu: process.cpu()? }))
    }
}

/// All counters at one moment.
struct Moment {
    at: u64,
    published: u64,
    delivered: u64,
    bytes: u64,
    cpu: Option<CpuReading>,
    /// The server's memory.
    resident: Option<u64>,
    /// The client's own.
    client_cpu: CpuReading,
}

impl Moment {
    fn take(
        clock: RunClock,
        flow: &Flow,
        fleet: &Fleet,
        process: Option<LocalProcess>,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            at: clock.now(),
            published: flow.published(),
            delivered: fleet.inbox.delivered(),
            bytes: fleet.inbox.bytes(),
            cpu: process.map(LocalProcess::cpu).transpose()?,
            resident: process.map(LocalProcess::resident_bytes).transpose()?,
            client_cpu: LocalProcess::new(std::process::id())?.cpu()?,
        })
    }
}

/// What lies between two moments.
struct Measured {
    start: Moment,
    end: Moment,
    /// How many messages each publisher sent to each topic, over the whole run.
    sent: Vec<Vec<u32>>,
}

impl Measured {
    fn seconds(&self) -> f64 {
        (self.end.at - self.start.at) as f64 / 1e9
    }

    fn cpu(&self) -> Duration {
        match (&self.start.cpu, &self.end.cpu) {
            (Some(start), Some(end)) => end.since(start),
            _ => Duration::ZERO,
        }
    }

    fn client_cpu_load(&self) -> f64 {
        self.end.client_cpu.since(&self.start.client_cpu).as_secs_f64() / self.seconds()
    }

    fn window(&self, inbox: &Arrivals) -> MeasuredWindow {
        let Self { start, end, .. } = self;
        let seconds = self.seconds();
        let (published, deliveries, bytes) = (
            end.published - start.published,
            end.delivered - start.delivered,
            end.bytes - start.bytes,
        );
        MeasuredWindow {
            seconds,
            published,
            deliveries,
            bytes,
            publishes_per_second: published as f64 / seconds,
            deliveries_per_second: deliveries as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            latency: Latency::of(inbox.latency()),
        }
    }
}

/// The part of a run in which messages are published.
struct PublishPhase<'a> {
    plan: &'a BenchPlan,
    clock: RunClock,
    flow: &'a Flow,
    fleet: &'a mut Fleet,
    process: Option<LocalProcess>,
    progress: &'a mut dyn FnMut(RunProgress),
}

type Publishing = JoinHandle<Result<Vec<u32>, BenchError>>;

impl PublishPhase<'_> {
    /// Publishes through the warm-up and the window, and waits for what is on its way.
    fn measure(&mut self, publishers: Vec<LoadPublisher>) -> Result<Measured, BenchError> {
        // A moment from now, so that every publisher's thread is there by then.
        let start = self.clock.now() + nanoseconds(TICK);
        let from = start + nanoseconds(self.plan.warmup);
        let end = from + nanoseconds(self.plan.duration);
        self.fleet.inbox.measure(from..end);
        let mut threads = Vec::new();
        for publisher in publishers {
            let thread = std::thread::Builder::new()
                .name("publisher".into())
                .spawn(move || publisher.publish(start, end));
            threads.push(thread.map_err(BenchError::system("cannot start a thread"))?);
        }
        let measured = self.deliver(start, from, end, &threads);
        self.flow.stop();
        let sent: Result<Vec<_>, _> = threads.into_iter().map(join).collect();
        // The publishers' error comes first: it is what made the rest go wrong, if anything did.
        let sent = sent?;
        let (start, end) = measured?;
        Ok(Measured { start, end, sent })
    }

    fn deliver(
        &mut self,
        start: u64,
        from: u64,
        end: u64,
        threads: &[Publishing],
    ) -> Result<(Moment, Moment), BenchError> {
        self.fleet.rest()?;
        self.pump_until(start, from)?;
        let first = self.moment()?;
        self.pump_until(start, end)?;
        let last = self.moment()?;
        self.fleet.wake()?;
        let mut arrived = (Instant::now(), self.fleet.inbox.delivered());
        while !self.flow.is_stopped()
            && (!threads.iter().all(JoinHandle::is_finished) || self.flow.outstanding() > 0)
        {
            self.fleet.pump(TICK)?;
            (self.progress)(RunProgress::Draining { outstanding: self.flow.outstanding() });
            let delivered = self.fleet.inbox.delivered();
            if delivered != arrived.1 {
                arrived = (Instant::now(), delivered);
            } else if arrived.0.elapsed() > DRAIN_TIMEOUT {
                break;
            }
        }
        // What arrives now was delivered twice.
        self.fleet.pump(TICK)?;
        Ok((first, last))
    }

    /// Receives until the clock shows `until`, or until a publisher has failed.
    fn pump_until(&mut self, start: u64, until: u64) -> Result<(), BenchError> {
        let of = (self.plan.warmup + self.plan.duration).as_secs_f64();
        loop {
            let now = self.clock.now();
            if now >= until || self.flow.is_stopped() {
                return Ok(());
            }
            self.fleet.pump(TICK.min(Duration::from_nanos(until - now)))?;
            if let Load::Unpaced { .. } = self.plan.load {
                std::thread::sleep(REST);
            }
            (self.progress)(RunProgress::Publishing {
                seconds: now.saturating_sub(start) as f64 / 1e9,
                of,
                published: self.flow.published(),
                delivered: self.fleet.inbox.delivered(),
            });
        }
    }

    fn moment(&self) -> Result<Moment, BenchError> {
        Moment::take(self.clock, self.flow, self.fleet, self.process)
    }
}

fn join(thread: Publishing) -> Result<Vec<u32>, BenchError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
