//! What can come in the way of an upgrade, as the old process has it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fanfare_handover::Formats;

use crate::engine::HandOverError;

/// Why there is no new process; the old one goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The hub is of a kind that cannot be handed over.
    #[error("{0}")]
    Obstacle(String),
    /// There is no such program, or it is of another architecture.
    #[error("{} cannot be started: {source}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// It ended, or said nothing in time.
    #[error("the new process {did} while {step}{ended}")]
    Silent { did: String, step: &'static str, ended: String },
    /// It said why it cannot take over.
    #[error("the new process cannot take over: {0}")]
    Failed(String),
    /// It speaks, and not as this one does.
    #[error("the new program knows formats {theirs} of the hand-over, and this one {ours}")]
    Format { theirs: Formats, ours: Formats },
    /// It said something out of turn.
    #[error("the new process is no hub of this kind: it said something else while {0}")]
    OutOfTurn(&'static str),
    /// Somebody acts on the hub for too long.
    #[error("requests in progress did not finish within {0:?}")]
    Busy(Duration),
    /// The log cannot be handed over.
    #[error(transparent)]
    Log(#[from] HandOverError),
    /// The hub is to end meanwhile.
    #[error("the hub was told to stop")]
    Stopped,
    /// There is no memory, or no descriptor, for what is handed over.
    #[error("the state cannot be written down: {0}")]
    State(#[from] io::Error),
    /// A thread has ended early.
    #[error("the hand-over was broken off")]
    Broken,
}
