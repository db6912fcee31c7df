//! The hand-over: what a running hub and the process that takes its place say to each other.
//!
//! The two share a pair of sockets that keep the bounds of messages. Small messages say how far each has
//! come; sockets travel beside them as descriptors, a bounded number at a time; state travels as one sealed
//! memory file ([`StateFile`]), which can no longer be changed.
//!
//! What must hold:
//!
//! - *Known or refused*: a format, a message or a section that a process does not know is an error, before anything has
//!   been committed.
//! - *Bounded*: a message has at most [`UpgradeMessage::MAX_BYTES`] and [`MAX_DESCRIPTORS`] descriptors, at most
//!   [`IN_FLIGHT`] messages of descriptors are on their way, and no wait is without a deadline.
//! - *One commitment*: [`UpgradeMessage::Committed`]. Before it, the old process has everything; after it, the new
//!   one. It is sent before the new process does anything that others could see.
//!
//! This crate knows nothing of what is handed over: sections and records are bytes, which their owners
//! write and read with [`Writer`] and [`Reader`].

mod channel;
mod codec;
pub mod control;
mod inherited;
mod message;
mod state_file;

pub use channel::{Channel, ChannelError, IN_FLIGHT, MAX_DESCRIPTORS};
pub use codec::{Malformed, Reader, Writer};
pub use inherited::{announce, announced_by_parent, inherited, pair};
pub use message::{FORMATS, Formats, UpgradeMessage};
pub use state_file::{Manifest, Section, StateFile, StateFileError};
