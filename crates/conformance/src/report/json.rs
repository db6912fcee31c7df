//! The report for programs.

use serde_json::{Map, Value, json};

use super::ConformanceReport;
use crate::check::Level;
use crate::outcome::{CheckOutcome, Verdict};

impl ConformanceReport {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut summary = Map::new();
        for level in Level::ALL {
            let count = self.count(level);
            let counts =
                json!({"passed": count.passed, "failed": count.failed, "skipped": count.skipped});
            summary.insert(level.to_string(), counts);
        }
        let whole = json!({
            "hub": self.hub,
            "url": self.url,
            "conforms": self.conforms(),
            "summary": summary,
            "checks": self.outcomes.iter().map(check).collect::<Vec<_>>(),
        });
        format!("{whole:#}")
    }
}

fn check(outcome: &CheckOutcome) -> Value {
    let check = outcome.check;
    let (verdict, seen) = match &outcome.verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed(seen) => ("failed", Some(seen)),
        Verdict::Skipped(why) => ("skipped", Some(why)),
    };
    json!({
        "name": check.name,
        "level": check.level.to_string(),
        "rule": {
            "source": check.rule.source.to_string(),
            "section": check.rule.section,
            "url": check.rule.source.url(),
            "says": check.rule.says,
        },
        "verdict": verdict,
        "seen": seen,
        "seconds": outcome.took.as_secs_f64(),
    })
}
