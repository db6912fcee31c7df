//! Measures a hub beside the floor, in turn, and prints the medians with the targets they are
//! held to. `bench/run` builds everything and calls it.

mod error;
mod figure;
mod scenario;
mod server;
mod table;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use fanfare_bench::{BenchError, BenchReport, ProgressLine, run};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;

use crate::error::CompareError;
use crate::scenario::{Contender, Scenario};
use crate::server::ServerProcess;
use crate::table::TextTable;

/// Measure a hub beside the floor and print the medians of several rounds.
#[derive(Parser)]
struct CompareArguments {
    /// The hub's binary; `fanfare` beside this program if not given
    #[arg(long, value_name = "FILE")]
    fanfare: Option<PathBuf>,
    /// The floor's binary; `floor` beside this program if not given
    #[arg(long, value_name = "FILE")]
    floor: Option<PathBuf>,
    /// Measure only this; may be repeated
    #[arg(long, value_enum, value_name = "SCENARIO")]
    only: Vec<Scenario>,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rounds: u32,
    /// How long each run measures, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    seconds: u64,
    /// The core the server runs on
    #[arg(long, default_value_t = 0, value_name = "CORE")]
    server_core: usize,
    /// The core the client runs on
    #[arg(long, default_value_t = 1, value_name = "CORE")]
    client_core: usize,
    /// Where the reports of all runs are kept, each time in a folder of its own
    #[arg(long, default_value = "bench/results", value_name = "DIR")]
    results: PathBuf,
}

fn main() -> ExitCode {
    match compare(&CompareArguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: messages were lost, duplicated or reordered; see the reports");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Makes all runs and prints the table. False where a run was not clean.
fn compare(arguments: &CompareArguments) -> Result<bool, CompareError> {
    let core = arguments.client_core;
    let mut cores = CpuSet::new();
    if core < CpuSet::MAX_CPU {
        cores.set(core);
    }
    sched_setaffinity(None, &cores)
        .map_err(|error| CompareError::Core { core, source: error.into() })?;
    let mut results = Results::create(&arguments.results)?;
    let all = <Scenario as clap::ValueEnum>::value_variants();
    let scenarios = if arguments.only.is_empty() { all } else { &arguments.only };
    let mut table = TextTable::new();
    let mut clean = true;
    for &scenario in scenarios {
        let contenders = scenario.contenders(Duration::from_secs(arguments.seconds));
        let mut reports = [Vec::new(), Vec::new()];
        for round in 1..=arguments.rounds {
            for (contender, reports) in contenders.iter().zip(&mut reports) {
                let report = measure(arguments, scenario, contender, &results.folder)?;
                eprintln!("{} {round}, {}:\n{report}", scenario.name(), contender.name);
                results.keep(scenario, contender, round, &report)?;
                clean &= report.is_clean();
                reports.push(report);
            }
        }
        let names = contenders.map(|contender| contender.name);
        table.add(scenario, names, &reports);
    }
    results.keep_table(&table)?;
    print!("{table}");
    Ok(clean)
}

/// One run against a server of its own.
fn measure(
    arguments: &CompareArguments,
    scenario: Scenario,
    contender: &Contender,
    folder: &Path,
) -> Result<BenchReport, CompareError> {
    let named = if contender.is_floor { &arguments.floor } else { &arguments.fanfare };
    let default = if contender.is_floor { "floor" } else { "fanfare" };
    let further = if contender.is_floor { &[] } else { scenario.arguments() };
    let binary = named.clone().unwrap_or_else(|| beside_this_program(default));
    let server = ServerProcess::start(&binary, further, arguments.server_core, folder)?;
    let mut line = ProgressLine::new();
    let failed =
        |source| CompareError::Run { scenario: scenario.name(), contender: contender.name, source };
    let url = server.url().parse().map_err(|invalid| failed(BenchError::Target(invalid)))?;
    let plan = contender.plan(url, server.pid());
    run(&plan, &mut |progress| line.show(progress)).map_err(failed)
}

fn beside_this_program(name: &str) -> PathBuf {
    let folder = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    folder.unwrap_or_default().join(name)
}

/// The folder of one comparison: a report a line, the servers' logs, the table.
struct Results {
    folder: PathBuf,
    reports: File,
}

impl Results {
    fn create(parent: &Path) -> Result<Self, CompareError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let folder = parent.join(now.to_string());
        let path = folder.join("reports.jsonl");
        let reports = fs::create_dir_all(&folder).and_then(|()| File::create(&path));
        let reports = reports.map_err(|source| CompareError::Results { path, source })?;
        Ok(Self { folder, reports })
    }

    fn keep(
        &mut self,
        scenario: Scenario,
        contender: &Contender,
        round: u32,
        report: &BenchReport,
    ) -> Result<(), CompareError> {
        let line = json!({
            "scenario": scenario.name(),
            "contender": contender.name,
            "round": round,
            "report": report,
        });
        writeln!(self.reports, "{line}").map_err(|source| CompareError::Results {
            path: self.folder.join("reports.jsonl"),
            source,
        })
    }

    fn keep_table(&self, table: &TextTable) -> Result<(), CompareError> {
        let path = self.folder.join("table.md");
        fs::write(&path, table.to_string()).map_err(|source| CompareError::Results { path, source })
    }
}
