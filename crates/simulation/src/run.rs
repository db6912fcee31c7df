//! A run: one plan carried out from its beginning to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::judge::{BrokenGuarantee, FindingKind};
use crate::plan::HistoryPlan;
use crate::trace::Trace;
use crate::world::World;

/// What came of it.
#[derive(Debug)]
pub struct HistoryRun {
    /// The first guarantee that was broken, if one was.
    pub finding: Option<BrokenGuarantee>,
    /// What happened.
    pub trace: Trace,
}

/// Carries out a plan.
pub fn run(plan: &HistoryPlan, trace: Trace) -> HistoryRun {
    let world = World::new(plan, trace);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for step in &plan.steps {
            world.take(step);
            if world.finding().is_some() {
                return;
            }
        }
        world.finish();
    }));
    let finding = match outcome {
        Ok(()) => world.finding(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let text = text.unwrap_or_else(|| "of an unknown kind".to_owned());
            Some(BrokenGuarantee { kind: FindingKind::Panic, text })
        }
    };
    HistoryRun { finding, trace: world.into_trace() }
}

/// Leaves out of a plan whatever is not needed for the same kind of finding.
pub fn shrink(plan: &HistoryPlan) -> HistoryPlan {
    let mut smallest = plan.clone();
    let Some(kind) = run(plan, Trace::default()).finding.map(|finding| finding.kind) else {
        return smallest;
    };
    let mut length = smallest.steps.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < smallest.steps.len() {
            let mut fewer = smallest.clone();
            fewer.steps.drain(at..(at + length).min(fewer.steps.len()));
            let still = run(&fewer, Trace::default()).finding.is_some_and(|it| it.kind == kind);
            if still {
                smallest = fewer;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    smallest
}

/// What a person needs to repeat a finding and to look for its cause.
pub fn report(plan: &HistoryPlan, finding: &BrokenGuarantee) -> String {
    let seed = plan.seed;
    let smallest = shrink(plan);
    let run = run(&smallest, Trace::with_text());
    let mut text = format!(
        "seed {seed} ({}): {finding}\n  again: scripts/simulate --seeds 1 --from {seed}\n\
         \x20 {} of {} steps suffice, and the end:\n",
        World::describe(&plan.setup),
        smallest.steps.len(),
        plan.steps.len(),
    );
    if let Some(finding) = &run.finding {
        text += &format!("  {finding}\n");
    }
    for line in run.trace.lines() {
        text += &format!("  | {line}\n");
    }
    text
}
