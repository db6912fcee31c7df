//! The subcommands beside `serve`: clients of a hub, and those that look at a log or print something
//! about the program.
//!
//! What must hold: standard output carries results and nothing else, notices go to standard error;
//! a reader of the output that goes away ends the command in peace.

mod bench;
mod completions;
mod conformance;
mod doctor;
mod error;
mod hub_args;
mod log;
mod man;
mod publish;
mod ready;
mod subscribe;
mod terminal;
mod token;

pub use bench::{BenchCommand, bench};
pub use completions::{CompletionsArgs, completions};
pub use conformance::{ConformanceArgs, conformance};
pub use doctor::{DoctorArgs, doctor};
pub use error::CommandError;
pub use log::{LogCommand, log};
pub use man::{ManArgs, man};
pub use publish::{PublishArgs, publish};
pub use ready::{ReadyArgs, ready};
pub use subscribe::{SubscribeArgs, subscribe};
pub(crate) use terminal::printable;
pub use token::{TokenCommand, token};

/// Runs a client to its end, on this thread.
fn block_on<T>(client: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Start)?;
    runtime.block_on(client)
}
