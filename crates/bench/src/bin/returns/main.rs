//! Measures clients that return to a restarted node, each with the id of its last event: how often the
//! node reads its engine for them, and how long it takes until the last has what it missed. `bench/returns`
//! builds everything and calls it.

mod clients;
mod error;
mod hub;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use fanfare_bench::{format_count, format_time, raise_open_files};

use crate::clients::{Clients, ReturningClient};
use crate::error::ReturnError;
use crate::hub::{MeasuredHub, MeasuredRedis};

/// How many messages are published at once.
const BATCH: usize = 500;

/// Measure clients that return to a restarted node.
#[derive(Parser)]
struct ReturnsArguments {
    /// The hub's binary, and a name for it; may be repeated: they take turns. `fanfare` beside this program if
    /// not given
    #[arg(long, value_name = "NAME=FILE")]
    hub: Vec<String>,
    /// Measure only this engine; may be repeated
    #[arg(long, value_enum, value_name = "ENGINE")]
    only: Vec<MeasuredEngine>,
    /// How many come back
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    clients: u32,
    /// How many messages each of them missed, about: on its topic, and on all others that there are
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    missed: u32,
    /// By how many messages the places from which they return differ
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    spread: u32,
    /// How many topics there are, of which each has one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    topics: u32,
    /// How many events the node holds in memory; what it does by itself if not given
    #[arg(long, value_name = "N")]
    window: Option<u32>,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rounds: u32,
}

/// Where events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MeasuredEngine {
    /// The log on disk
    Data,
    /// Redis Streams
    Redis,
}

/// What came of one return.
struct Returned {
    /// How often the node read its engine for pages; `None` of a hub that does not say.
    reads: Option<f64>,
    pages: f64,
    /// How many ranges of the stream Redis was asked for meanwhile.
    ranges: Option<f64>,
    nanoseconds: f64,
    cpu_nanoseconds: f64,
}

fn main() -> ExitCode {
    match measure(&ReturnsArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &ReturnsArguments) -> Result<(), ReturnError> {
    raise_open_files();
    let engines = if arguments.only.is_empty() {
        MeasuredEngine::value_variants()
    } else {
        arguments.only.as_slice()
    };
    let beside = || {
        let program = std::env::current_exe().ok();
        program.and_then(|program| Some(program.parent()?.join("fanfare"))).unwrap_or_default()
    };
    let named = |text: &String| match text.split_once('=') {
        Some((name, file)) => (name.to_owned(), PathBuf::from(file)),
        None => (text.clone(), PathBuf::from(text)),
    };
    let mut hubs: Vec<_> = arguments.hub.iter().map(named).collect();
    if hubs.is_empty() {
        hubs.push(("fanfare".to_owned(), beside()));
    }
    println!(
        "| hub | engine | reads of the engine | pages | until the last has what it missed | CPU |"
    );
    println!("|---|---|---|---|---|---|");
    for &engine in engines {
        let mut all: Vec<Vec<Returned>> = hubs.iter().map(|_| Vec::new()).collect();
        for round in 0..arguments.rounds {
            for (at, (name, binary)) in hubs.iter().enumerate() {
                let returned = one(arguments, engine, binary)?;
                eprintln!("round {}: {name}, {engine:?}: {}", round + 1, returned.row());
                all[at].push(returned);
            }
        }
        for ((name, _), rounds) in hubs.iter().zip(&all) {
            println!("| {name} | {engine:?} | {} |", Returned::median(rounds).row());
        }
    }
    Ok(())
}

/// One node, restarted, and its clients.
fn one(
    arguments: &ReturnsArguments,
    engine: MeasuredEngine,
    binary: &Path,
) -> Result<Returned, ReturnError> {
    let ReturnsArguments { clients, missed, spread, topics, .. } = *arguments;
    let redis = (engine == MeasuredEngine::Redis).then(MeasuredRedis::start).transpose()?;
    let directory = hub::ScratchDirectory::new()?;
    let mut further = match &redis {
        Some(redis) => vec!["--redis".to_owned(), redis.url()],
        None => vec!["--data".to_owned(), directory.path().display().to_string()],
    };
    if let Some(window) = arguments.window {
        further.extend(["--window-count".to_owned(), window.to_string()]);
    }
    let hub = MeasuredHub::start(binary, &further)?;
    let count = (missed + spread) * topics;
    let numbers: Vec<u32> = (0..count).collect();
    let mut ids = Vec::new();
    for batch in numbers.chunks(BATCH) {
        ids.extend(hub.publish(batch.iter().map(|n| (n % topics, *n)))?);
    }
    hub.stop()?;
    let hub = MeasuredHub::start(binary, &further)?;
    // The first is served when the node is ready for all.
    let before = (hub.metrics()?, redis.as_ref().map(MeasuredRedis::ranges).transpose()?);
    let cpu = hub.cpu()?;
    let client = |n: u32| {
        // Not one after the other: neighbours stand in different places.
        let last = (n.wrapping_mul(2_654_435_761) % spread) * topics + n % topics;
        let topic = n % topics;
        let missed = (last + 1..count).filter(|n| n % topics == topic).count() as u64;
        ReturningClient::new(topic, ids[last as usize].clone(), missed)
    };
    let nanoseconds = Clients::new((0..clients).map(client).collect()).come(hub.address())?;
    let after = (hub.metrics()?, redis.as_ref().map(MeasuredRedis::ranges).transpose()?);
    let grown = |name: &str| Some(after.0.get(name)? - before.0.get(name).unwrap_or(&0.0));
    let ranges = before.1.zip(after.1).map(|(before, after)| after - before);
    Ok(Returned {
        reads: grown("fanfare_catchup_reads_total"),
        pages: grown("fanfare_catchup_pages_total").unwrap_or_default(),
        ranges,
        nanoseconds,
        cpu_nanoseconds: hub.cpu()? - cpu,
    })
}

impl Returned {
    fn row(&self) -> String {
        let reads = self.reads.map_or_else(|| "–".to_owned(), format_count);
        let ranges = self.ranges.map(|ranges| format!(" ({} XRANGE)", format_count(ranges)));
        let (pages, cpu) = (format_count(self.pages), format_time(self.cpu_nanoseconds));
        format!(
            "{reads}{} | {pages} | {} | {cpu}",
            ranges.unwrap_or_default(),
            format_time(self.nanoseconds)
        )
    }

    fn median(rounds: &[Self]) -> Self {
        let median = |value: fn(&Self) -> f64| {
            let mut values: Vec<_> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
        };
        let known = |value: fn(&Self) -> Option<f64>, median: f64| {
            rounds.iter().all(|round| value(round).is_some()).then_some(median)
        };
        Self {
            reads: known(|it| it.reads, median(|it| it.reads.unwrap_or_default())),
            pages: median(|it| it.pages),
            ranges: known(|it| it.ranges, median(|it| it.ranges.unwrap_or_default())),
            nanoseconds: median(|it| it.nanoseconds),
            cpu_nanoseconds: median(|it| it.cpu_nanoseconds),
        }
    }
}
