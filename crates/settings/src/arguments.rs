//! The arguments of the command line: how it is described to clap, and how the flags are taken from it.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::Flags;
use crate::setting::Setting;
use crate::table::TABLE;

const CONFIG: &str = "config";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Read settings from this file [default: fanfare.toml, if there is one]")
            .long_help(
                "Read settings from this file\n\
                 [default: fanfare.toml in the working directory, if there is one] \
                 [env: FANFARE_CONFIG]",
            );
        command.arg(config).args(TABLE.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG) {
            self.config = Some(path.clone());
        }
        for setting in TABLE {
            if let Some(texts) = matches.get_many::<String>(setting.name) {
                self.given.insert(setting.name, texts.cloned().collect());
            }
        }
        Ok(())
    }
}

fn argument(setting: &Setting) -> Arg {
    let argument = Arg::new(setting.name)
        .long(setting.flag())
        .value_name(setting.placeholder)
        .help_heading(setting.heading)
        .help(setting.short_help())
        .long_help(setting.long_help())
        .action(if setting.repeatable { ArgAction::Append } else { ArgAction::Set });
    if setting.switch {
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        argument
    }
}
