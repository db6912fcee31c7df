//! How far a run is: one line on a terminal, rewritten in place.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::report::format_count;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RunProgress {
    /// Subscribers connect.
    Connecting {
        /// How many have their stream.
        connected: u32,
        /// How many there are to be.
        wanted: u32,
    },
    /// Idle subscribers are held.
    Holding {
        /// How long so far, in seconds.
        seconds: f64,
        /// How long it will take.
        of: f64,
    },
    /// Messages are published, to warm up or to be measured.
    Publishing {
        /// How long so far, in seconds.
        seconds: f64,
        /// How long it will take.
        of: f64,
        /// Messages acknowledged so far.
        published: u64,
        /// Messages that arrived so far.
        delivered: u64,
    },
    /// What was published is still arriving.
    Draining {
        /// How many messages are on their way.
        outstanding: u64,
    },
}

impl fmt::Display for RunProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Connecting { connected, wanted } => {
                write!(
                    f,
                    "connecting {} of {}",
                    format_count(connected.into()),
                    format_count(wanted.into())
                )
            }
            Self::Holding { seconds, of } => write!(f, "holding {seconds:.0} of {of:.0} s"),
            Self::Publishing { seconds, of, published, delivered } => write!(
                f,
                "publishing {seconds:.0} of {of:.0} s: {} published, {} delivered",
                format_count(published as f64),
                format_count(delivered as f64)
            ),
            Self::Draining { outstanding } => {
                write!(f, "draining: {} on their way", format_count(outstanding as f64))
            }
        }
    }
}

/// Writes progress to standard error where that is a terminal, and nothing elsewhere. Dropping it
/// clears the line.
#[derive(Debug)]
pub struct ProgressLine {
    on_terminal: bool,
    written: Option<Instant>,
}

impl ProgressLine {
    const INTERVAL: Duration = Duration::from_millis(200);

    /// A line on standard error.
    #[expect(clippy::new_without_default, reason = "it looks at the world: is this a terminal?")]
    pub fn new() -> Self {
        Self { on_terminal: std::io::stderr().is_terminal(), written: None }
    }

    /// Rewrites the line, unless it was rewritten a moment ago.
    pub fn show(&mut self, progress: RunProgress) {
        if self.on_terminal && self.written.is_none_or(|at| at.elapsed() >= Self::INTERVAL) {
            // A terminal that went away is no reason to end the run.
            let _ = write!(std::io::stderr(), "\r\x1b[K{progress}");
            self.written = Some(Instant::now());
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.written.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
