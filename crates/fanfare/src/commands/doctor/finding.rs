//! A finding, and the report of all of them.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::commands::CommandError;
use crate::commands::terminal::{Output, output_has_colour, printable};

/// How a finding is judged. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Good,
    /// It works, and could be better.
    Advice,
    Wrong,
}

/// What was looked at, what was seen, and what to do about it.
#[derive(Debug)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    saw: String,
    advice: Option<String>,
}

/// The findings so far. As text each is printed at once, as JSON all at the end.
#[derive(Debug)]
pub(super) struct Report {
    out: Output,
    json: bool,
    colour: bool,
    worst: Verdict,
    findings: Vec<Value>,
}

impl Finding {
    pub(super) fn good(check: &'static str, saw: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, saw: saw.into(), advice: None }
    }

    pub(super) fn advice(
        check: &'static str,
        saw: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { check, verdict: Verdict::Advice, saw: saw.into(), advice }
    }

    pub(super) fn wrong(
        check: &'static str,
        saw: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::advice(check, saw, advice) }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "advice",
            Self::Wrong => "wrong",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Advice => AnsiColor::Yellow.on_default(),
            Self::Wrong => AnsiColor::Red.on_default().bold(),
        }
    }
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let (worst, colour) = (Verdict::Good, output_has_colour());
        Self { out: Output::new(), json, colour, worst, findings: Vec::new() }
    }

    pub(super) fn add(&mut self, finding: Finding) -> Result<(), CommandError> {
        let Finding { check, verdict, saw, advice } = finding;
        self.worst = self.worst.max(verdict);
        if self.json {
            let verdict = verdict.word();
            let finding =
                json!({ "check": check, "verdict": verdict, "saw": saw, "advice": advice });
            self.findings.push(finding);
            return Ok(());
        }
        let style = if self.colour { verdict.style() } else { Style::new() };
        let word = verdict.word();
        self.out.line(format_args!("{style}{word:7}{style:#} {check}: {}", printable(&saw)))?;
        if let Some(advice) = advice {
            self.out.line(format_args!("        {advice}"))?;
        }
        self.out.flush()
    }

    /// Ends the report; whether nothing is wrong.
    pub(super) fn end(mut self) -> Result<bool, CommandError> {
        if self.json {
            let report = json!({ "verdict": self.worst.word(), "findings": self.findings });
            self.out.line(report)?;
        }
        self.out.flush()?;
        Ok(self.worst < Verdict::Wrong)
    }
}
