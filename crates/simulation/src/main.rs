//! `simulate`: histories of many seeds, one after the other, until one breaks a promise.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fanfare_simulation::{HistoryPlan, Trace, report, run};

const USAGE: &str = "simulate [--seeds N] [--from S] [--threads T]

Runs the histories of N seeds (1,000,000), from seed S (0) on, on T threads (as many as there are
processors). Each runs in one thread and follows from its seed alone. Exits with 1 where one breaks a
promise, after printing the smallest history of that seed that does.";

struct SimulationArguments {
    seeds: u64,
    from: u64,
    threads: u64,
}

fn main() -> ExitCode {
    let Some(SimulationArguments { seeds, from, threads }) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    // What panics is a finding, and its report says so.
    std::panic::set_hook(Box::new(|_| ()));
    let (next, began) = (AtomicU64::new(from), Instant::now());
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        return;
                    }
                    let plan = HistoryPlan::of(seed);
                    if let Some(finding) = run(&plan, Trace::default()).finding {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        let text = report(&plan, &finding);
                        broken.lock().unwrap_or_else(|it| it.into_inner()).push((seed, text));
                        return;
                    }
                }
            });
        }
        scope.spawn(|| progress(&next, from, seeds, began));
    });
    let mut broken = broken.into_inner().unwrap_or_else(|it| it.into_inner());
    broken.sort();
    for (seed, text) in &broken {
        println!("{text}after {} of {seeds} histories", seed - from + 1);
    }
    if !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    let passed = began.elapsed().as_secs_f64();
    println!("{seeds} histories from seed {from} in {passed:.1} s, and no promise broken");
    ExitCode::SUCCESS
}

/// Says every minute how far it has come.
fn progress(next: &AtomicU64, from: u64, seeds: u64, began: Instant) {
    let mut said = Instant::now();
    loop {
        let done = next.load(Ordering::Relaxed) - from;
        if done >= seeds {
            return;
        }
        if said.elapsed() > Duration::from_secs(60) {
            said = Instant::now();
            eprintln!("{done} histories in {:.0} s", began.elapsed().as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn arguments() -> Option<SimulationArguments> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut arguments = SimulationArguments { seeds: 1_000_000, from: 0, threads };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().and_then(|value| value.parse().ok())?;
        match name.as_str() {
            "--seeds" => arguments.seeds = value,
            "--from" => arguments.from = value,
            "--threads" => arguments.threads = value.max(1),
            _ => return None,
        }
    }
    Some(arguments)
}
