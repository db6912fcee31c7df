//! `fanfare completions`: a script that completes the command line in a shell.

use clap::Args;
use clap_complete::Shell;

use super::CommandError;
use super::terminal::Output;

const WHERE: &str = "\
Install it where the shell looks, for example:
  fanfare completions bash > ~/.local/share/bash-completion/completions/fanfare
  fanfare completions zsh > ~/.zfunc/_fanfare
  fanfare completions fish > ~/.config/fish/completions/fanfare.fish";

/// What `fanfare completions` is asked.
#[derive(Debug, Args)]
#[command(after_help = WHERE)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script for `command`.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut command: clap::Command,
) -> Result<(), CommandError> {
    let mut output = Output::new();
    output.write(|buffer| clap_complete::generate(args.shell, &mut command, "fanfare", buffer))?;
    output.flush()
}
