//! The fault rig: the real hub, on real files and real redis-servers, under faults.
//!
//! Publishers publish, clients come and go, disks fail, processes are killed, and a judge that
//! knows only what was acknowledged and what was heard says whether the hub kept its promises
//! (`docs/guarantees.md`).
//!
//! What must hold: nothing here uses the hub's crates. HTTP, event streams and patterns are
//! understood anew, so that a mistake in the hub is not repeated by its judge.

#![allow(
    clippy::missing_panics_doc,
    reason = "a rig that cannot go on has nobody to report to but whoever runs it"
)]

pub mod binary;
pub mod book;
pub mod client;
pub mod engine;
pub mod fault;
pub mod follower;
pub mod http;
pub mod id;
mod inflict;
pub mod judge;
pub mod ledger;
pub mod message;
pub mod preload;
pub mod process;
pub mod proxy;
pub mod publisher;
pub mod race;
pub mod redis;
pub mod round;
pub mod sse;
pub mod topic;
pub mod upgrade;
