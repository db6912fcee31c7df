//! A round: a hub, publishers, clients, a schedule of faults, and a judgement at the end.
//!
//! What must hold: one seed is one plan. What the machine makes of it differs from run to run, so
//! the judge asks for nothing that depends on time.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::engine::{HubEngine, RiggedHub};
use crate::fault::Fault;
use crate::follower::ClientPool;
use crate::inflict::{clear_faults, inflict, look_after};
use crate::judge::{audit, judge};
use crate::ledger::{RoundLedger, Violation, What, Wrong};
use crate::preload::ControlSlot;
use crate::publisher::{PublisherConfig, RigPublisher};

/// What a round is made of.
#[derive(Debug, Clone)]
pub struct RoundPlan {
    /// What everything that is left to chance follows from.
    pub seed: u64,
    /// Where events are kept.
    pub engine: HubEngine,
    /// Settings of the hub, as arguments.
    pub settings: Vec<String>,
    /// How long publishers publish at least.
    pub time: Duration,
    /// How many events are acknowledged at least, where the machine can do it in [`AT_MOST`].
    pub events: u64,
    /// The publishers.
    pub publishers: Vec<PublisherConfig>,
    /// How many clients follow.
    pub followers: u32,
    /// How many clients come back where retention is about to trim.
    pub racers: u32,
    /// How many events retention keeps, and how many it trims at a time.
    pub retained: (usize, usize),
    /// What the disk of nodes does from the beginning.
    pub disk: Vec<(ControlSlot, i64)>,
    /// What may happen, by chance.
    pub faults: Vec<Fault>,
    /// Retention is larger than what is published: what is acknowledged must be there at the end.
    pub keeps: bool,
    /// Logs, data and control files stay where they are, for whoever wants to look at them.
    pub leaves: bool,
}

impl RoundPlan {
    /// Faults on this engine, so many clients of every kind, and one of two retentions.
    pub fn faulty(seed: u64, engine: HubEngine, faults: Vec<Fault>, followers: u32) -> Self {
        // What is gone can be told from what is trimmed only where nothing is.
        let lossless = faults.iter().all(|fault| !fault.may_lose(engine));
        let keeps = lossless || fastrand::Rng::with_seed(seed).u8(..3) > 0;
        let settings: &[&str] = if keeps {
            &["--retain-count", "10000000", "--retain-bytes", "1GiB", "--window-count", "1000"]
        } else {
            &["--retain-count", "3000", "--window-count", "300"]
        };
        let mut settings: Vec<_> = settings.iter().map(|&word| word.to_owned()).collect();
        settings.extend(["--heartbeat", "1s"].map(str::to_owned));
        let config = |batch, keyed| PublisherConfig { batch, rate: 250, keyed, one_topic: false };
        Self {
            seed,
            engine,
            settings,
            time: Duration::from_secs(20),
            events: 0,
            publishers: vec![config(40, true), config(5, true), config(100, false)],
            followers,
            racers: if keeps { 0 } else { followers / 10 },
            retained: (3_000, 375),
            disk: Vec::new(),
            faults,
            keeps,
            leaves: false,
        }
    }
}

/// What a round was, in figures.
#[derive(Debug, Default, Clone)]
pub struct RoundReport {
    /// Faults, by name.
    pub faults: BTreeMap<String, u64>,
    /// Calls to the disk that were disturbed.
    pub disturbed: u64,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Events delivered.
    pub delivered: u64,
    /// Streams that clients were given.
    pub connections: u64,
    /// Batches refused or unanswered.
    pub refused: u64,
    /// Gaps told, by reason.
    pub gaps: BTreeMap<String, u64>,
    /// What went wrong, in events.
    pub wrong: BTreeMap<Wrong, u64>,
    /// The first of it, told.
    pub findings: Vec<Violation>,
}

impl RoundReport {
    /// Adds another round's.
    pub fn add(&mut self, other: Self) {
        for (name, count) in other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (reason, count) in other.gaps {
            *self.gaps.entry(reason).or_default() += count;
        }
        for (wrong, count) in other.wrong {
            *self.wrong.entry(wrong).or_default() += count;
        }
        self.disturbed += other.disturbed;
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.connections += other.connections;
        self.refused += other.refused;
        self.findings.extend(other.findings);
    }

    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// How much of one kind went wrong.
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.wrong.get(&wrong).copied().unwrap_or(0)
    }
}

/// How long the hub may take to accept again, once nothing is in its way.
const RECOVERS: Duration = Duration::from_secs(45);

/// How long a slow machine may take for the events of a plan.
pub const AT_MOST: Duration = Duration::from_secs(180);

/// The first of the clients that come in herds.
const HERD: u32 = 1_000_000;

/// The client that reads everything at the end.
const AUDITOR: u32 = 2_000_000;

/// Clients are many and do little.
const STACK: usize = 256 * 1024;

/// A directory for a round.
struct RoundDirectory {
    path: PathBuf,
    _removed: Option<TempDir>,
}

impl RoundDirectory {
    fn of(directory: TempDir, stays: bool) -> Self {
        let path = directory.path().to_owned();
        if stays {
            eprintln!("everything of this round stays in {}", path.display());
            let _ = directory.keep();
            return Self { path, _removed: None };
        }
        Self { path, _removed: Some(directory) }
    }
}

/// Runs a round.
pub fn run(plan: &RoundPlan) -> io::Result<RoundReport> {
    let place = tempfile::Builder::new().prefix("fanfare-rig-").tempdir()?;
    let place = RoundDirectory::of(place, plan.leaves);
    let mut hub = RiggedHub::start(plan.engine, &plan.settings, &place.path)?;
    for node in &hub.nodes {
        plan.disk.iter().for_each(|&(slot, value)| node.control.set(slot, value));
    }
    let addresses = hub.addresses();
    let ledger = RoundLedger::default();
    let pool = ClientPool::new(&addresses, &ledger);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut faults = BTreeMap::new();
    thread::scope(|scope| -> io::Result<()> {
        let mut publishers = Vec::new();
        for (number, config) in (1..).zip(&plan.publishers) {
            let mut publisher = RigPublisher::new(number, &addresses, &ledger, random.u64(..));
            let thread = thread::Builder::new().stack_size(STACK);
            publishers.push(thread.spawn_scoped(scope, move || publisher.run(config))?);
        }
        let pool = &pool;
        for number in 0..plan.followers + plan.racers {
            let seed = random.u64(..);
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, move || {
                if number < plan.followers {
                    pool.follow(number, seed);
                } else {
                    pool.race(number, seed, plan.retained.0, plan.retained.1);
                }
            })?;
        }
        let begun = Instant::now();
        let short = || ledger.look(<[_]>::len) < plan.events as usize;
        let mut schedule = random.fork();
        while begun.elapsed() < plan.time || (short() && begun.elapsed() < AT_MOST) {
            thread::sleep(Duration::from_millis(20));
            let Some(&fault) = schedule.choice(&plan.faults) else { continue };
            thread::sleep(Duration::from_millis(schedule.u64(..900)));
            *faults.entry(fault.name().to_owned()).or_default() += 1;
            if fault.may_lose(plan.engine) {
                ledger.forgets.store(true, Ordering::Relaxed);
            }
            if fault.may_forget_keys(plan.engine) {
                ledger.forgets_keys.store(true, Ordering::Relaxed);
            }
            ledger.event(fault.name().to_owned());
            if matches!(fault, Fault::ColdHerd | Fault::WarmHerd) {
                for number in 0..plan.followers {
                    let (cold, seed) = (fault == Fault::ColdHerd, schedule.u64(..));
                    let thread = thread::Builder::new().stack_size(STACK);
                    thread.spawn_scoped(scope, move || pool.herd(HERD + number, cold, seed))?;
                }
            }
            inflict(fault, &mut hub, &ledger, &mut schedule);
            ledger.event(format!("{} is over", fault.name()));
            (0..hub.nodes.len()).for_each(|n| look_after(&mut hub, n, &ledger));
        }
        clear_faults(&mut hub, &ledger);
        ledger.event("all faults are cleared".to_owned());
        ledger.closing.store(true, Ordering::Release);
        for publisher in publishers {
            publisher.join().expect("publishers do not panic");
        }
        let mut last = RigPublisher::new(0, &addresses, &ledger, random.u64(..));
        if !last.finish(RECOVERS) {
            ledger.wrong(Wrong::Stuck, 1, || {
                let logs = hub.nodes.iter().map(|node| node.logged());
                format!("the hub accepts nothing any more:\n{}", logs.collect::<String>())
            });
        }
        pool.finishing.store(true, Ordering::Release);
        Ok(())
    })?;
    if plan.keeps && !ledger.forgets.load(Ordering::Relaxed) {
        audit(&ledger, &pool.audit(AUDITOR));
    }
    Ok(RoundReport { faults, ..report(&ledger, &hub) })
}

fn report(ledger: &RoundLedger, hub: &RiggedHub) -> RoundReport {
    let mut gaps = BTreeMap::new();
    for stream in judge(ledger) {
        for heard in stream.heard {
            if let What::Gap { reason, .. } = heard.what {
                *gaps.entry(reason).or_default() += 1;
            }
        }
    }
    let wrong = Wrong::ALL.map(|wrong| (wrong, ledger.count(wrong)));
    let wrong = wrong.into_iter().filter(|(_, count)| *count > 0);
    let disturbed = hub.nodes.iter().map(|node| node.control.disturbed() as u64).sum();
    RoundReport {
        faults: BTreeMap::new(),
        disturbed,
        acknowledged: ledger.look(<[_]>::len) as u64,
        delivered: ledger.delivered.load(Ordering::Relaxed),
        connections: ledger.connections.load(Ordering::Relaxed),
        refused: ledger.refused.load(Ordering::Relaxed),
        gaps,
        wrong: wrong.collect(),
        findings: ledger.findings(),
    }
}
