//! What came of a check.

use std::time::Duration;

use crate::check::Check;

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The claim holds.
    Passed,
    /// It does not; what was seen.
    Failed(String),
    /// It does not apply; why.
    Skipped(String),
}

/// A check and what came of it.
#[derive(Debug)]
pub struct CheckOutcome {
    /// Which check.
    pub check: &'static Check,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}
