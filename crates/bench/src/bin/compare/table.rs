//! The medians, as a table in Markdown that can also be read as it is.

use std::fmt;

use fanfare_bench::{Report, format_bytes, format_count, format_time};

use crate::scenario::{Figure, Goal, Scenario, Unit};

const HEADINGS: [&str; 7] = ["scenario", "figure", "against", "is", "fanfare", "ratio", "target"];

/// Rows of cells.
pub(crate) struct Table(Vec<[String; HEADINGS.len()]>);

impl Table {
    pub(crate) fn new() -> Self {
        Self(vec![HEADINGS.map(str::to_owned)])
    }

    /// Adds what the two contenders' reports say.
    pub(crate) fn add(&mut self, scenario: Scenario, names: [&str; 2], reports: &[Vec<Report>; 2]) {
        for figure in scenario.figures() {
            let medians = reports.each_ref().map(|reports| median(figure, reports));
            let [Some(first), Some(second)] = medians else { continue };
            let ratio = (first.abs() > f64::EPSILON).then(|| second / first);
            self.0.push([
                scenario.name().to_owned(),
                figure.name.to_owned(),
                names[0].to_owned(),
                figure.unit.format(first),
                figure.unit.format(second),
                ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")),
                figure.goal.verdict(figure.unit, second, ratio),
            ]);
        }
    }
}

impl Unit {
    fn format(self, number: f64) -> String {
        match self {
            Self::Nanoseconds => format_time(number),
            Self::Bytes => format_bytes(number),
            Self::PerSecond => format_count(number),
        }
    }
}

impl Goal {
    /// The goal in words, and whether it was met.
    fn verdict(self, unit: Unit, value: f64, ratio: Option<f64>) -> String {
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

/// The median of a figure; `None` where no report has it.
fn median(figure: &Figure, reports: &[Report]) -> Option<f64> {
    let mut values: Vec<f64> = reports.iter().filter_map(figure.of).collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; HEADINGS.len()];
        for row in &self.0 {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (number, row) in self.0.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:<width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                for width in widths {
                    write!(f, "|{:-<1$}", "", width + 2)?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}
