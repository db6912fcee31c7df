//! A run of upgrades: a hub, publishers, streams, shuffled faults, and a judgement at the end.
//!
//! What must hold: everyone who publishes or listens is there before the first upgrade and after the last, so that
//! what is found is of the upgrades.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, set_child_subreaper, setrlimit};

use super::fault::{Act, RelayAction, UpgradeFault};
use super::node::UpgradingNode;
use super::relay::{ExpectedOutcome, Reception};
use super::sequence_readers::{SECRET, SequenceReaders};
use super::step::UpgradeStep;
use crate::engine::HubEngine;
use crate::follower::ClientPool;
use crate::judge::{audit, judge};
use crate::ledger::{RoundLedger, Violation, Wrong};
use crate::publisher::{PublisherConfig, RigPublisher};
use crate::redis::{RedisPersistence, RigRedis};

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct UpgradePlan {
    /// What is left to chance follows from this.
    pub seed: u64,
    /// Where events are kept: in memory, on disk, or in Redis with one node or two.
    pub engine: HubEngine,
    /// How many upgrades are asked for.
    pub upgrades: u32,
    /// How many clients read everything that they are sent, some of them slowly.
    pub clients: u32,
    /// How many streams there are beside.
    pub streams: usize,
    /// How many events are published a second, about, for the clients.
    pub rate: u64,
    /// Faults that take half a minute are among the others.
    pub long: bool,
    /// Only these, one after another.
    pub faults: Option<Vec<UpgradeFault>>,
    /// Only those of the others in whose names this occurs.
    pub only: String,
    /// The hub.
    pub program: PathBuf,
    /// What stands between two processes of it.
    pub go_between: PathBuf,
    /// Each upgrade is told of as it ends.
    pub tells: bool,
    /// Logs and data stay where they are.
    pub leaves: bool,
}

/// What a run was, in figures.
#[derive(Debug, Default, Clone)]
pub struct UpgradeReport {
    /// What came of upgrades.
    pub outcomes: BTreeMap<ExpectedOutcome, u64>,
    /// At which step something happened, and to whom.
    pub faults: BTreeMap<String, u64>,
    /// The pauses of those that succeeded, in milliseconds, ascending.
    pub pauses: Vec<f64>,
    /// Events acknowledged to publishers, beside the numbers of the sequence readers.
    pub acknowledged: u64,
    /// Events that clients read, and the numbers that the sequence readers heard.
    pub delivered: u64,
    /// Streams that were opened.
    pub connections: u64,
    /// Streams that ended with their tokens.
    pub expired: u64,
    /// Batches that were refused, or had no answer.
    pub refused: u64,
    /// Open files of each node, before anyone came and when everyone had gone.
    pub open_files: Vec<(usize, usize)>,
    /// Memory of each node in KiB, likewise.
    pub memory: Vec<(u64, u64)>,
    /// What went wrong.
    pub wrong: BTreeMap<Wrong, u64>,
    /// The first of it, told.
    pub findings: Vec<Violation>,
}

/// How long it may take until everyone has come.
const GATHERS: Duration = Duration::from_secs(120);
/// How long the hub may take to accept again at the end.
const RECOVERS: Duration = Duration::from_secs(45);
/// How many more open files a process may have at the end than before anyone came.
const SPARE_FILES: usize = 8;
/// How much more memory, in KiB, beside what its log holds three times.
const SPARE_MEMORY: u64 = 96 * 1024;
/// Clients are many and do little.
const STACK: usize = 256 * 1024;
/// The client that reads everything at the end.
const AUDITOR: u32 = 2_000_000;

/// What a run stands on.
pub(super) struct UpgradeRig<'a> {
    pub(super) plan: &'a UpgradePlan,
    pub(super) place: PathBuf,
    pub(super) reception: Reception,
    pub(super) nodes: Vec<UpgradingNode>,
    pub(super) ledger: &'a RoundLedger,
    pub(super) report: UpgradeReport,
}

/// Runs the plan.
pub fn run(plan: &UpgradePlan) -> io::Result<UpgradeReport> {
    // Processes whose parent has died are the rig's.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let place = tempfile::Builder::new().prefix("fanfare-rig-").tempdir()?;
    let ledger = RoundLedger::default();
    ledger.steady.store(true, Ordering::Relaxed);
    let redis = match plan.engine.is_redis() {
        true => Some(RigRedis::start("redis", place.path(), RedisPersistence::Always)?),
        false => None,
    };
    let mut stage = UpgradeRig::set(plan, place.path(), redis.as_ref(), &ledger)?;
    if plan.leaves {
        eprintln!("everything of this run stays in {}", place.keep().display());
    }
    stage.run()?;
    let UpgradeRig { report, nodes, .. } = stage;
    drop(nodes);
    Ok(report)
}

impl<'a> UpgradeRig<'a> {
    fn set(
        plan: &'a UpgradePlan,
        place: &Path,
        redis: Option<&RigRedis>,
        ledger: &'a RoundLedger,
    ) -> io::Result<Self> {
        let socket = place.join("reception");
        let reception = Reception::open(&socket)?;
        let count = if plan.engine == HubEngine::Cluster { 2 } else { 1 };
        let mut nodes = Vec::new();
        for n in 0..count {
            let settings = place.join(format!("node-{n}.toml"));
            fs::write(&settings, SETTINGS)?;
            let mut arguments = vec!["--config".to_owned(), settings.display().to_string()];
            arguments.extend(["--open", "--jwt-secret", SECRET].map(str::to_owned));
            if plan.engine == HubEngine::Data {
                let data = place.join("data").display().to_string();
                arguments.extend(["--data".to_owned(), data]);
            }
            if let Some(redis) = redis {
                let url = format!("redis://{}", redis.address());
                arguments.extend(["--redis".to_owned(), url]);
            }
            let name = format!("node-{n}");
            nodes.push(UpgradingNode::start(&name, &plan.program, arguments, &socket, place)?);
        }
        let place = place.to_owned();
        Ok(Self { plan, place, reception, nodes, ledger, report: UpgradeReport::default() })
    }

    fn run(&mut self) -> io::Result<()> {
        let plan = self.plan;
        let mut random = fastrand::Rng::with_seed(plan.seed);
        // It may be raised: thousands of streams are two descriptors each, here and there.
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
        // What a process is that came by an upgrade, with nobody there.
        let before = self.measured()?;
        let addresses: Vec<_> = self.nodes.iter().map(UpgradingNode::address).collect();
        let ledger = self.ledger;
        let pool = ClientPool::new(&addresses, ledger);
        let program = plan.program.clone();
        let sequence_readers = SequenceReaders::new(&addresses, ledger, program, plan.streams, 5);
        thread::scope(|scope| -> io::Result<()> {
            let (pool, sequence_readers) = (&pool, &sequence_readers);
            let small = || thread::Builder::new().stack_size(STACK);
            let reading = scope.spawn(|| sequence_readers.run());
            let leader = scope.spawn(|| sequence_readers.lead());
            let mut publishers = Vec::new();
            for number in 1..=3 {
                let mut publisher = RigPublisher::new(number, &addresses, ledger, random.u64(..));
                let batch = [40, 1, 10][number as usize % 3];
                let config =
                    PublisherConfig { batch, rate: plan.rate / 3, keyed: true, one_topic: false };
                publishers.push(small().spawn_scoped(scope, move || publisher.run(&config))?);
            }
            for number in 0..plan.clients {
                let seed = random.u64(..);
                small().spawn_scoped(scope, move || match number % 8 {
                    0 | 1 => pool.follow(number, seed),
                    2 => pool.remain(number, seed, true),
                    _ => pool.remain(number, seed, false),
                })?;
            }
            let begun = Instant::now();
            while sequence_readers.open.load(Ordering::Acquire) < plan.streams
                && begun.elapsed() < GATHERS
            {
                thread::sleep(Duration::from_millis(50));
            }
            let upgraded = self.upgrade_all(&mut random);
            ledger.event("all faults are cleared".to_owned());
            ledger.closing.store(true, Ordering::Release);
            for publisher in publishers {
                publisher.join().expect("publishers do not panic");
            }
            let mut last = RigPublisher::new(0, &addresses, ledger, random.u64(..));
            if !last.finish(RECOVERS) {
                let logged: String = self.nodes.iter().map(UpgradingNode::logged).collect();
                let told = || format!("the hub accepts nothing any more:\n{logged}");
                ledger.wrong(Wrong::Stuck, 1, told);
            }
            pool.finishing.store(true, Ordering::Release);
            sequence_readers.closing.store(true, Ordering::Release);
            leader.join().expect("the leader does not panic");
            reading.join().expect("the sequence readers do not panic")?;
            upgraded
        })?;
        if !ledger.forgets.load(Ordering::Relaxed) {
            audit(ledger, &pool.audit(AUDITOR));
        }
        self.report.expired = sequence_readers.expired.load(Ordering::Relaxed);
        self.report.delivered = sequence_readers.heard.load(Ordering::Relaxed);
        self.compare(&before)?;
        self.conclude();
        Ok(())
    }

    /// Open files and memory of each node, after an upgrade with nobody there.
    fn measured(&mut self) -> io::Result<Vec<(usize, u64)>> {
        let mut measured = Vec::new();
        for n in 0..self.nodes.len() {
            let fault = UpgradeFault::At(RelayAction { at: UpgradeStep::Hello, act: Act::Nothing });
            self.upgrade(n, fault, &mut fastrand::Rng::with_seed(0))?;
            let node = &self.nodes[n];
            // What is open for this moment alone closes again.
            let begun = Instant::now();
            let mut files = node.open_files();
            while begun.elapsed() < Duration::from_secs(3) {
                thread::sleep(Duration::from_millis(100));
                files = files.min(node.open_files());
            }
            measured.push((files, node.memory()));
        }
        Ok(measured)
    }

    fn compare(&mut self, before: &[(usize, u64)]) -> io::Result<()> {
        let after = self.measured()?;
        for (n, (&(files, memory), (files_after, memory_after))) in
            before.iter().zip(after).enumerate()
        {
            let node = &mut self.nodes[n];
            self.report.open_files.push((files, files_after));
            self.report.memory.push((memory, memory_after));
            let log = node.metric("fanfare_log_bytes").unwrap_or(0.0) as u64 / 1024;
            let leftovers = node.leftovers();
            // A log on disk has the files of its segments open, and each upgrade ends one.
            let segments = fs::read_dir(self.place.join("data")).map_or(0, Iterator::count);
            if files_after > files + segments + SPARE_FILES
                || memory_after > memory + 3 * log + SPARE_MEMORY
                || !leftovers.is_empty()
            {
                self.ledger.wrong(Wrong::Leftover, 1, || {
                    format!(
                        "node {n}: {files} open files became {files_after}, {memory} KiB became \
                         {memory_after} KiB, with {log} KiB in its log; left over: {leftovers:?}"
                    )
                });
            }
        }
        Ok(())
    }

    fn upgrade_all(&mut self, random: &mut fastrand::Rng) -> io::Result<()> {
        let mut shuffled_faults = Vec::new();
        for number in 1..=self.plan.upgrades {
            while shuffled_faults.is_empty() {
                shuffled_faults = match &self.plan.faults {
                    Some(faults) => faults.iter().rev().copied().collect(),
                    None => UpgradeFault::shuffled_faults(random, self.plan.long),
                };
                shuffled_faults.retain(|fault| fault.to_string().contains(&self.plan.only));
                if shuffled_faults.is_empty() {
                    return Err(io::Error::other("there is no such fault"));
                }
            }
            let Some(fault) = shuffled_faults.pop() else { break };
            let n = random.usize(..self.nodes.len());
            self.ledger.event(format!("upgrade {number} of node {n}: {fault}"));
            let begun = Instant::now();
            let (outcome, heard) = self.upgrade(n, fault, random)?;
            *self.report.outcomes.entry(outcome).or_default() += 1;
            *self.report.faults.entry(kind(fault)).or_default() += 1;
            let told = format!("upgrade {number} of node {n}: {fault}: {outcome:?}");
            self.ledger.event(format!("{told}, at {heard:?}"));
            if self.plan.tells {
                println!("{told}, {} ms", begun.elapsed().as_millis());
            }
            thread::sleep(Duration::from_millis(random.u64(50..800)));
        }
        Ok(())
    }

    fn conclude(&mut self) {
        let ledger = self.ledger;
        judge(ledger);
        ledger.judge_ends();
        // Where the log forgot, it forgot what it had accepted under which key.
        let forgot = ledger.forgets.load(Ordering::Relaxed);
        let excused = |wrong: Wrong| forgot && wrong == Wrong::OneEventTwoIds;
        let report = &mut self.report;
        let wrong = Wrong::ALL.map(|wrong| (wrong, ledger.count(wrong)));
        report.wrong =
            wrong.into_iter().filter(|(wrong, count)| *count > 0 && !excused(*wrong)).collect();
        report.findings =
            ledger.findings().into_iter().filter(|finding| !excused(finding.wrong)).collect();
        report.acknowledged = ledger.look(<[_]>::len) as u64;
        report.delivered += ledger.delivered.load(Ordering::Relaxed);
        report.connections = ledger.connections.load(Ordering::Relaxed);
        report.refused = ledger.refused.load(Ordering::Relaxed);
        report.pauses.sort_by(f64::total_cmp);
    }
}

/// What every hub is told in its file: retention that keeps all, a window that is soon left behind, and
/// much time for whoever is stuck.
pub(super) const SETTINGS: &str = "\
heartbeat = \"1s\"
retry = \"20ms\"
drain = \"500ms\"
write_timeout = \"10m\"
retain_count = 10_000_000
retain_bytes = \"2GiB\"
window_count = 1000
";

/// A fault without what is left to chance.
fn kind(fault: UpgradeFault) -> String {
    match fault {
        UpgradeFault::At(RelayAction { at, act }) => match act {
            Act::Nothing => "none".to_owned(),
            Act::Kill(side, _) => format!("{side} killed at {at:?}"),
            Act::Stop(side, _) => format!("{side} stopped"),
            Act::Spoil => "nonsense".to_owned(),
            Act::AnotherFormat => "another format".to_owned(),
            Act::LittleMemory(_) => "little memory".to_owned(),
        },
        UpgradeFault::FewFilesThere(_) => "few files there".to_owned(),
        UpgradeFault::FewFilesHere(_) => "few files here".to_owned(),
        UpgradeFault::ClientKilled(_) => "client killed".to_owned(),
        other => other.to_string(),
    }
}
