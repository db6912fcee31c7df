//! The fault rig as a command: rounds of faults, one after another, until the time is over.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fanfare_rig::engine::HubEngine;
use fanfare_rig::fault::Fault;
use fanfare_rig::race::{RaceRetention, race};
use fanfare_rig::round::{RoundPlan, RoundReport, run};

const USAGE: &str = "\
usage: rig [--seconds N] [--seed S] [--engine E] [--faults F,...] [--clients N] [--race R [--slow]] [--keep]

  --seconds N   begin rounds for so long; a round takes half a minute [default: 60]
  --seed S      the first round's seed; each round takes the next [default: by chance]
  --engine E    memory, data, redis, cluster or snapshots [default: each in turn]
  --faults F    only these, by name, separated by commas [default: all of the engine's]
  --clients N   how many clients follow in each round [default: 200]
  --race R      no faults, but clients that come back where retention trims: default, small or topics
  --slow        a race on a slow disk
  --keep        leave logs and data where they are, and say where

The hub is the one that FANFARE_BIN names, or the one that was built beside this program.
Exits with 1 where a promise was broken, and says how.";

struct Options {
    seconds: u64,
    seed: u64,
    engine: Option<HubEngine>,
    faults: Option<Vec<Fault>>,
    clients: u32,
    race: Option<RaceRetention>,
    slow: bool,
    keep: bool,
}

fn options() -> Option<Options> {
    let mut options = Options {
        seconds: 60,
        seed: fastrand::u64(..1_000_000_000),
        engine: None,
        faults: None,
        clients: 200,
        race: None,
        slow: false,
        keep: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next();
        match word.as_str() {
            "--seconds" => options.seconds = value()?.parse().ok()?,
            "--seed" => options.seed = value()?.parse().ok()?,
            "--clients" => options.clients = value()?.parse().ok()?,
            "--slow" => options.slow = true,
            "--keep" => options.keep = true,
            "--engine" => {
                let name = value()?;
                options.engine = HubEngine::ALL.into_iter().find(|engine| engine.as_str() == name);
                options.engine?;
            }
            "--faults" => {
                let names = value()?;
                options.faults = Some(names.split(',').map(Fault::named).collect::<Option<_>>()?);
            }
            "--race" => {
                options.race = Some(match value()?.as_str() {
                    "default" => RaceRetention::Default,
                    "small" => RaceRetention::Small,
                    "topics" => RaceRetention::OfTopics,
                    _ => return None,
                });
            }
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let mut total = RoundReport::default();
    let mut rounds = 0;
    while rounds == 0 || begun.elapsed() < Duration::from_secs(options.seconds) {
        let seed = options.seed + rounds;
        let engine = options.engine.unwrap_or(HubEngine::ALL[seed as usize % HubEngine::ALL.len()]);
        let mut plan = match options.race {
            Some(retention) => race(engine, retention, options.slow, seed),
            None => {
                let mut faults = Fault::of(engine);
                faults.retain(|fault| options.faults.as_ref().is_none_or(|f| f.contains(fault)));
                RoundPlan::faulty(seed, engine, faults, options.clients)
            }
        };
        plan.leaves = options.keep;
        rounds += 1;
        match run(&plan) {
            Ok(report) => {
                println!("round {rounds}, seed {seed}, {engine}: {}", summary(&report));
                for finding in &report.findings {
                    println!("--- seed {seed}, engine {engine}\n{finding}");
                }
                total.add(report);
            }
            Err(error) => {
                eprintln!("round {rounds}, seed {seed}, {engine}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("rounds {rounds}, {} s: {}", begun.elapsed().as_secs(), summary(&total));
    if total.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn summary(report: &RoundReport) -> String {
    let list = |counts: &BTreeMap<String, u64>| {
        let counts = counts.iter().map(|(name, count)| format!("{name} {count}"));
        counts.collect::<Vec<_>>().join(", ")
    };
    let faults: u64 = report.faults.values().sum();
    let wrong: BTreeMap<_, _> =
        report.wrong.iter().map(|(wrong, count)| (format!("{wrong:?}"), *count)).collect();
    format!(
        "{faults} faults ({}), {} disk calls disturbed; {} events acknowledged, {} batches refused, \
         {} deliveries, {} connections; gaps: {}; wrong: {}",
        list(&report.faults),
        report.disturbed,
        report.acknowledged,
        report.refused,
        report.delivered,
        report.connections,
        if report.gaps.is_empty() { "none".to_owned() } else { list(&report.gaps) },
        if wrong.is_empty() { "nothing".to_owned() } else { list(&wrong) },
    )
}
