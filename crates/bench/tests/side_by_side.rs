//! `bench/compare` in small: Fanfare and the floor, both real, for a moment each.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where floor, driver and hub are built. The hub is another package's: it is built, unless it was with
/// this test.
fn binaries() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_drive")).parent().expect("it is in a folder");
    if !folder.join("fanfare").exists() {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--locked", "--package", "fanfare", "--bin", "fanfare"])
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the hub does not build");
    }
    folder.to_owned()
}

/// What the comparison of these scenarios leaves: its table and its chart.
fn compare(scenarios: &[&str]) -> (String, String) {
    let results = tempfile::tempdir().expect("a folder can be made");
    let published = results.path().join("published");
    let mut command =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/compare"));
    command.args(["--alone", "--rounds", "1", "--scale", "0.02", "--client-core", "0"]);
    command.arg("--binaries").arg(binaries());
    command.arg("--results").arg(results.path()).arg("--publish").arg(&published);
    for scenario in scenarios {
        command.args(["--only", scenario]);
    }
    let output = command.output().expect("bench/compare runs; it needs Python 3.11");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(published.join(name)).expect("it was written");
    assert!(read("side-by-side.jsonl").lines().count() > 1, "every report is kept");
    (read("side-by-side.md"), read("side-by-side.svg"))
}

/// The row of a hub in a scenario's table.
fn row<'t>(table: &'t str, scenario: &str, hub: &str) -> &'t str {
    let (_, from) = table.split_once(&format!("## {scenario}")).expect("the scenario is there");
    let start = format!("| {hub} |");
    from.lines().find(|line| line.starts_with(&start)).expect("the hub has a row")
}

#[test]
fn every_message_of_every_hub_is_accounted_for() {
    let (table, chart) = compare(&["paced", "storm", "topics", "slow"]);
    for hub in ["the floor", "Fanfare", "Fanfare, on disk", "Fanfare, TLS"] {
        let paced = row(&table, "Paced", hub);
        assert!(paced.ends_with("| all, once, in order |"), "{paced}");
        assert!(chart.contains(hub), "{hub} is in the chart");
        if hub != "the floor" {
            for scenario in ["Storm", "Topics", "Slow readers"] {
                let row = row(&table, scenario, hub);
                assert!(row.ends_with("| all, once, in order |"), "{scenario}: {row}");
            }
        }
    }
    assert!(row(&table, "Storm", "the floor").contains("does not resume"));
    assert!(row(&table, "Topics", "the floor").contains("no topics"));
    assert!(chart.starts_with("<svg") && chart.ends_with("</svg>\n"));
}
