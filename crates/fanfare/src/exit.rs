//! Exit codes: how a failure of the program becomes a number and a line on standard error.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

pub use crate::acme::{AcmeError, CacheError};
use crate::commands::CommandError;
use crate::engine::EngineError;
use crate::settings::SettingsError;
pub use crate::tls::TlsError;

/// The exit codes, as `--help` has them.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done, or nobody reads the output any more
  1    failed: the reason is on standard error
  2    asked wrongly: a mistake in flags, arguments, environment or files
  130  interrupted, by Ctrl-C";

/// Why the program ended other than well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed or configured is wrong; exit code 2, as for clap.
    #[error("the settings are wrong")]
    Settings(Vec<SettingsError>),
    /// HTTPS cannot be served with the files that were named; exit code 2.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
    /// A command did not do what was asked.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Says on standard error what went wrong, if anything, and gives the exit code: 0, 1, or 2 for
/// mistakes of usage.
pub fn code(result: Result<(), impl Into<Failure>>) -> ExitCode {
    match result.map_err(Into::into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Settings(errors)) => {
            errors.iter().for_each(|error| eprintln!("error: {error}"));
            ExitCode::from(2)
        }
        Err(Failure::Command(error)) => {
            if error.is_worth_a_word() {
                eprintln!("error: {error}");
                error.advice().iter().for_each(|advice| eprintln!("  {advice}"));
            }
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Tls(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            tracing::debug!(source = failure.source(), "the program failed");
            ExitCode::FAILURE
        }
    }
}
