//! `fanfare log`: looking at an event log's directory, with or without a hub that runs on it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use fanfare_event::Timestamp;
use fanfare_log::{LogReport, OpenError, stats, verify};

/// How many topics `stats` lists, the busiest first.
const TOPICS: usize = 20;

/// What `fanfare log` can be asked.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Read every byte and say what is damaged; exits with 1 if anything is
    Verify(Directory),
    /// Say what a log holds: segments, epochs, the busiest topics
    Stats(Directory),
}

/// The directory that `--data` names.
#[derive(Debug, Args)]
pub struct Directory {
    /// The directory given to `fanfare --data`
    #[arg(value_name = "DIR")]
    path: PathBuf,
}

/// Prints a report on standard output. A closed pipe ends it quietly.
pub fn run(command: &LogCommand) -> ExitCode {
    let (report, verifying) = match command {
        LogCommand::Verify(directory) => (verify(&directory.path), true),
        LogCommand::Stats(directory) => (stats(&directory.path), false),
    };
    match report {
        Ok(report) => {
            let _ = print(&report, verifying, &mut io::stdout().lock());
            ExitCode::from(u8::from(verifying && !report.damage.is_empty()))
        }
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &OpenError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn print(report: &LogReport, verifying: bool, out: &mut impl Write) -> io::Result<()> {
    for segment in &report.segments {
        let times = segment.times.map(|(from, to)| format!("  {} to {}", time(from), time(to)));
        let lost = match segment.lost {
            0 => String::new(),
            lost => format!("  {lost} LOST"),
        };
        writeln!(
            out,
            "segment  {:<28}  {:>9} events  {:>11} bytes{}{lost}",
            segment.file,
            segment.events - segment.lost,
            segment.bytes,
            times.unwrap_or_default(),
        )?;
    }
    if let Some(lineage) = &report.lineage {
        for end in lineage.ends() {
            writeln!(out, "epoch    {}  ended after {} events", end.epoch, end.seq)?;
        }
        writeln!(out, "epoch    {}  the latest", lineage.current())?;
    }
    if !verifying {
        let mut topics: Vec<_> = report.topics.iter().collect();
        topics.sort_by_key(|(_, events)| std::cmp::Reverse(*events));
        for (topic, events) in topics.iter().take(TOPICS) {
            writeln!(out, "topic    {topic}  {events} events")?;
        }
        if let Some(more) = topics.len().checked_sub(TOPICS).filter(|more| *more > 0) {
            writeln!(out, "topic    and {more} more")?;
        }
    }
    for damage in &report.damage {
        writeln!(out, "DAMAGED  {}  at byte {}: {}", damage.file, damage.offset, damage.what)?;
    }
    if let Some(unfinished) = &report.unfinished {
        let (file, offset) = (&unfinished.file, unfinished.offset);
        writeln!(
            out,
            "note     {file} ends in an unfinished write at byte {offset}: a hub is \
                       running or was killed; the next start removes it, nothing acknowledged \
                       is in it"
        )?;
    }
    let (events, bytes) = (report.events(), report.bytes());
    let verdict = match (verifying, report.damage.len()) {
        (true, 0) => ", no damage",
        (true, _) => ", DAMAGED",
        (false, _) => "",
    };
    writeln!(out, "{events} events, {bytes} bytes, {} topics{verdict}", report.topics.len())
}

fn time(at: Timestamp) -> String {
    i64::try_from(at.as_millis())
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| at.as_millis().to_string(), |at| format!("{at:.0}"))
}
