//! The report for people: a line for each check, and what was seen where it failed.

use super::ConformanceReport;
use crate::check::Level;
use crate::outcome::{CheckOutcome, Verdict};

/// One check's lines.
#[must_use]
pub fn line(outcome: &CheckOutcome) -> String {
    let check = outcome.check;
    let head = |word: &str| format!("{word:<5} {:<6} {}", check.level, check.name);
    match &outcome.verdict {
        Verdict::Passed => head("ok"),
        Verdict::Skipped(why) => format!("{}  ({why})", head("skip")),
        Verdict::Failed(seen) => format!(
            "{}\n      rule: {}: {}\n      seen: {seen}",
            head("FAIL"),
            check.rule,
            check.rule.says
        ),
    }
}

impl ConformanceReport {
    /// The last lines of the human report.
    #[must_use]
    pub fn summary(&self) -> String {
        let levels = Level::ALL.map(|level| {
            let count = self.count(level);
            format!(
                "{level:<6} {:>3} passed {:>3} failed {:>3} skipped",
                count.passed, count.failed, count.skipped
            )
        });
        let verdict = if self.conforms() { "no MUST failed" } else { "does not conform" };
        format!("{}\n{} at {}: {verdict}", levels.join("\n"), self.hub, self.url)
    }
}
