//! `fanfare log`: looking at an event log's directory, with or without a hub that runs on it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fanfare_disk::{LogReport, stats, verify};

use super::CommandError;
use super::terminal::Output;

/// How many topics `stats` lists, the busiest first.
const TOPICS: usize = 20;

/// What `fanfare log` can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Read every byte and say what is damaged; exits with 1 if anything is
    Verify(LogDirectory),
    /// Say what a log holds: segments, epochs, the busiest topics
    Stats(LogDirectory),
}

/// The directory that `--data` names.
#[derive(Debug, Args)]
pub(crate) struct LogDirectory {
    /// The directory given to `fanfare --data`
    #[arg(value_name = "DIR")]
    path: PathBuf,
}

/// Prints a report on standard output.
pub(crate) fn log(command: &LogCommand) -> Result<(), CommandError> {
    let (report, verifying) = match command {
        LogCommand::Verify(directory) => (verify(&directory.path)?, true),
        LogCommand::Stats(directory) => (stats(&directory.path)?, false),
    };
    let mut output = Output::new();
    let printed = print(&report, verifying, &mut output).and_then(|()| output.flush());
    // A reader that has seen enough has not seen that all is well.
    match printed {
        Err(error) if error.exit_code() != 0 => Err(error),
        _ if verifying && !report.damage.is_empty() => Err(CommandError::Reported),
        printed => printed,
    }
}

fn print(report: &LogReport, verifying: bool, out: &mut Output) -> Result<(), CommandError> {
    for segment in &report.segments {
        let times = segment.times.map(|(from, to)| format!("  {from} to {to}"));
        let lost = match segment.lost {
            0 => String::new(),
            lost => format!("  {lost} LOST"),
        };
        out.line(format_args!(
            "segment  {:<28}  {:>9} events  {:>11} bytes{}{lost}",
            segment.file,
            segment.events - segment.lost,
            segment.bytes,
            times.unwrap_or_default(),
        ))?;
    }
    if let Some(lineage) = &report.lineage {
        for ended in lineage.ends() {
            let end = ended.end;
            let lost = if ended.lossy { ", acknowledged events were LOST behind them" } else { "" };
            out.line(format_args!("epoch    {}  ended after {} events{lost}", end.epoch, end.seq))?;
        }
        out.line(format_args!("epoch    {}  the latest", lineage.current()))?;
    }
    if !verifying {
        let mut topics: Vec<_> = report.topics.iter().collect();
        topics.sort_by_key(|(_, events)| std::cmp::Reverse(*events));
        for (topic, events) in topics.iter().take(TOPICS) {
            out.line(format_args!("topic    {topic}  {events} events"))?;
        }
        if let Some(more) = topics.len().checked_sub(TOPICS).filter(|more| *more > 0) {
            out.line(format_args!("topic    and {more} more"))?;
        }
    }
    for damage in &report.damage {
        out.line(format_args!(
            "DAMAGED  {}  at byte {}: {}",
            damage.file, damage.offset, damage.what
        ))?;
    }
    if let Some(unfinished) = &report.unfinished {
        let (file, offset) = (&unfinished.file, unfinished.offset);
        let worth = if report.may_lose { "" } else { ", nothing acknowledged is in it" };
        out.line(format_args!(
            "note     {file} ends in an unfinished write at byte {offset}: a hub is \
                       running or was killed; the next start removes it{worth}"
        ))?;
    }
    if report.may_lose {
        out.line(format_args!(
            "note     the machine stopped before all that was acknowledged was on disk: the next \
                       start tells those who have not read to the end of a loss"
        ))?;
    }
    if report.keys > 0 {
        let keys = report.keys;
        out.line(format_args!("keys     {keys} idempotency keys of events that were trimmed"))?;
    }
    let (events, bytes) = (report.events(), report.bytes());
    let verdict = match (verifying, report.damage.len()) {
        (true, 0) => ", no damage",
        (true, _) => ", DAMAGED",
        (false, _) => "",
    };
    out.line(format_args!(
        "{events} events, {bytes} bytes, {} topics{verdict}",
        report.topics.len()
    ))
}
