//! `fanfare bench` without the hub: `cargo run --release -p fanfare-bench --example bench -- --help`.

use std::process::ExitCode;

use clap::Parser;
use fanfare_bench::{BenchArgs, execute};

#[derive(Parser)]
#[command(name = "bench")]
struct Command {
    #[command(flatten)]
    args: BenchArgs,
}

fn main() -> ExitCode {
    execute(&Command::parse().args)
}
