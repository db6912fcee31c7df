//! The subcommands beside `serve`: clients of a hub, and those that look at a log or print something
//! about the program.
//!
//! What must hold: standard output carries results and nothing else, notices go to standard error;
//! a reader of the output that goes away ends the command in peace.

#[cfg(feature = "tools")]
mod bench;
mod client_runtime;
mod completions;
#[cfg(feature = "tools")]
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
mod token_fault;
mod upgrade;

#[cfg(feature = "tools")]
pub(crate) use bench::{BenchCommand, bench};
pub(crate) use completions::{CompletionsArgs, completions};
#[cfg(feature = "tools")]
pub(crate) use conformance::{ConformanceArgs, conformance};
pub(crate) use doctor::{DoctorArgs, doctor};
pub use error::CommandError;
pub(crate) use log::{LogCommand, log};
pub(crate) use man::{ManArgs, man};
pub(crate) use publish::{PublishArgs, publish};
pub(crate) use ready::{ReadyArgs, ready};
pub(crate) use subscribe::{SubscribeArgs, subscribe};
pub(crate) use token::{TokenCommand, token};
pub use token_fault::TokenFault;
pub(crate) use upgrade::{UpgradeArgs, upgrade};
