//! The suite itself, put to the test: a little hub without a flaw passes every check, and for every
//! check there is a flaw with which it fails. A check that cannot fail says nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod flaws;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use fanfare_conformance::{CheckSelection, HubDescription, SuiteSettings, Verdict, all, run};

use flaws::{ORIGIN, Served, TABLE};

/// As it describes itself; the command is this very test, which then is the hub.
fn described(flaw: &str) -> HubDescription {
    let program = std::env::current_exe().unwrap();
    let text = format!(
        r#"
        name = "A little hub"
        own_events = "hub."

        [publish]
        url = "/send"
        headers = {{ Content-Type = "application/json" }}
        body = '{{"topic":{{topic:json}},"message":{{message:json}}}}'
        typed_body = '{{"topic":{{topic:json}},"event":{{event:json}},"message":{{message:json}}}}'
        id = "/id"
        json = true
        idempotency_header = "Idempotency-Key"
        largest_body = {largest}

        [subscribe]
        url = "/events?topic={{topic:url}}"
        resume_query = "id"
        earliest = "earliest"
        unknown_id = "7-7"
        gap_event = "hub.gap"

        [offers]
        dense_ids = true

        [cors]
        origin = "{ORIGIN}"

        [start]
        command = ["env", "LITTLE_HUB_PORT={{port}}", "LITTLE_HUB_FLAW={flaw}", '{program}',
                   "--exact", "the_little_hub_can_be_started", "--nocapture"]
        url = "http://127.0.0.1:{{port}}"
        "#,
        largest = flaws::LARGEST,
        program = program.display(),
    );
    HubDescription::parse(&text, None).unwrap()
}

/// What must come has long enough to come on a busy machine.
fn long_timeouts() -> SuiteSettings {
    SuiteSettings {
        timeout: Duration::from_secs(30),
        quiet: Duration::from_millis(120),
        heartbeat: Duration::from_secs(30),
        ..SuiteSettings::default()
    }
}

/// What does not come is not waited for: a check may only fail too soon, which is what is wanted.
fn short_timeouts() -> SuiteSettings {
    SuiteSettings {
        timeout: Duration::from_secs(1),
        heartbeat: Duration::from_secs(10),
        stop: Duration::from_secs(1),
        ..long_timeouts()
    }
}

fn verdict(check: &str, flaw: &str, settings: &SuiteSettings) -> Verdict {
    let selection = CheckSelection { only: vec![check.to_owned()], ..CheckSelection::default() };
    let hub = described(flaw);
    // Shutdown needs a process; all else does as well, and faster, with a hub in this one.
    let served = (!check.starts_with("shutdown/"))
        .then(|| Served::start(flaws::FlawedHub::new(flaw), 0).unwrap());
    let url = served.as_ref().map(|served| served.url.as_str());
    let report = run(&hub, url, settings, &selection, |_| {}).unwrap();
    let outcome = report.outcomes.into_iter().find(|outcome| outcome.check.name == check);
    outcome.unwrap().verdict
}

/// Runs all of `checks`, several at once; what `bad` makes of a verdict is collected.
fn judged(
    checks: &[(&str, &str)],
    settings: &SuiteSettings,
    bad: impl Fn(&Verdict) -> bool + Sync,
) -> Vec<String> {
    let (next, found) = (Mutex::new(checks.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let row = next.lock().unwrap().next();
                    let Some((check, flaw)) = row else { return };
                    let verdict = verdict(check, flaw, settings);
                    if bad(&verdict) {
                        found.lock().unwrap().push(format!("{check} ({flaw}): {verdict:?}"));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn every_check_has_a_flaw_to_see() {
    let listed: HashSet<&str> = TABLE.iter().map(|(check, _)| *check).collect();
    let there: HashSet<&str> = all().map(|check| check.name).collect();
    assert_eq!(listed, there);
    assert_eq!(there.len(), all().count(), "two checks of one name");
}

#[test]
fn every_flaw_is_seen_by_its_check() {
    let blind = judged(TABLE, &short_timeouts(), |verdict| !matches!(verdict, Verdict::Failed(_)));
    assert!(blind.is_empty(), "{}", blind.join("\n"));
}

#[test]
fn a_hub_without_a_flaw_passes_every_check() {
    let checks: Vec<(&str, &str)> = all().map(|check| (check.name, "none")).collect();
    let wrong = judged(&checks, &long_timeouts(), |verdict| *verdict != Verdict::Passed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a check started this very program as its hub, this is that hub, until it is told to stop.
#[test]
fn the_little_hub_can_be_started() {
    let Ok(port) = std::env::var("LITTLE_HUB_PORT") else { return };
    let flaw = std::env::var("LITTLE_HUB_FLAW").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let mut terminated = tokio::signal::unix::signal(kind).unwrap();
        let hub = flaws::FlawedHub::new(&flaw);
        let served = Served::start(hub.clone(), port.parse().unwrap()).unwrap();
        terminated.recv().await;
        if hub.has("ignores-signals") {
            terminated.recv().await;
        }
        if hub.has("drops-its-streams") {
            std::process::exit(0);
        }
        drop(served);
        hub.wait_until_streams_have_ended();
    });
    std::process::exit(0);
}
