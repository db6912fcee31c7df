//! Histories of the whole core under many seeds, each judged by what clients and publishers saw.
//!
//! Invariant: *one sequence*, *no silent loss*, *once*, *whole or nothing*, *clean close*, *private*,
//! *no longer than granted*.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_simulation::{HistoryPlan, Trace, report, run};

/// How many histories are part of every change, and how many of them show soon whether anything is very
/// wrong.
const HISTORIES: u64 = 100_000;
const EARLY: u64 = 5_000;

/// Runs the histories of these seeds, on all processors.
fn run_all(seeds: Range<u64>) {
    let (next, broken) = (AtomicU64::new(seeds.start), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let plan = HistoryPlan::of(seed);
                    if let Some(finding) = run(&plan, Trace::default()).finding {
                        next.store(seeds.end, Ordering::Relaxed);
                        broken.lock().expect("unpoisoned").get_or_insert((plan, finding));
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("unpoisoned");
    if let Some((plan, finding)) = broken {
        panic!("{}successes: {}", report(&plan, &finding), plan.seed - seeds.start);
    }
}

#[test]
fn no_early_history_breaks_a_promise() {
    run_all(0..EARLY);
}

#[test]
fn no_history_breaks_a_promise() {
    run_all(EARLY..HISTORIES);
}

#[test]
fn a_repeated_history_goes_the_same_way() {
    let mut digests = std::collections::HashSet::new();
    for seed in 0..300 {
        let plan = HistoryPlan::of(seed);
        let (once, again) = (run(&plan, Trace::with_text()), run(&plan, Trace::with_text()));
        assert_eq!(once.trace.lines(), again.trace.lines(), "seed {seed}");
        assert_eq!(once.trace.digest(), again.trace.digest(), "seed {seed}");
        digests.insert(once.trace.digest());
    }
    assert_eq!(digests.len(), 300, "seeds share their histories");
}

/// Seeds of earlier versions of the code, each with what it had found.
#[test]
fn no_history_of_the_past_breaks_a_promise_again() {
    let seeds = [
        (2560, "with `--sync interval`, a log that had failed span for ever and never closed"),
        (19_062, "a stream that changed shards while the clock was set back escaped a cut"),
        (
            190_890,
            "a page from `earliest` told of a hole and passed over what was trimmed behind it",
        ),
    ];
    for (seed, why) in seeds {
        let plan = HistoryPlan::of(seed);
        if let Some(finding) = run(&plan, Trace::default()).finding {
            panic!("{why}, again:\n{}", report(&plan, &finding));
        }
    }
}
