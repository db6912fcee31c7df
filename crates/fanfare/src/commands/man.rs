//! `fanfare man`: the manual page.

use clap::Args;
use clap_mangen::Man;

use super::CommandError;
use super::terminal::Output;

const WHERE: &str = "\
Read it, or install it:
  fanfare man | man -l -
  fanfare man > ~/.local/share/man/man1/fanfare.1
  fanfare man publish > ~/.local/share/man/man1/fanfare-publish.1";

/// What `fanfare man` is asked.
#[derive(Debug, Args)]
#[command(after_help = WHERE)]
pub struct ManArgs {
    /// The command whose page is wanted
    #[arg(value_name = "COMMAND")]
    of: Option<String>,
}

/// Renders a page for `command`, or for one of its subcommands.
pub fn man(args: &ManArgs, command: clap::Command) -> Result<(), CommandError> {
    let mut command = command;
    command.build();
    let command = match &args.of {
        None => command,
        Some(name) => command
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| CommandError::NoSuchCommand(name.clone()))?,
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(CommandError::Output)?;
    let mut output = Output::new();
    output.write(|buffer| buffer.extend_from_slice(&page))?;
    output.flush()
}
