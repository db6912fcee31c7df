//! The `fanfare` program.

use std::process::ExitCode;

use clap::CommandFactory as _;
use fanfare::cli::{Cli, Command};
use fanfare::{commands, exit};

/// The leanest of those measured for many idle subscribers; see `bench/README.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::read() {
        Command::Serve(flags) => exit::code(fanfare::serve(&flags)),
        Command::Publish(args) => exit::code(commands::publish(&args)),
        Command::Subscribe(args) => exit::code(commands::subscribe(&args)),
        Command::Token(command) => exit::code(commands::token(&command)),
        Command::Ready(args) => exit::code(commands::ready(&args)),
        Command::Doctor(args) => exit::code(commands::doctor(&args)),
        Command::Bench(command) => commands::bench(&command),
        Command::Conformance(args) => commands::conformance(&args),
        Command::Log(command) => exit::code(commands::log(&command)),
        Command::Completions(args) => exit::code(commands::completions(&args, Cli::command())),
        Command::Man(args) => exit::code(commands::man(&args, Cli::command())),
    }
}
