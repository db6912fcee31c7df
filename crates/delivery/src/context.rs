//! What every step of a shard's turn needs beside what it is about.

use crate::counters::Totals;
use crate::now::Now;
use crate::settings::StepLimits;

/// The time, the bounds, where to count, and room to work in.
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) limits: &'a StepLimits,
    pub(crate) totals: &'a mut Totals,
    /// What this turn has looked at: slots, and what comparing them took.
    pub(crate) scanned: &'a mut usize,
    /// Room for what a sink makes of what it is given.
    pub(crate) scratch: &'a mut Vec<u8>,
}
