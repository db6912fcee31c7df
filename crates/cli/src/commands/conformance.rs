//! `fanfare conformance`: the checks of `fanfare-conformance`, told which hub and how to report.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use fanfare_conformance::{
    CheckSelection, HubDescription, HubError, Level, SuiteError, SuiteSettings,
};
use fanfare_settings::parse_duration;

use super::CommandError;
use super::hub_args::TokenArgs;
use super::terminal::Output;
use crate::exit;

const EXAMPLES: &str = "\
Examples:
  The hub on this machine:
    fanfare conformance http://127.0.0.1:8000
  One that is started for it, with its log on disk, and stopped by some of the checks:
    fanfare conformance --start -- --data '{dir}/log'
  Another hub, as a file describes it, with a report for a build server:
    fanfare conformance http://127.0.0.1:8080 --hub nchan.toml --junit report.xml
  What there is to check, and by which rule; then only what is about ids:
    fanfare conformance --list
    fanfare conformance http://127.0.0.1:8000 --only ids

The checks publish to topics of their own, open a few hundred connections, some of them half, and
send requests that are wrong on purpose: not for a hub that others are using.
crates/conformance/hubs/README.md says how to describe another hub.

Exit codes:
  0  no MUST failed
  1  at least one did
  2  the run could not be made, or was asked for wrongly";

/// What `fanfare conformance` is asked.
///
/// More than 150 claims about a hub for Server-Sent Events, each put to the test over raw sockets.
/// A MUST is demanded by a standard, or without it a client is harmed; a SHOULD is recommended by
/// one, or needed by what lies between; a HUB is what good hubs do and no standard asks for.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ConformanceArgs {
    /// Address of the hub, an http:// URL
    #[arg(value_name = "URL", required_unless_present_any = ["start", "list"])]
    url: Option<String>,
    /// Start the hub by its own description's command, on a free port; for Fanfare, this program
    #[arg(long, conflicts_with_all = ["url", "list"])]
    start: bool,
    /// Arguments for the hub that is started; `{dir}` is a directory of its own
    #[arg(last = true, value_name = "ARGUMENTS", requires = "start")]
    arguments: Vec<String>,
    /// File that describes the hub [default: Fanfare]
    #[arg(long, value_name = "FILE")]
    hub: Option<PathBuf>,
    /// Name every check with its rule, and run none
    #[arg(long)]
    list: bool,
    /// Run only this check, or this area; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave out this check, or this area; may be repeated
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Run only checks of this level; may be repeated
    #[arg(long, value_name = "LEVEL")]
    level: Vec<Weight>,
    /// Check that pages of this origin are let in; the hub must allow it
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write a report in JUnit's format to this file too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    waits: Waits,
    #[command(flatten)]
    token: TokenArgs,
}

/// How long checks wait.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waiting")]
struct Waits {
    /// Wait this long for what must arrive
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    timeout: Duration,
    /// Listen this long where nothing may arrive
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = parse_duration)]
    quiet: Duration,
    /// Wait this long for a keepalive on a quiet stream
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    heartbeat: Duration,
    /// Wait this long for a started hub to answer
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    start_within: Duration,
    /// Wait this long for a stopped hub to exit
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    stop_within: Duration,
}

/// A level, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Weight {
    Must,
    Should,
    Hub,
}

/// Why no run was made.
#[derive(Debug, thiserror::Error)]
enum RunFailure {
    #[error(transparent)]
    Suite(#[from] SuiteError),
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error("cannot tell where this program is, to start it: {0}")]
    Program(std::io::Error),
    #[error("cannot write {path}: {source}")]
    Junit { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Checks a hub.
pub(crate) fn conformance(args: &ConformanceArgs) -> ExitCode {
    match checked(args) {
        Ok(conforms) => ExitCode::from(u8::from(!conforms)),
        Err(RunFailure::Command(error)) => exit::code(Err::<(), _>(error)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the checks, or lists them; whether no MUST failed.
fn checked(args: &ConformanceArgs) -> Result<bool, RunFailure> {
    let mut out = Output::new();
    let selection = args.selection();
    if args.list {
        for check in selection.checks()? {
            let (rule, says) = (check.rule, check.rule.says);
            out.line(format_args!("{:<6} {}\n       {rule}: {says}", check.level, check.name))?;
        }
        out.flush()?;
        return Ok(true);
    }
    let (hub, settings) = (args.described()?, args.settings()?);
    let mut printed = Ok(());
    let report =
        fanfare_conformance::run(&hub, args.url.as_deref(), &settings, &selection, |outcome| {
            if !args.json && printed.is_ok() {
                printed = out.line(fanfare_conformance::line(outcome)).and_then(|()| out.flush());
            }
        })?;
    printed?;
    if let Some(path) = &args.junit {
        std::fs::write(path, report.to_junit())
            .map_err(|source| RunFailure::Junit { path: path.clone(), source })?;
    }
    out.line(if args.json { report.to_json() } else { report.summary() })?;
    out.flush()?;
    Ok(report.conforms())
}

impl ConformanceArgs {
    fn selection(&self) -> CheckSelection {
        let levels = self.level.iter().map(|level| match level {
            Weight::Must => Level::Must,
            Weight::Should => Level::Should,
            Weight::Hub => Level::Hub,
        });
        CheckSelection {
            only: self.only.clone(),
            skip: self.skip.clone(),
            levels: levels.collect(),
        }
    }

    fn described(&self) -> Result<HubDescription, RunFailure> {
        let mut hub = match &self.hub {
            Some(path) => HubDescription::read(path)?,
            None => {
                HubDescription::fanfare(&std::env::current_exe().map_err(RunFailure::Program)?)?
            }
        };
        if self.cors_origin.is_some() {
            hub.allow_origin(self.cors_origin.clone());
        }
        hub.start_with(&self.arguments)?;
        Ok(hub)
    }

    fn settings(&self) -> Result<SuiteSettings, CommandError> {
        let mut headers = Vec::new();
        if let Some(token) = self.token.read()? {
            let value = token.header();
            let value = value.to_str().map(str::to_owned);
            headers.extend(value.ok().map(|value| ("Authorization".to_owned(), value)));
        }
        let waits = &self.waits;
        Ok(SuiteSettings {
            timeout: waits.timeout,
            quiet: waits.quiet,
            heartbeat: waits.heartbeat,
            start: waits.start_within,
            stop: waits.stop_within,
            headers,
        })
    }
}
