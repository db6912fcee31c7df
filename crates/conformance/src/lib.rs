//! Black-box checks of what a hub for Server-Sent Events owes its clients, over raw sockets.
//!
//! Each check is a claim with the rule it comes from. Any hub can be held against them: a small TOML
//! says how to publish to it and how to subscribe.
//!
//! What must hold: the judge shares nothing with the judged. The parser of event streams and the
//! client of HTTP/1 are written here, from the standards, and no crate of the hub is depended on.
//! Every check has been seen to fail, against a hub with the very flaw it is there for.

mod address;
mod body;
mod check;
mod checks;
mod finding;
mod head;
mod hub;
mod outcome;
mod parser;
mod readiness;
mod report;
mod request;
mod rule;
mod settings;
mod started;
mod stream;
mod subject;
mod suite;
mod template;
mod wire;

pub use check::{Check, Level};
pub use hub::{Capability, HubDescription, HubError};
pub use outcome::{CheckOutcome, Verdict};
pub use report::{ConformanceReport, Count, line};
pub use rule::{Rule, RuleSource};
pub use settings::SuiteSettings;
pub use suite::{CheckSelection, SuiteError, all, run};
