//! Exit codes: how a failure of the program becomes a number and a line on standard error.

use std::error::Error;
use std::process::ExitCode;

use fanfare_settings::SettingsError;

use crate::CommandError;

/// The exit codes, as `--help` has them.
pub(crate) const CODES: &str = "\
Exit codes:
  0    done, or nobody reads the output any more
  1    failed: the reason is on standard error
  2    usage error: a mistake in flags, arguments, environment or files
  130  interrupted, by Ctrl-C";

/// Why the program ended other than well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was typed or configured is wrong; exit code 2, as for clap.
    #[error("the settings are wrong")]
    Settings(Vec<SettingsError>),
    /// A hub was asked for in a way that cannot be; exit code 2.
    #[error(transparent)]
    Usage(Box<dyn Error + Send + Sync>),
    /// A hub cannot be served.
    #[error(transparent)]
    Serve(Box<dyn Error + Send + Sync>),
    /// A command did not do what was asked.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Says on standard error what went wrong, if anything, and gives the exit code: 0, 1, or 2 for
/// mistakes of usage.
pub(crate) fn code(result: Result<(), impl Into<Failure>>) -> ExitCode {
    match result.map_err(Into::into) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Settings(errors)) => {
            errors.iter().for_each(|error| eprintln!("error: {error}"));
            ExitCode::from(2)
        }
        Err(Failure::Command(error)) => {
            if error.has_message() {
                eprintln!("error: {error}");
                error.advice().iter().for_each(|advice| eprintln!("  {advice}"));
            }
            ExitCode::from(error.exit_code())
        }
        Err(Failure::Usage(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Serve(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
