//! What a run found, for people and for machines.

mod conformance_report;
mod human;
mod json;
mod junit;

pub use conformance_report::{ConformanceReport, Count};
pub use human::line;
