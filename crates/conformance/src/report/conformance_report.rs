//! What a run found.

use crate::check::Level;
use crate::outcome::{CheckOutcome, Verdict};

/// All outcomes of a run, in the order of the checks.
#[derive(Debug)]
pub struct ConformanceReport {
    /// The hub's name, from its description.
    pub hub: String,
    /// Where it was.
    pub url: String,
    /// What came of each check.
    pub outcomes: Vec<CheckOutcome>,
}

/// How many checks of a level came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The claim holds.
    pub passed: usize,
    /// It does not.
    pub failed: usize,
    /// It does not apply.
    pub skipped: usize,
}

impl ConformanceReport {
    /// How the checks of one level came out.
    #[must_use]
    pub fn count(&self, level: Level) -> Count {
        let mut count = Count::default();
        for outcome in self.outcomes.iter().filter(|outcome| outcome.check.level == level) {
            match outcome.verdict {
                Verdict::Passed => count.passed += 1,
                Verdict::Failed(_) => count.failed += 1,
                Verdict::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }

    /// Whether no MUST failed, and something was put to the test.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.count(Level::Must).failed == 0
            && self.outcomes.iter().any(|outcome| outcome.verdict == Verdict::Passed)
    }
}
