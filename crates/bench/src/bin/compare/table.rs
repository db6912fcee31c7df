//! The medians, as a table in Markdown that can also be read as it is.

use std::fmt;

use fanfare_bench::BenchReport;

use crate::scenario::Scenario;

const HEADINGS: [&str; 7] = ["scenario", "figure", "against", "is", "fanfare", "ratio", "target"];

/// Rows of cells.
pub(crate) struct TextTable(Vec<[String; HEADINGS.len()]>);

impl TextTable {
    pub(crate) fn new() -> Self {
        Self(vec![HEADINGS.map(str::to_owned)])
    }

    /// Adds what the two contenders' reports say.
    pub(crate) fn add(
        &mut self,
        scenario: Scenario,
        names: [&str; 2],
        reports: &[Vec<BenchReport>; 2],
    ) {
        for figure in scenario.figures() {
            let medians = reports.each_ref().map(|reports| figure.median(reports));
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

impl fmt::Display for TextTable {
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
