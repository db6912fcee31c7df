//! The report as JUnit's XML. A failure of any level is a failure there; its type says which level.

use std::fmt::Write as _;

use super::ConformanceReport;
use crate::check::Level;
use crate::outcome::Verdict;

impl ConformanceReport {
    /// As JUnit's XML, which build servers read.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let counts = Level::ALL.map(|level| self.count(level));
        let failed: usize = counts.iter().map(|count| count.failed).sum();
        let skipped: usize = counts.iter().map(|count| count.skipped).sum();
        let seconds: f64 = self.outcomes.iter().map(|outcome| outcome.took.as_secs_f64()).sum();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\" time=\"{seconds:.3}\">",
            escaped(&format!("{} at {}", self.hub, self.url)),
            self.outcomes.len(),
        );
        for outcome in &self.outcomes {
            let check = outcome.check;
            let _ = write!(
                xml,
                "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">",
                check.area(),
                escaped(check.name),
                outcome.took.as_secs_f64()
            );
            let _ = match &outcome.verdict {
                Verdict::Passed => Ok(()),
                Verdict::Skipped(why) => write!(xml, "<skipped message=\"{}\"/>", escaped(why)),
                Verdict::Failed(seen) => write!(
                    xml,
                    "<failure type=\"{}\" message=\"{}\">{}</failure>",
                    check.level,
                    escaped(seen),
                    escaped(&format!("{}: {}", check.rule, check.rule.says))
                ),
            };
            xml.push_str("</testcase>\n");
        }
        xml.push_str("</testsuite>\n");
        xml
    }
}

/// For text and attributes; what XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_escaped() {
        assert_eq!(escaped("<a \"b\" & \u{1}\n>"), "&lt;a &quot;b&quot; &amp; \u{fffd}&#10;&gt;");
    }
}
