//! Measures two nodes on one redis-server, and prints the medians with the targets they are held
//! to. `bench/cluster` builds everything and calls it.

mod crowd;
mod error;
mod herd;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use fanfare_bench::{
    BenchPlan, BenchReport, Load, Protocol, RunProgress, format_count, format_time,
    raise_open_files, run,
};

use crate::error::ClusterError;
use crate::site::ClusterNodes;

/// Measure two nodes on one redis-server and print the medians of several rounds.
#[derive(Parser)]
struct ClusterArguments {
    /// The hub's binary; `fanfare` beside this program if not given
    #[arg(long, value_name = "FILE")]
    fanfare: Option<PathBuf>,
    /// The redis-server's configuration
    #[arg(long, default_value = "deploy/redis.conf", value_name = "FILE")]
    redis_config: PathBuf,
    /// Measure only this; may be repeated
    #[arg(long, value_enum, value_name = "SCENARIO")]
    only: Vec<ClusterScenario>,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    rounds: u32,
    /// How long each run measures, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), value_name = "SECONDS")]
    seconds: u64,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClusterScenario {
    /// From a publish at one node to its delivery at the other: 1,000 messages/s, 100 subscribers each
    Latency,
    /// Batches of 100, as fast as one node takes them
    Publish,
    /// 5,000 clients of one node come back at the other
    Herd,
    /// 10,000 clients with 100,000 subscriptions in Mercure's protocol come to one node, which tells of them
    Crowd,
}

/// The figures of one run: what, in which unit, how much.
type Figures = Vec<(&'static str, fn(f64) -> String, f64)>;

fn main() -> ExitCode {
    match measure(&ClusterArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &ClusterArguments) -> Result<(), ClusterError> {
    raise_open_files();
    let all = ClusterScenario::value_variants();
    let scenarios = if arguments.only.is_empty() { all } else { &arguments.only };
    let mut rows = Vec::new();
    for &scenario in scenarios {
        let mut rounds: Vec<Figures> = Vec::new();
        for round in 1..=arguments.rounds {
            let site = ClusterNodes::start(
                arguments.fanfare.as_deref(),
                scenario.arguments(),
                &arguments.redis_config,
            )?;
            let figures = scenario.measure(&site, Duration::from_secs(arguments.seconds))?;
            for (name, format, value) in &figures {
                eprintln!("round {round}: {name}: {}", format(*value));
            }
            rounds.push(figures);
        }
        for (at, &(name, format, _)) in rounds[0].iter().enumerate() {
            let median = median(rounds.iter().map(|figures| figures[at].2).collect());
            let goal = if at == 0 { scenario.goal(median) } else { "–".to_owned() };
            rows.push(format!("| {name} | {} | {goal} |", format(median)));
        }
    }
    println!("| figure | median | target |\n|---|---|---|\n{}", rows.join("\n"));
    Ok(())
}

impl ClusterScenario {
    /// The first figure is the one held to a goal.
    fn measure(self, site: &ClusterNodes, duration: Duration) -> Result<Figures, ClusterError> {
        match self {
            Self::Latency => latency(site, duration),
            Self::Publish => publish(site, duration),
            Self::Herd => {
                let herd = herd::come(site)?;
                Ok(vec![
                    ("Redis commands while 5,000 clients reconnect", format_count, herd.commands),
                    ("until the last has what it missed", format_time, herd.nanoseconds),
                ])
            }
            Self::Crowd => {
                let crowd = crowd::come(site)?;
                Ok(vec![
                    (
                        "writes to Redis while 100,000 subscriptions begin",
                        format_count,
                        crowd.writes,
                    ),
                    ("subscriptions told of", format_count, crowd.told),
                    ("subscriptions not told of", format_count, crowd.untold),
                    ("until all is told", format_time, crowd.nanoseconds),
                ])
            }
        }
    }

    /// What its nodes are started with.
    fn arguments(self) -> &'static [&'static str] {
        if self == Self::Crowd { crowd::ARGUMENTS } else { &[] }
    }

    fn goal(self, median: f64) -> String {
        let (goal, met) = match self {
            Self::Latency => ("under 2 ms", median < 2e6),
            Self::Publish => ("at least 30,000", median >= 30e3),
            Self::Herd => ("fewer than 100", median < 100.0),
            Self::Crowd => ("fewer than 1,000", median < 1000.0),
        };
        format!("{goal}: {}", if met { "met" } else { "missed" })
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

fn plan(site: &ClusterNodes, node: usize, load: Load, duration: Duration) -> BenchPlan {
    BenchPlan {
        url: site.url(node),
        publish_url: Some(site.url(0)),
        authorization: None,
        dialect: Protocol::Native,
        subscribers: 100,
        load,
        size: 200,
        topics: 1,
        interval: None,
        slow: 0,
        requests: None,
        publishers: 4,
        batch: 1,
        publish_stream: false,
        warmup: Duration::from_secs(2),
        duration,
        pid: None,
    }
}

/// Published at the first node, measured at the second, while the first delivers as much.
fn latency(site: &ClusterNodes, duration: Duration) -> Result<Figures, ClusterError> {
    let paced = plan(site, 1, Load::Paced { rate: 1000.0 }, duration);
    let beside = plan(site, 0, Load::Idle, duration + paced.warmup + Duration::from_secs(1));
    let (connected, ready) = mpsc::channel();
    let report = thread::scope(|scope| {
        let beside = scope.spawn(move || {
            run(&beside, &mut |progress| {
                if matches!(progress, RunProgress::Holding { .. }) {
                    // Nobody waits any more.
                    let _ = connected.send(());
                }
            })
        });
        // Without a word it has failed, and says so below.
        let _ = ready.recv();
        let report = run(&paced, &mut |_| ());
        let beside = beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        beside.and(report)
    })?;
    let report = clean(report)?;
    let window = report.window.as_ref().expect("a paced run has a window");
    Ok(vec![
        ("publish to delivery across nodes, p50", format_time, window.latency.p50 as f64),
        ("the same, p99", format_time, window.latency.p99 as f64),
        ("published per second", format_count, window.publishes_per_second),
    ])
}

fn publish(site: &ClusterNodes, duration: Duration) -> Result<Figures, ClusterError> {
    let load = Load::Unpaced { in_flight: 50_000 };
    let plan = BenchPlan { subscribers: 1, batch: 100, ..plan(site, 0, load, duration) };
    let report = clean(run(&plan, &mut |_| ())?)?;
    let window = report.window.as_ref().expect("an unpaced run has a window");
    Ok(vec![(
        "publishes per second through one node, batches of 100",
        format_count,
        window.publishes_per_second,
    )])
}

fn clean(report: BenchReport) -> Result<BenchReport, ClusterError> {
    if report.is_clean() { Ok(report) } else { Err(ClusterError::Unclean(Box::new(report))) }
}
