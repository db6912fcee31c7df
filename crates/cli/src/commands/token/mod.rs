//! `fanfare token`: tokens that say what their holder may publish and subscribe to, as JSON Web
//! Tokens (RFC 7519) with a claim of Fanfare's own:
//! `{"fanfare": {"publish": ["orders/*"], "subscribe": ["orders/**"], "admin": true}}`.

mod inspect;
mod key;
mod mint;

use clap::Subcommand;

use self::inspect::{InspectArgs, inspect};
use self::mint::{MintArgs, mint};
use super::CommandError;

/// What `fanfare token` can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print a new token
    Mint(MintArgs),
    /// Print what a token says; with a key, check its signature too
    Inspect(InspectArgs),
}

/// Does what was asked for.
pub(crate) fn token(command: &TokenCommand) -> Result<(), CommandError> {
    match command {
        TokenCommand::Mint(args) => mint(args),
        TokenCommand::Inspect(args) => inspect(args),
    }
}
