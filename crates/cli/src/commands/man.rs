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
pub(crate) struct ManArgs {
    /// The command whose page is wanted
    #[arg(value_name = "COMMAND")]
    of: Vec<String>,
}

/// Renders a page for `program`, or for one of its subcommands.
pub(crate) fn man(args: &ManArgs, mut program: clap::Command) -> Result<(), CommandError> {
    program.build();
    let mut command = &program;
    for name in &args.of {
        let found = command.find_subcommand(name);
        command = found.ok_or_else(|| CommandError::NoSuchCommand(args.of.join(" ")))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let page = Man::new(command.clone().version(version)).source(format!("fanfare {version}"));
    let mut rendered = Vec::new();
    page.render(&mut rendered).map_err(CommandError::Output)?;
    let mut output = Output::new();
    output.write(|buffer| buffer.extend_from_slice(&rendered))?;
    output.flush()
}
