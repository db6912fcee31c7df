//! `fanfare bench` on the command line.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::plan::{Authorization, BenchPlan, Load, Protocol};
use crate::progress::ProgressLine;
use crate::run::run;
use crate::target::Target;

/// How to drive a hub. Which one, whoever flattens this into a command knows.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Publish at this node, where it is another of the same hub
    #[arg(long, value_name = "URL")]
    publish_url: Option<Target>,
    /// The protocol to subscribe and publish in
    #[arg(long, value_enum, default_value_t, value_name = "DIALECT")]
    dialect: Protocol,
    /// How many connections subscribe
    #[arg(long, short, default_value_t = 1000, value_name = "N")]
    subscribers: u32,
    /// Messages published per second, however fast the server is; latency counts from when a
    /// message was due
    #[arg(long, short, default_value_t = 50.0, value_name = "MESSAGES/S")]
    rate: f64,
    /// Publish as fast as the server takes it
    #[arg(long, short, conflicts_with = "rate")]
    unpaced: bool,
    /// Publish nothing: connect, hold for --duration, measure what that costs
    #[arg(long, conflicts_with_all = ["rate", "unpaced"])]
    idle: bool,
    /// How many messages may be on their way when unpaced, 0 for any number
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    in_flight: u64,
    /// The size of a message, in bytes
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    size: usize,
    /// How many topics are published to in turn, spread evenly over the subscribers
    #[arg(long, default_value_t = 1, value_name = "N")]
    topics: u32,
    /// Ask for messages at most this often, in milliseconds, several at a time
    #[arg(long, value_name = "MS")]
    interval: Option<u16>,
    /// How many connections publish
    #[arg(long, default_value_t = 1, value_name = "N")]
    publishers: u32,
    /// How many messages one request carries
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: usize,
    /// Publish in one request that goes on, --batch lines at a time, and read its answer meanwhile
    #[arg(long)]
    publish_stream: bool,
    /// How long to measure: 10, 10s, 500ms, 2m
    #[arg(long, short, default_value = "10s", value_parser = duration, value_name = "TIME")]
    duration: Duration,
    /// How long to publish before measuring
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "TIME")]
    warmup: Duration,
    /// The process of a local server, to measure its CPU time and memory
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    /// The plan that was asked for, at the hub with this page. `authorization` is what to show it.
    pub fn plan(&self, url: Target, authorization: Option<String>) -> BenchPlan {
        let load = match (self.idle, self.unpaced) {
            (true, _) => Load::Idle,
            (_, true) => Load::Unpaced { in_flight: self.in_flight },
            _ => Load::Paced { rate: self.rate },
        };
        BenchPlan {
            url,
            publish_url: self.publish_url.clone(),
            authorization: authorization.map(Authorization::new),
            subscribers: self.subscribers,
            dialect: self.dialect,
            load,
            size: self.size,
            topics: self.topics,
            interval: self.interval,
            slow: 0,
            requests: None,
            publishers: self.publishers,
            batch: self.batch,
            publish_stream: self.publish_stream,
            warmup: self.warmup,
            duration: self.duration,
            pid: self.pid,
        }
    }
}

/// Runs what was asked for: progress and errors go to standard error, the report to standard
/// output. The exit code is 1 if messages were lost, duplicated or reordered, and 2 if the run
/// could not be made.
pub fn execute(args: &BenchArgs, url: Target, authorization: Option<String>) -> ExitCode {
    let mut line = ProgressLine::new();
    let result = run(&args.plan(url, authorization), &mut |progress| line.show(progress));
    drop(line);
    match result {
        Ok(report) => {
            if args.json {
                println!("{}", report.to_json());
            } else {
                print!("{report}");
            }
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// A length of time: a number and `ms`, `s` (or nothing) or `m`.
fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        unit => return Err(format!("unknown unit {unit:?}: use ms, s or m")),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: BenchArgs,
    }

    pub(crate) fn plan(line: &str) -> Result<BenchPlan, clap::Error> {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        let url = "http://127.0.0.1:8000/sse/".parse().unwrap();
        Command::try_parse_from(words).map(|command| command.args.plan(url, None))
    }

    #[test]
    fn loads_exclude_each_other() {
        assert_eq!(plan("").unwrap().load, Load::Paced { rate: 50.0 });
        assert_eq!(plan("--rate 2.5").unwrap().load, Load::Paced { rate: 2.5 });
        assert_eq!(plan("--unpaced").unwrap().load, Load::Unpaced { in_flight: 10_000 });
        assert_eq!(plan("--idle").unwrap().load, Load::Idle);
        assert!(plan("--idle --unpaced").is_err());
        assert!(plan("--rate 5 --unpaced").is_err());
    }

    #[test]
    fn what_cannot_be_done_is_refused_before_anything_is_connected() {
        for line in [
            "--subscribers 0",
            "--rate 0",
            "--rate NaN",
            "--size 42",
            "--topics 0",
            "--subscribers 10 --topics 2561",
            "--publishers 257",
            "--batch 0",
            "--dialect mercure --batch 2",
            "--dialect mercure --publish-stream",
            "--duration 0",
        ] {
            assert!(plan(line).unwrap().check().is_err(), "{line}");
        }
        assert!(plan("--subscribers 10 --topics 2560 --size 43").unwrap().check().is_ok());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("2h").is_err());
        assert!(duration("-1").is_err());
        assert!(duration("s").is_err());
    }
}
