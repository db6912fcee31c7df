//! The command line: the subcommands, the words of `--help`, and the exit codes.
//!
//! A subcommand is one variant of [`CliCommand`]. `serve` is meant where none is named, so its flags
//! also stand at the top. The flags themselves are not here: the table of settings declares them.
//! How a hub is served is not known here: whoever calls [`run`] says that.

mod commands;
mod exit;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use fanfare_settings::Flags;

#[cfg(feature = "tools")]
use commands::{BenchCommand, ConformanceArgs};
pub use commands::{CommandError, TokenFault};
use commands::{
    CompletionsArgs, DoctorArgs, LogCommand, ManArgs, PublishArgs, ReadyArgs, SubscribeArgs,
    TokenCommand, UpgradeArgs,
};
pub use exit::Failure;

const START: &str = "\
A hub for Server-Sent Events: a backend sends one HTTP request, and every
subscribed browser or program gets the event live, or later exactly what it missed.

Start:
  1. fanfare
  2. open http://127.0.0.1:8000/sse/ in a browser
  3. curl -X POST http://127.0.0.1:8000/sse/send \\
       -H 'Content-Type: application/json' -d '{\"message\": \"Hello from server!\"}'";

const SETTINGS: &str = "\
Settings:
  Every flag of `serve` is also an environment variable and a key of fanfare.toml:
  --retain-age 7d is FANFARE_RETAIN_AGE=7d and retain_age = \"7d\". A flag wins over the
  environment, the environment over the file. An empty variable counts as absent. Where
  a flag may be repeated, a variable separates its values with commas; the file has an array.

  Durations are a number and a unit: 250ms, 15s, 5m, 24h, 7d.
  Sizes are bytes, or a number and a unit: 512, 64KiB, 1MiB (1024 * 1024), 1MB (1000 * 1000).

Examples:
  Listen on every interface; publish with a key, and let everyone subscribe:
    fanfare --listen 0.0.0.0:8000 --publish-key-file key.txt --anonymous-subscribe '**'
  Let in who holds a token, and the pages of one site:
    fanfare --listen 0.0.0.0:8000 --jwt-public-key id.pem --allow-origin https://app.example.com
  Keep a week of history, at most a gigabyte of it:
    fanfare --retain-age 7d --retain-bytes 1GB --retain-count 10_000_000
  Behind a proxy that closes idle connections after ten seconds:
    fanfare --heartbeat 8s
  The same from a file:
    echo 'heartbeat = \"8s\"' > fanfare.toml && fanfare";

/// A hub for Server-Sent Events
#[derive(Debug, Parser)]
#[command(
    name = "fanfare",
    version,
    long_about = START,
    after_help = "`fanfare --help` says more: units, environment variables, examples.",
    after_long_help = SETTINGS,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    serve: Flags,
}

/// What `fanfare` can be asked to do.
#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the hub; the default command
    #[command(after_long_help = SETTINGS)]
    Serve(Flags),
    /// Publish a message, or standard input line by line
    Publish(PublishArgs),
    /// Print events as they arrive, or run a command for each
    Subscribe(SubscribeArgs),
    /// Mint a token that grants topics, or say what one grants
    #[command(subcommand)]
    Token(TokenCommand),
    /// Have a running hub hand its connections to a new process, and end
    Upgrade(UpgradeArgs),
    /// Ask whether a hub is ready, for health checks that run a command
    Ready(ReadyArgs),
    /// Find what stands between a hub and its subscribers: limits, proxies, lost headers
    Doctor(DoctorArgs),
    #[cfg(feature = "tools")]
    /// Measure a running hub: deliveries, latency, and for a local one CPU and memory
    Bench(BenchCommand),
    #[cfg(feature = "tools")]
    /// Test a hub, this one or another, against the standards and the needs of its clients
    Conformance(ConformanceArgs),
    /// Look at the event log in a directory: verify it, or say what it holds
    #[command(subcommand)]
    Log(LogCommand),
    /// Print a script that completes this command line in a shell
    Completions(CompletionsArgs),
    /// Print the manual page of the program, or of one command
    Man(ManArgs),
}

/// Does what the process's arguments ask for; `serve` runs a hub. Ends the process where they ask
/// only for help or the version (exit code 0), or are mistaken (2).
pub fn run(serve: impl FnOnce(&Flags) -> Result<(), Failure>) -> ExitCode {
    match Cli::parse().into_command() {
        CliCommand::Serve(flags) => exit::code(serve(&flags)),
        CliCommand::Publish(args) => exit::code(commands::publish(&args)),
        CliCommand::Subscribe(args) => exit::code(commands::subscribe(&args)),
        CliCommand::Token(command) => exit::code(commands::token(&command)),
        CliCommand::Upgrade(args) => exit::code(commands::upgrade(&args)),
        CliCommand::Ready(args) => exit::code(commands::ready(&args)),
        CliCommand::Doctor(args) => exit::code(commands::doctor(&args)),
        #[cfg(feature = "tools")]
        CliCommand::Bench(command) => commands::bench(&command),
        #[cfg(feature = "tools")]
        CliCommand::Conformance(args) => commands::conformance(&args),
        CliCommand::Log(command) => exit::code(commands::log(&command)),
        CliCommand::Completions(args) => exit::code(commands::completions(&args, Cli::command())),
        CliCommand::Man(args) => exit::code(commands::man(&args, Cli::command())),
    }
}

impl Cli {
    fn into_command(self) -> CliCommand {
        self.command.unwrap_or(CliCommand::Serve(self.serve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        for arguments in [&["fanfare", "--shards", "3"][..], &["fanfare", "serve", "--shards", "3"]]
        {
            let command = Cli::try_parse_from(arguments).unwrap().into_command();
            let CliCommand::Serve(flags) = command else { panic!("{command:?}") };
            assert_eq!(flags.given("shards"), Some(&["3".to_owned()][..]));
        }
    }

    #[test]
    fn flags_before_a_subcommand_are_refused() {
        assert!(Cli::try_parse_from(["fanfare", "--shards", "3", "serve"]).is_err());
    }
}
