//! The dashboard and the alert rules ask for metrics that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::Hub;

/// Where no certificate is shown, there is none to run out.
const ONLY_OVER_TLS: &str = "fanfare_certificate_expiry_timestamp_seconds";

/// Every metric of the hub that a file mentions.
fn asked(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(file);
    let text = fs::read_to_string(path).unwrap();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !word(c)).filter(|word| word.starts_with("fanfare_"));
    words.map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_asked_for_is_there() {
    let hub = Hub::alone(&[]);
    // An engine outside is measured first.
    let metrics = hub.await_metrics("the size of the log", |now| now.has("fanfare_log_bytes"));
    for (file, least) in [("grafana/fanfare.json", 15), ("prometheus/alerts.yml", 5)] {
        let asked = asked(file);
        assert!(asked.len() >= least, "{file} asks only for {asked:?}");
        for metric in asked {
            let is_there = metrics.has(&metric) || metric == ONLY_OVER_TLS;
            assert!(is_there, "{file} asks for {metric}");
        }
    }
}

#[test]
fn every_reason_that_is_asked_for_is_there() {
    let labels = Hub::alone(&[]).metrics();
    let known: BTreeSet<_> =
        labels.labels().filter_map(|labels| labels.split('"').nth(1)).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/alerts.yml");
    let rules = fs::read_to_string(path).unwrap();
    let asked: Vec<_> = rules
        .split("reason=")
        .skip(1)
        .flat_map(|rest| rest.split('"').nth(1).unwrap().split('|'))
        .collect();
    assert!(asked.len() >= 5, "{asked:?}");
    for reason in asked {
        assert!(known.contains(reason), "no counter has the reason {reason}");
    }
}

#[test]
fn the_dashboard_is_json_with_a_query_in_every_panel() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana/fanfare.json");
    let text = fs::read_to_string(path).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(panel["targets"][0]["expr"].is_string(), "{}", panel["title"]);
    }
}
