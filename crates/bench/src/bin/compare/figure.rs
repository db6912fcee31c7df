//! A figure that is compared: where it stands in a report, its unit, what it is held to.

use fanfare_bench::{BenchReport, format_bytes, format_count, format_time};

/// A figure of a report.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goal: Goal,
    of: fn(&BenchReport) -> Option<f64>,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
    PerSecond,
    /// Of one core.
    Share,
}

/// What the second contender's figure is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Nothing: it is there to be read.
    None,
    /// At most so many times the first one's.
    TimesAtMost(f64),
    /// At least so many times the first one's.
    TimesAtLeast(f64),
    /// At most so much.
    AtMost(f64),
}

impl Figure {
    pub(crate) const CPU_PER_DELIVERY: Self =
        Self::new("server CPU per delivery", Unit::Nanoseconds, |report| {
            report.server?.cpu_per_delivery
        });
    pub(crate) const CPU_PER_PUBLISH: Self =
        Self::new("server CPU per publish", Unit::Nanoseconds, |report| {
            report.server?.cpu_per_publish
        });
    pub(crate) const CPU_PER_CONNECT: Self =
        Self::new("server CPU per connect", Unit::Nanoseconds, |report| {
            Some(report.server?.cpu_per_connect)
        });
    pub(crate) const MEMORY_PER_SUBSCRIBER: Self =
        Self::new("resident memory per subscriber", Unit::Bytes, |report| {
            Some(report.server?.bytes_per_subscriber)
        });
    pub(crate) const DELIVERIES: Self =
        Self::new("deliveries per second", Unit::PerSecond, |report| {
            Some(report.window?.deliveries_per_second)
        });
    pub(crate) const MEDIAN_LATENCY: Self =
        Self::new("latency, p50", Unit::Nanoseconds, |report| {
            Some(report.window?.latency.p50 as f64)
        });
    pub(crate) const TAIL_LATENCY: Self = Self::new("latency, p99", Unit::Nanoseconds, |report| {
        Some(report.window?.latency.p99 as f64)
    });
    /// Near 1 where the server has one core, or it was not the server that was measured.
    pub(crate) const SERVER_LOAD: Self =
        Self::new("server load", Unit::Share, |report| Some(report.server?.cpu_load));
    /// Near 1 where it was the client that was measured.
    pub(crate) const CLIENT_LOAD: Self =
        Self::new("client load", Unit::Share, |report| Some(report.client_cpu_load));

    const fn new(name: &'static str, unit: Unit, of: fn(&BenchReport) -> Option<f64>) -> Self {
        Self { name, unit, goal: Goal::None, of }
    }

    /// The same figure with a goal.
    pub(crate) fn held_to(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    /// Its median; `None` where no report has it.
    pub(crate) fn median(&self, reports: &[BenchReport]) -> Option<f64> {
        let mut values: Vec<f64> = reports.iter().filter_map(self.of).collect();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = values[(values.len() - 1) / 2];
        Some(f64::midpoint(lower, upper))
    }
}

impl Unit {
    pub(crate) fn format(self, number: f64) -> String {
        match self {
            Self::Nanoseconds => format_time(number),
            Self::Bytes => format_bytes(number),
            Self::PerSecond => format_count(number),
            Self::Share => format!("{:.0} %", number * 1e2),
        }
    }
}

impl Goal {
    /// The goal in words, and whether it was met.
    pub(crate) fn verdict(self, unit: Unit, value: f64, ratio: Option<f64>) -> String {
        let (goal, met) = match self {
            Self::None => return "–".into(),
            Self::TimesAtMost(most) => {
                (format!("at most {most} ×"), ratio.is_some_and(|ratio| ratio <= most))
            }
            Self::TimesAtLeast(least) => {
                (format!("at least {least} ×"), ratio.is_some_and(|ratio| ratio >= least))
            }
            Self::AtMost(most) => (format!("at most {}", unit.format(most)), value <= most),
        };
        format!("{goal}: {}", if met { "met" } else { "missed" })
    }
}
