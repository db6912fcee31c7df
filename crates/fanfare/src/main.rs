//! The `fanfare` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    fanfare_cli::run(|flags| Ok(fanfare::serve(flags)?))
}
