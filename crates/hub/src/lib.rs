//! Publish and subscribe over one ordered log.
//!
//! The [`Window`] holds the log's most recent events as [`Frame`]s, encoded at most once each; the
//! [`Hub`] appends to the log and works out where a subscriber resumes. No sockets, no HTTP, no
//! threads.
//!
//! What must hold:
//!
//! - *One sequence*: whatever a subscriber receives, it received by reading the log forward from
//!   one position: out of the window, or out of the log where the window no longer reaches.
//! - *No silent loss*: a cursor is resumed exactly, or a [`Gap`] stands before anything later.

mod busiest;
mod continuity;
mod dropped;
mod frame;
mod gap;
mod hub;
mod interest;
mod ledger;
mod milestones;
mod news;
mod reasons;
mod resume;
mod ring;
mod stretch;
mod topic_key;
mod warm;
mod window;

pub use busiest::BusyTopic;
pub use dropped::DroppedTopics;
pub use frame::{Envelope, Frame};
pub use gap::{Gap, GapReason, fresh_cursor};
pub use hub::{Catchup, Hub};
pub use interest::Interest;
pub use news::News;
pub use resume::{Requested, Resolution, Start};
pub use ring::{Ring, Slot};
pub use stretch::Stretch;
pub use topic_key::TopicKey;
pub use window::{Notify, Window, WindowBounds};
