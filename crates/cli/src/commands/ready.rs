//! `fanfare ready`: the answer of `/readyz` as an exit code, for images that hold no other client.

use std::time::Duration;

use clap::Args;
use fanfare_client::{Client, Deadlines};
use fanfare_settings::parse_duration;

use super::CommandError;
use super::client_runtime::block_on;
use super::hub_args::HubArgs;
use super::terminal::Output;
use crate::exit::CODES;

/// Which hub `fanfare ready` asks.
#[derive(Debug, Args)]
#[command(after_long_help = CODES)]
pub(crate) struct ReadyArgs {
    /// Count a hub that has not answered by then as not ready
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration)]
    within: Duration,
    #[command(flatten)]
    hub: HubArgs,
}

/// Asks once; fails where the hub is not ready, and says why.
pub(crate) fn ready(args: &ReadyArgs) -> Result<(), CommandError> {
    let deadlines = Deadlines { connect: args.within, answer: args.within };
    let client = Client::new(args.hub.url()?, args.hub.token()?, deadlines)?;
    block_on(async { client.ready().await.map_err(CommandError::NotReady) })?;
    let mut out = Output::new();
    out.line("ready")?;
    out.flush()
}
