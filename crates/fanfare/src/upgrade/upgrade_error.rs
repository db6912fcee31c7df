//! What can come in the way of an upgrade, as the old process has it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use fanfare_handover::{ChannelError, Formats};

use crate::engine::HandOverError;

/// Why there is no new process; the old one goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The hub cannot be handed over: a container ends with this process.
    #[error(
        "this process is the container, which ends with it: replace the container, and every client resumes"
    )]
    Container,
    /// There is no such program, or it is of another architecture.
    #[error("{} cannot be started: {source}", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// It ended too early.
    #[error("the new process ended; expected: {expected}{}", AfterSemicolon(status))]
    Ended { expected: Expected, status: Option<ExitStatus> },
    /// It sent nothing in time.
    #[error("the new process sent nothing for {within:?}; expected: {expected}")]
    Silent { expected: Expected, within: Duration },
    /// It cannot be heard, or what it sent is not a message.
    #[error("the new process cannot be heard: {source}; expected: {expected}")]
    Unheard { expected: Expected, source: ChannelError },
    /// It sent a message out of turn.
    #[error(
        "the new process sent an unexpected message; expected: {expected}; is the program a hub?"
    )]
    OutOfTurn { expected: Expected },
    /// It says why it cannot take over.
    #[error("the new process cannot take over: {0}")]
    Failed(String),
    /// There is no format that both know.
    #[error("the new program knows formats {theirs} of the hand-over, and this one {ours}")]
    Format { theirs: Formats, ours: Formats },
    /// Requests take too long.
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

/// What the new process is to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Formats,
    Readiness,
    Receipt,
    Preparedness,
    Commitment,
    Service,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Formats => "the formats that it knows",
            Self::Readiness => "that its settings are good",
            Self::Receipt => "that it has received the streams",
            Self::Preparedness => "that it is prepared to serve them",
            Self::Commitment => "its commitment",
            Self::Service => "that it serves",
        })
    }
}

/// How a process ended, where that is known.
struct AfterSemicolon<'a>(&'a Option<ExitStatus>);

impl fmt::Display for AfterSemicolon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "; {status}"),
            None => Ok(()),
        }
    }
}
