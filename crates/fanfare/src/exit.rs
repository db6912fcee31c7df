//! Exit codes: how a failure of the program becomes a number and a line on standard error.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::engine::EngineError;
use crate::settings::SettingsError;

/// Why the program ended other than well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed or configured is wrong; exit code 2, as for clap.
    #[error("the settings are wrong")]
    Settings(Vec<SettingsError>),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The event log cannot be opened.
    #[error("cannot open the event log: {0}")]
    Log(#[from] EngineError),
    /// The system refused a thread, a poller, a signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Says on standard error what went wrong, if anything, and gives the exit code: 0, 1, or 2 for
/// mistakes of usage.
pub fn code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Settings(errors)) => {
            errors.iter().for_each(|error| eprintln!("error: {error}"));
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            tracing::debug!(source = failure.source(), "the program failed");
            ExitCode::FAILURE
        }
    }
}
