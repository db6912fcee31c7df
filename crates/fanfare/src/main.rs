//! The `fanfare` program.

use std::process::ExitCode;

use fanfare::cli::{Cli, Command};
use fanfare::settings::Settings;

fn main() -> ExitCode {
    match Cli::read() {
        Command::Serve(flags) => match Settings::load(&flags) {
            Ok(settings) => {
                println!("{settings:#?}");
                ExitCode::SUCCESS
            }
            Err(errors) => fanfare::cli::refuse(&errors),
        },
    }
}
