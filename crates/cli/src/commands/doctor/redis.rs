//! The Redis that holds, or is to hold, a hub's events.

use fanfare_redis::doctor::{Severity, diagnose};
use fanfare_redis::{InvalidUrl, Namespace, RedisUrl};

use super::finding::{DoctorFinding, DoctorReport};
use crate::commands::CommandError;
use crate::commands::hub_args::variable;

/// Examines it. Nothing is written there.
pub(super) async fn examine(
    url: &RedisUrl,
    namespace: &Namespace,
    report: &mut DoctorReport,
) -> Result<(), CommandError> {
    for found in diagnose(url, namespace).await {
        let finding = match found.severity {
            Severity::Fine => DoctorFinding::good(found.check, found.what),
            Severity::Warning => DoctorFinding::advice(found.check, found.what, found.fix),
            Severity::Problem => DoctorFinding::wrong(found.check, found.what, found.fix),
        };
        report.add(finding.because(found.why))?;
    }
    Ok(())
}

/// Where Redis is, as the flag says, or the environment.
pub(super) fn url(flag: Option<&str>) -> Result<RedisUrl, CommandError> {
    const VARIABLE: &str = "FANFARE_REDIS";
    if let Some(text) = flag {
        return text.parse().map_err(CommandError::RedisUrl);
    }
    let Some(text) = variable(VARIABLE)? else {
        return Err(CommandError::Flags("--redis needs a URL: behind it, or in FANFARE_REDIS"));
    };
    text.parse().map_err(|error: InvalidUrl| CommandError::Environment {
        variable: VARIABLE,
        problem: error.into(),
    })
}
