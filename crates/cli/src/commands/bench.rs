//! `fanfare bench`: the load driver, told which hub, as every client is.

use std::process::ExitCode;

use clap::Args;
use fanfare_bench::{BenchArgs, Target};

use super::CommandError;
use super::hub_args::HubArgs;
use crate::exit;

const EXAMPLES: &str = "\
Examples:
  What a hub on this machine takes for 5,000 subscribers and 200 messages a second:
    fanfare bench -s 5000 -r 200 --pid \"$(pidof fanfare)\"
  How much it delivers at most, as JSON:
    fanfare bench --unpaced --json | jq .window.deliveries_per_second
  One that asks for a token good for the topic `default`, or for `bench/*` with --topics:
    FANFARE_TOKEN=\"$(cat token)\" fanfare bench --url http://10.0.0.5:8000

Exit codes:
  0  every message arrived, once and in order
  1  some were lost, duplicated or reordered
  2  the run could not be made, or was asked for wrongly";

/// What `fanfare bench` is asked.
///
/// Subscribers connect, messages are published, and every message is checked for having arrived
/// once and in order. With --pid, the CPU time and the memory of a local hub are measured too.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BenchCommand {
    #[command(flatten)]
    load: BenchArgs,
    #[command(flatten)]
    hub: HubArgs,
}

/// Measures a hub.
pub(crate) fn bench(command: &BenchCommand) -> ExitCode {
    match whom(&command.hub) {
        Ok((target, authorization)) => fanfare_bench::execute(&command.load, target, authorization),
        Err(error) => exit::code(Err::<(), _>(error)),
    }
}

/// Which hub, and what to show it.
fn whom(hub: &HubArgs) -> Result<(Target, Option<String>), CommandError> {
    let url = hub.url()?;
    if url.is_encrypted() {
        return Err(CommandError::Flags(
            "bench speaks plain HTTP: give it the hub's own http:// address, behind the TLS proxy",
        ));
    }
    let target = url.to_string().parse();
    let target = target.map_err(|_| CommandError::Flags("bench cannot make sense of the URL"))?;
    let header = hub.token()?.map(|token| token.header());
    Ok((target, header.and_then(|value| value.to_str().map(str::to_owned).ok())))
}
