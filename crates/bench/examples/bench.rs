//! `fanfare bench` without the hub: `cargo run --release -p fanfare-bench --example bench -- --help`.

use std::process::ExitCode;

use clap::Parser;
use fanfare_bench::{BenchArgs, Target, execute};

#[derive(Parser)]
#[command(name = "bench")]
struct Command {
    #[command(flatten)]
    args: BenchArgs,
    /// The hub's page
    #[arg(long, default_value = "http://127.0.0.1:8000/sse/")]
    url: Target,
}

fn main() -> ExitCode {
    let Command { args, url } = Command::parse();
    execute(&args, url, None)
}
