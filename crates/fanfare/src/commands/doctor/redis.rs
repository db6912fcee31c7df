//! The Redis that holds, or is to hold, a hub's events.

use fanfare_redis::doctor::{Severity, diagnose};
use fanfare_redis::{Namespace, RedisUrl};

use super::finding::{Finding, Report};
use crate::commands::CommandError;

/// Examines it. Nothing is written there.
pub(super) async fn examine(
    url: &RedisUrl,
    namespace: &Namespace,
    report: &mut Report,
) -> Result<(), CommandError> {
    for found in diagnose(url, namespace).await {
        let finding = match found.severity {
            Severity::Fine => Finding::good(found.check, found.what),
            Severity::Warning => Finding::advice(found.check, found.what, found.fix),
            Severity::Problem => Finding::wrong(found.check, found.what, found.fix),
        };
        report.add(finding.because(found.why))?;
    }
    Ok(())
}
