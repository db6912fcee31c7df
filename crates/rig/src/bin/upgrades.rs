//! Upgrades under faults as a command: `scripts/upgrades --faults` runs it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use fanfare_rig::binary;
use fanfare_rig::engine::HubEngine;
use fanfare_rig::upgrade::round::{UpgradePlan, UpgradeReport, run};

const USAGE: &str = "\
usage: rig-upgrades [--engine E] [--upgrades N] [--seed S] [--streams N] [--clients N] [--rate N] [--only TEXT]
                    [--long] [--keep]

  --engine E     memory, data, redis or cluster [default: memory, data and cluster, one after another]
  --upgrades N   how many, of each engine [default: 200]
  --seed S       by which faults are drawn [default: by chance]
  --streams N    streams that must hear every number [default: 2000]
  --clients N    clients that check all that they read, some of them slow or stuck [default: 200]
  --rate N       events a second for the clients [default: 300]
  --only TEXT    faults in whose names this occurs
  --long         faults too that take half a minute
  --keep         leave logs and data where they are, and say where

The hub is the one that FANFARE_BIN names, or the one that was built beside this program.
Exits with 1 where a promise was broken, and says how.";

fn options() -> Option<(UpgradePlan, Vec<HubEngine>)> {
    let mut plan = UpgradePlan {
        seed: fastrand::u64(..1_000_000_000),
        engine: HubEngine::Memory,
        upgrades: 200,
        clients: 200,
        streams: 2000,
        rate: 300,
        long: false,
        faults: None,
        only: String::new(),
        program: PathBuf::new(),
        go_between: PathBuf::new(),
        tells: true,
        leaves: false,
    };
    let mut engines = vec![HubEngine::Memory, HubEngine::Data, HubEngine::Cluster];
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next();
        match word.as_str() {
            "--seed" => plan.seed = value()?.parse().ok()?,
            "--upgrades" => plan.upgrades = value()?.parse().ok()?,
            "--streams" => plan.streams = value()?.parse().ok()?,
            "--clients" => plan.clients = value()?.parse().ok()?,
            "--rate" => plan.rate = value()?.parse().ok()?,
            "--only" => plan.only = value()?,
            "--long" => plan.long = true,
            "--keep" => plan.leaves = true,
            "--engine" => {
                let name = value()?;
                let found = HubEngine::ALL.into_iter().find(|engine| engine.as_str() == name)?;
                engines = vec![found];
            }
            _ => return None,
        }
    }
    Some((plan, engines))
}

fn main() -> ExitCode {
    let Some((mut plan, engines)) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    plan.program = binary::fanfare().to_owned();
    let own = std::env::current_exe().unwrap_or_default();
    plan.go_between = own.parent().unwrap_or(Path::new(".")).join("rig-go-between");
    let mut clean = true;
    for engine in engines {
        plan.engine = engine;
        println!("engine {engine}, seed {}", plan.seed);
        let begun = Instant::now();
        match run(&plan) {
            Ok(report) => {
                println!("{engine}, {} s: {}", begun.elapsed().as_secs(), summary(&report));
                for finding in &report.findings {
                    println!("--- seed {}, engine {engine}\n{finding}", plan.seed);
                }
                clean &= report.wrong.is_empty();
            }
            Err(error) => {
                eprintln!("{engine}, seed {}: {error}", plan.seed);
                return ExitCode::FAILURE;
            }
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn summary(report: &UpgradeReport) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "outcomes {:?}; {} events acknowledged, {} deliveries, {} streams opened, {} of them ended with \
         their tokens, {} batches refused; ",
        report.outcomes,
        report.acknowledged,
        report.delivered,
        report.connections,
        report.expired,
        report.refused,
    );
    if let (Some(longest), Some(median)) =
        (report.pauses.last(), report.pauses.get(report.pauses.len() / 2))
    {
        let _ = write!(text, "pauses: median {median:.1} ms, longest {longest:.1} ms; ");
    }
    let _ = write!(
        text,
        "open files {:?}, KiB of memory {:?}; wrong: ",
        report.open_files, report.memory
    );
    if report.wrong.is_empty() {
        text.push_str("nothing");
    } else {
        let _ = write!(text, "{:?}", report.wrong);
    }
    let faults = report.faults.iter().map(|(name, count)| format!("\n  {count} × {name}"));
    text + &faults.collect::<String>()
}
