//! What can come in the way of measuring clients that return.

use std::io;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReturnError {
    #[error("cannot start {what}: {source}")]
    Start { what: String, source: io::Error },
    #[error("{0} does not answer in time")]
    Silent(String),
    #[error("cannot talk to the hub: {0}")]
    Hub(#[from] io::Error),
    #[error("{0} of the clients have not got what they missed")]
    Unserved(usize),
    #[error("a client was given {given} messages where it missed {missed}, with {gaps} gaps")]
    Wrong { given: u64, missed: u64, gaps: u64 },
}
