//! The hub is held against every check of the conformance suite, on each of its logs; and the
//! command says so where a hub fails one.

use fanfare_testkit::RedisServer;
use serde_json::Value;

use crate::support::{Ended, Hub, fanfare, json, run};

const ORIGIN: &str = "https://app.example.com";

/// Holds a hub, started for it, against all checks. It has no reason to skip one.
fn breaks_nothing(serve: &[&str]) {
    let report = tempfile::NamedTempFile::new().unwrap();
    let junit = report.path().to_str().unwrap();
    let waits = ["--timeout", "20s", "--quiet", "150ms"];
    let command = ["conformance", "--start", "--json", "--cors-origin", ORIGIN, "--junit", junit];
    let hub = ["--", "--heartbeat", "400ms", "--allow-origin", ORIGIN];
    let ended = run(&mut fanfare(&[&command[..], &waits, &hub, serve].concat()));
    let said: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let checks = said["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["verdict"] != "passed").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(checks.len() > 100, "{} checks", checks.len());
    assert_eq!(ended.code, Some(0));
    let xml = std::fs::read_to_string(report.path()).unwrap();
    assert_eq!(xml.matches("<testcase ").count(), checks.len(), "{xml}");
    assert!(xml.contains("failures=\"0\" skipped=\"0\""), "{xml}");
}

#[test]
fn no_rule_is_broken_with_the_log_in_memory() {
    breaks_nothing(&[]);
}

#[test]
fn no_rule_is_broken_with_the_log_on_disk() {
    breaks_nothing(&["--data", "{dir}/log"]);
}

#[test]
fn no_rule_is_broken_with_the_log_in_redis() {
    breaks_nothing(&["--redis", &RedisServer::start(&[]).url()]);
}

fn against(hub: &Hub, arguments: &[&str]) -> Ended {
    let command = ["conformance", &hub.url(), "--timeout", "20s"];
    run(&mut fanfare(&[&command[..], arguments].concat()))
}

#[test]
fn a_failed_must_fails_the_run() {
    let hub = Hub::start(&[]);
    let cors = ["--only", "cors/allowed-origin-may-read", "--cors-origin", ORIGIN];
    let failed = against(&hub, &cors);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for words in
        ["FAIL  MUST   cors/allowed-origin-may-read", "rule: Fetch", "seen: ", "does not conform"]
    {
        assert!(failed.stdout.contains(words), "{failed:?}");
    }
    let as_json = against(&hub, &[&cors[..], &["--json"]].concat());
    assert_eq!(as_json.code, Some(1));
    let said = &json(&as_json.stdout.replace('\n', ""))[0];
    assert_eq!(
        (said["conforms"].as_bool(), &said["checks"][0]["verdict"]),
        (Some(false), &"failed".into())
    );
    // What was asked for beside it is not what failed.
    assert_eq!(against(&hub, &["--only", "headers"]).code, Some(0));
}

#[test]
fn checks_that_were_skipped_are_named() {
    let hub = Hub::start(&[]);
    let skipped =
        against(&hub, &["--only", "shutdown/process-ends", "--only", "flush/retry-comes-first"]);
    assert_eq!(skipped.code, Some(0), "{skipped:?}");
    assert!(
        skipped.stdout.contains("skip  HUB    shutdown/process-ends  (only where"),
        "{skipped:?}"
    );
}

#[test]
fn a_run_that_was_not_made_is_an_error() {
    let hub = Hub::start(&[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "name = 'Another'\nfavourite = 'colour'").unwrap();
    let path = file.path().to_str().unwrap();
    for (arguments, said) in [
        (&["--only", "framing/no-such-check"][..], "framing/no-such-check"),
        (&["--hub", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["--hub", path], "favourite"),
        (&["--token-file", "/no/such/token"], "/no/such/token"),
    ] {
        let ended = against(&hub, arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
    for (url, said) in
        [("https://127.0.0.1:1", "raw sockets"), ("http://127.0.0.1:1", "cannot connect")]
    {
        let ended = run(&mut fanfare(&["conformance", url]));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[test]
fn every_check_is_listed_with_its_rule() {
    let listed = run(&mut fanfare(&["conformance", "--list", "--level", "must"]));
    let lines = listed.lines();
    assert!(lines.len() > 100 && lines.len().is_multiple_of(2), "{listed:?}");
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("MUST   ") && pair[1].contains(": "), "{pair:?}");
    }
}
