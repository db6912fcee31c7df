//! The `fanfare` program.

use std::process::ExitCode;

use fanfare::cli::{Cli, Command};
use fanfare::{commands, exit};

/// The leanest of those measured for many idle subscribers; see `bench/README.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::read() {
        Command::Serve(flags) => exit::code(fanfare::serve(&flags)),
        Command::Bench(plan) => fanfare_bench::execute(&plan),
        Command::Log(command) => commands::log::run(&command),
    }
}
