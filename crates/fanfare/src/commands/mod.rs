//! The subcommands beside `serve`, one file each.

pub mod log;
