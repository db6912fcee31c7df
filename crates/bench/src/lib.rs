//! `fanfare bench`: drives a running hub over real sockets and says what it delivered, how fast,
//! and at what cost to the server.
//!
//! One direction: [`BenchArgs`] become a checked [`BenchPlan`]; [`run`] connects the subscribers, starts
//! the publishers and keeps the time; bytes that arrive pass through the framing, the scanner and
//! the inbox; what the inbox counted becomes a [`BenchReport`].
//!
//! What must hold: every message is numbered, and a run in which one was lost, duplicated or
//! reordered says so; a paced message's latency is counted from the moment it was due, so that a
//! stall of the server cannot hide the messages it held up.

mod answer_reader;
mod args;
mod clock;
mod dialect;
mod error;
mod fleet;
mod flow;
mod framing;
mod inbox;
mod open_files;
mod payload;
mod plan;
mod process;
mod progress;
mod publisher;
mod report;
mod requests;
mod response;
mod run;
mod scanner;
mod spread;
mod storm;
mod subscriber;
mod tally;
mod target;
mod wire;

pub use args::{BenchArgs, execute};
pub use error::BenchError;
pub use open_files::raise_open_files;
pub use plan::{Authorization, BenchPlan, InvalidPlan, Load, Protocol};
pub use progress::{ProgressLine, RunProgress};
pub use report::{
    BenchReport, Latency, MeasuredWindow, ServerUsage, Violations, format_bytes, format_count,
    format_time,
};
pub use requests::Requests;
pub use response::BadResponse;
pub use run::run;
pub use storm::{Storm, storm};
pub use target::{InvalidTarget, Target};
