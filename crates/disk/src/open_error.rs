//! Why a log cannot be opened.

use std::io;

/// Why a directory cannot be opened as a log. Nothing in it was changed, except where a file
/// could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory holds something else.
    #[error(
        "{place} is not an event log: it holds {entry:?}; name an empty or a new directory, or \
         move what is in it away"
    )]
    Foreign {
        /// The directory.
        place: String,
        /// What does not belong to a log.
        entry: String,
    },
    /// A newer version of the program wrote it.
    #[error(
        "{place} holds an event log of format {version}, this program reads format {ours}: use \
         the version that wrote it, or a newer one"
    )]
    Version {
        /// The directory.
        place: String,
        /// The format found.
        version: u32,
        /// The format understood.
        ours: u32,
    },
    /// Another process has it open.
    #[error("{place} is in use by another hub: stop that one, or name another directory")]
    Locked {
        /// The directory.
        place: String,
    },
    /// It is not what another process has handed over.
    #[error("{place} is not the event log that was handed over: {what}")]
    Changed {
        /// The directory.
        place: String,
        /// What is otherwise.
        what: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        place: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(action: &'static str, place: &str, source: io::Error) -> Self {
        Self::Io { action, place: place.to_owned(), source }
    }
}
