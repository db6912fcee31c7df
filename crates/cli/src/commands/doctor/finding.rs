//! A finding, and the report of all of them.

use anstyle::{AnsiColor, Style};
use fanfare_event::printable;
use serde_json::{Value, json};

use crate::commands::CommandError;
use crate::commands::terminal::{Output, output_has_colour};

/// How a finding is judged. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rating {
    Good,
    /// It works, and could be better.
    Advice,
    Wrong,
}

/// What was looked at, what was seen, and what to do about it.
#[derive(Debug)]
pub(super) struct DoctorFinding {
    check: &'static str,
    verdict: Rating,
    saw: String,
    why: Option<&'static str>,
    advice: Option<String>,
}

/// The findings so far. As text each is printed at once, as JSON all at the end.
#[derive(Debug)]
pub(super) struct DoctorReport {
    out: Output,
    json: bool,
    colour: bool,
    worst: Rating,
    findings: Vec<Value>,
}

impl DoctorFinding {
    pub(super) fn good(check: &'static str, saw: impl Into<String>) -> Self {
        Self { check, verdict: Rating::Good, saw: saw.into(), why: None, advice: None }
    }

    pub(super) fn advice(
        check: &'static str,
        saw: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self { verdict: Rating::Advice, advice, ..Self::good(check, saw) }
    }

    pub(super) fn wrong(
        check: &'static str,
        saw: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: Rating::Wrong, ..Self::advice(check, saw, advice) }
    }

    /// The same finding, with why it matters.
    #[cfg(feature = "redis")]
    pub(super) fn because(self, why: &'static str) -> Self {
        Self { why: Some(why), ..self }
    }
}

impl Rating {
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

impl DoctorReport {
    pub(super) fn new(json: bool) -> Self {
        let (worst, colour) = (Rating::Good, output_has_colour());
        Self { out: Output::new(), json, colour, worst, findings: Vec::new() }
    }

    pub(super) fn add(&mut self, finding: DoctorFinding) -> Result<(), CommandError> {
        let DoctorFinding { check, verdict, saw, why, advice } = finding;
        self.worst = self.worst.max(verdict);
        if self.json {
            let verdict = verdict.word();
            self.findings.push(json!({
                "check": check, "verdict": verdict, "saw": saw, "why": why, "advice": advice,
            }));
            return Ok(());
        }
        let style = if self.colour { verdict.style() } else { Style::new() };
        let word = verdict.word();
        self.out.line(format_args!("{style}{word:7}{style:#} {check}: {}", printable(&saw)))?;
        for line in why.into_iter().chain(advice.as_deref()) {
            self.out.line(format_args!("        {line}"))?;
        }
        self.out.flush()
    }

    /// Ends the report: an error where something is wrong.
    pub(super) fn verdict(mut self) -> Result<(), CommandError> {
        if self.json {
            let report = json!({ "verdict": self.worst.word(), "findings": self.findings });
            self.out.line(report)?;
        }
        self.out.flush()?;
        if self.worst < Rating::Wrong { Ok(()) } else { Err(CommandError::Reported) }
    }
}
