//! A run: which checks, against what, and what came of each.

use std::time::Instant;

use crate::check::{Check, Level};
use crate::checks;
use crate::finding::NotPassed;
use crate::hub::{Capability, HubDescription, HubError};
use crate::outcome::{CheckOutcome, Verdict};
use crate::readiness::wait_until_it_answers;
use crate::report::ConformanceReport;
use crate::settings::SuiteSettings;
use crate::started::Started;
use crate::subject::Subject;

/// Which checks to run.
#[derive(Debug, Clone, Default)]
pub struct CheckSelection {
    /// Only those whose name begins with, or is, one of these; all if there are none.
    pub only: Vec<String>,
    /// None of those whose name begins with, or is, one of these.
    pub skip: Vec<String>,
    /// Only those of one of these levels; all if there are none.
    pub levels: Vec<Level>,
}

/// Why no run could be made.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The description means nothing.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The hub cannot be reached at all, or not as described.
    #[error("cannot test the hub: {0}")]
    Unreachable(String),
    /// No check has such a name.
    #[error("no check is named {0:?} or begins with it; --list shows them all")]
    NoSuchCheck(String),
}

/// Every check there is, by area.
pub fn all() -> impl Iterator<Item = &'static Check> {
    checks::AREAS.iter().copied().flatten()
}

impl CheckSelection {
    fn includes(&self, check: &Check) -> bool {
        let named = |names: &[String]| names.iter().any(|name| matches(check.name, name));
        (self.only.is_empty() || named(&self.only))
            && !named(&self.skip)
            && (self.levels.is_empty() || self.levels.contains(&check.level))
    }

    /// The checks that are meant.
    ///
    /// # Errors
    ///
    /// If a name means no check.
    pub fn checks(&self) -> Result<Vec<&'static Check>, SuiteError> {
        let mut names = self.only.iter().chain(&self.skip);
        if let Some(name) = names.find(|name| !all().any(|check| matches(check.name, name))) {
            return Err(SuiteError::NoSuchCheck(name.clone()));
        }
        Ok(all().filter(|check| self.includes(check)).collect())
    }
}

fn matches(check: &str, name: &str) -> bool {
    check.strip_prefix(name).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || name.ends_with('/') || name.contains('/')
    })
}

/// Runs the selected checks, one after another, and tells `heard` of each.
///
/// Without a URL the hub is started, by the command in its description, and stopped after.
///
/// # Errors
///
/// If there is no hub to test.
pub fn run(
    hub: &HubDescription,
    url: Option<&str>,
    settings: &SuiteSettings,
    selection: &CheckSelection,
    mut heard: impl FnMut(&CheckOutcome),
) -> Result<ConformanceReport, SuiteError> {
    let selected = selection.checks()?;
    let started = match url {
        Some(_) => None,
        None => Some(start(hub, settings)?),
    };
    let url = url.or(started.as_ref().map(|started| started.url.as_str())).unwrap_or_default();
    let subject = Subject::new(hub, settings, url, started.as_ref());
    let subject = subject.map_err(SuiteError::Unreachable)?;
    if let Err(NotPassed::Failed(why) | NotPassed::Skipped(why)) =
        subject.connect(subject.address())
    {
        return Err(SuiteError::Unreachable(why));
    }
    let mut outcomes = Vec::with_capacity(selected.len());
    for check in selected {
        let outcome = put(check, &subject);
        heard(&outcome);
        outcomes.push(outcome);
    }
    Ok(ConformanceReport { hub: hub.name.clone(), url: url.to_owned(), outcomes })
}

fn put(check: &'static Check, subject: &Subject<'_>) -> CheckOutcome {
    let begun = Instant::now();
    let missing = check.needs.iter().find(|need| !subject.hub.offers(**need));
    let verdict = match missing {
        _ if check.needs.contains(&Capability::Start) && !subject.is_started => {
            Verdict::Skipped("only where the hub is started for it: --start".to_owned())
        }
        Some(need) => Verdict::Skipped(format!("not offered: {}", need.name())),
        None => match (check.run)(subject) {
            Ok(()) => Verdict::Passed,
            Err(NotPassed::Failed(seen)) => Verdict::Failed(seen),
            Err(NotPassed::Skipped(why)) => Verdict::Skipped(why),
        },
    };
    CheckOutcome { check, verdict, took: begun.elapsed() }
}

fn start(hub: &HubDescription, settings: &SuiteSettings) -> Result<Started, SuiteError> {
    let Some(start) = &hub.start else {
        let why = "there is no URL, and the hub's description has no command that starts it";
        return Err(SuiteError::Unreachable(why.to_owned()));
    };
    let mut started = Started::start(start).map_err(SuiteError::Unreachable)?;
    wait_until_it_answers(&mut started, hub, settings).map_err(SuiteError::Unreachable)?;
    Ok(started)
}
