//! What a run found, as text to read and as JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::plan::{BenchPlan, Load};

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// What was asked for.
    pub plan: BenchPlan,
    /// How long connecting all subscribers took, in seconds.
    pub connect_seconds: f64,
    /// CPU time of the client itself per second while it was measured: close to 1, if it has one
    /// core, it may be the client that was measured.
    pub client_cpu_load: f64,
    /// What went through while it was measured; `None` where nothing was published.
    pub window: Option<MeasuredWindow>,
    /// What was wrong with the messages of the whole run.
    pub violations: Violations,
    /// What the server used; `None` where its process was not named.
    pub server: Option<ServerUsage>,
}

/// What went through between the end of the warm-up and the end of publishing.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MeasuredWindow {
    /// How long it was, in seconds.
    pub seconds: f64,
    /// Messages the server acknowledged.
    pub published: u64,
    /// Messages that arrived at subscribers.
    pub deliveries: u64,
    /// Bytes that arrived, framing included.
    pub bytes: u64,
    /// Messages acknowledged per second.
    pub publishes_per_second: f64,
    /// Messages that arrived per second.
    pub deliveries_per_second: f64,
    /// Bytes that arrived per second.
    pub bytes_per_second: f64,
    /// From when a message was due (paced) or sent (unpaced) until a subscriber had it.
    pub latency: Latency,
}

/// Quantiles of the latency, in nanoseconds; 0 where nothing arrived.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
}

/// What was wrong with the messages, in messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Violations {
    /// Sent, and never arrived.
    pub lost: u64,
    /// Arrived more than once: the times beyond the first.
    pub duplicated: u64,
    /// Arrived after a later one.
    pub reordered: u64,
    /// Arrived at a subscriber of other topics.
    pub misrouted: u64,
    /// Arrived with another length than they were sent with.
    pub damaged: u64,
    /// Streams that the server closed, where the run goes on without them.
    pub ended: u64,
    /// `data` lines that this run did not send: another publisher's, or the hub's own. A violation
    /// of nothing, but the measurement was not undisturbed.
    pub foreign: u64,
}

/// What the server's process used.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerUsage {
    /// Resident memory before anything connected, in bytes.
    pub resident_before: u64,
    /// Resident memory with every subscriber connected and nothing published, in bytes.
    pub resident_idle: u64,
    /// Resident memory at the end of publishing, in bytes, while slow readers still hold it up.
    pub resident_loaded: u64,
    /// Resident memory at the end, in bytes.
    pub resident_end: u64,
    /// What each idle subscriber adds to the resident memory, in bytes.
    pub bytes_per_subscriber: f64,
    /// CPU time for connecting one subscriber, in nanoseconds.
    pub cpu_per_connect: f64,
    /// CPU time while it was measured, or while idle subscribers were held, in seconds.
    pub cpu_seconds: f64,
    /// The same per second: 1 is a busy core.
    pub cpu_load: f64,
    /// CPU time per delivery, in nanoseconds.
    pub cpu_per_delivery: Option<f64>,
    /// CPU time per message published, in nanoseconds.
    pub cpu_per_publish: Option<f64>,
}

impl BenchReport {
    /// Whether every message arrived where it belongs, once, whole and in order.
    pub fn is_clean(&self) -> bool {
        Violations { foreign: 0, ..self.violations } == Violations::default()
    }

    /// The report as one line of JSON. Times are in nanoseconds unless their name says seconds.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report holds numbers and plain names only")
    }
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BenchPlan { subscribers, topics, size, batch, publishers, .. } = self.plan;
        let load = match self.plan.load {
            Load::Idle => format!("idle, held for {}", seconds(self.plan.duration)),
            Load::Paced { rate } => format!("paced at {}/s", format_count(rate)),
            Load::Unpaced { .. } => "unpaced".into(),
        };
        let row =
            |f: &mut fmt::Formatter<'_>, name: &str, text: String| writeln!(f, "{name:<14}{text}");
        row(
            f,
            "subscribers",
            format!(
                "{} on {}, connected in {:.2} s",
                format_count(subscribers.into()),
                plural(topics.into(), "topic"),
                self.connect_seconds
            ),
        )?;
        row(f, "load", load)?;
        if let Some(window) = &self.window {
            row(
                f,
                "messages",
                format!(
                    "{size} bytes, {} a request, {}",
                    format_count(batch as f64),
                    plural(publishers.into(), "publisher")
                ),
            )?;
            row(
                f,
                "published",
                format!(
                    "{} in {:.1} s: {}/s",
                    format_count(window.published as f64),
                    window.seconds,
                    format_count(window.publishes_per_second)
                ),
            )?;
            row(
                f,
                "delivered",
                format!(
                    "{}: {}/s, {:.1} MB/s",
                    format_count(window.deliveries as f64),
                    format_count(window.deliveries_per_second),
                    window.bytes_per_second / 1e6
                ),
            )?;
            let Latency { p50, p90, p99, p99_9, max } = window.latency;
            row(
                f,
                "latency",
                format!(
                    "p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
                    format_time(p50 as f64),
                    format_time(p90 as f64),
                    format_time(p99 as f64),
                    format_time(p99_9 as f64),
                    format_time(max as f64)
                ),
            )?;
            let Violations { lost, duplicated, reordered, misrouted, damaged, ended, foreign } =
                self.violations;
            row(f, "checked", {
                let mut text =
                    format!("lost {lost}   duplicated {duplicated}   reordered {reordered}");
                let rare = [
                    ("misrouted", misrouted),
                    ("damaged", damaged),
                    ("streams ended", ended),
                    ("foreign", foreign),
                ];
                for (name, number) in rare {
                    if number > 0 {
                        text += &format!("   {name} {number}");
                    }
                }
                text
            })?;
        }
        row(f, "client CPU", format!("{:.1} % of a core", self.client_cpu_load * 1e2))?;
        let Some(server) = &self.server else { return Ok(()) };
        let mut cpu =
            format!("{:.2} s, {:.1} % of a core", server.cpu_seconds, server.cpu_load * 1e2);
        for (each, used) in
            [("delivery", server.cpu_per_delivery), ("publish", server.cpu_per_publish)]
        {
            if let Some(used) = used {
                cpu += &format!(", {} per {each}", format_time(used));
            }
        }
        row(
            f,
            "server CPU",
            format!("{cpu}, {} per connect", format_time(server.cpu_per_connect)),
        )?;
        row(
            f,
            "server memory",
            format!(
                "{} before, {} idle ({} per subscriber), {} at the end",
                format_bytes(server.resident_before as f64),
                format_bytes(server.resident_idle as f64),
                format_bytes(server.bytes_per_subscriber),
                format_bytes(server.resident_end as f64)
            ),
        )
    }
}

/// A number with its thousands apart; with a decimal where it is small and has one.
pub fn format_count(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that suits them.
pub fn format_time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// Bytes in the unit that suits them.
pub fn format_bytes(number: f64) -> String {
    match number.abs() {
        n if n < 1024.0 => format!("{number:.0} B"),
        n if n < 1024.0 * 1024.0 => format!("{:.1} KiB", number / 1024.0),
        _ => format!("{:.1} MiB", number / (1024.0 * 1024.0)),
    }
}

fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", format_count(number as f64))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(format_count(0.0), "0");
        assert_eq!(format_count(2.5), "2.5");
        assert_eq!(format_count(999.6), "1,000");
        assert_eq!(format_count(1_234_567.0), "1,234,567");
        assert_eq!(format_time(999.0), "999 ns");
        assert_eq!(format_time(3_700.0), "3.70 µs");
        assert_eq!(format_bytes(-2048.0), "-2.0 KiB");
        assert_eq!(plural(1, "topic"), "1 topic");
    }

    #[test]
    fn a_foreign_message_is_no_violation_and_a_lost_one_is() {
        let plan = crate::args::tests::plan("").unwrap();
        let mut report = BenchReport {
            plan,
            connect_seconds: 0.1,
            client_cpu_load: 0.5,
            window: None,
            violations: Violations { foreign: 3, ..Violations::default() },
            server: None,
        };
        assert!(report.is_clean());
        report.violations.lost = 1;
        assert!(!report.is_clean());
        assert!(report.to_json().contains("\"lost\":1"));
    }
}
