//! The hub's core in one thread under one seed: hub, window, lineage, shards, readers and logs, with the real
//! scripts in a Redis in memory, of which nothing has a thread, a clock, a disk or a socket of its own; and a
//! judge that knows only what clients and publishers saw.
//!
//! What must hold:
//!
//! - One seed is one history, to the byte.
//! - Whatever can happen can happen between any two other things, also in the middle of a page, a batch or
//!   a write to the disk.
//! - The judge shares no code with what it judges.

mod client;
mod judge;
mod lock;
mod network;
mod node;
mod plan;
mod run;
mod trace;
mod world;

pub use judge::{BrokenGuarantee, FindingKind};
pub use plan::HistoryPlan;
pub use run::{HistoryRun, report, run, shrink};
pub use trace::Trace;
