//! Lines of standard input arrive once each and in order, whatever happens to the hub.

use std::fmt::Write as _;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Hub, Running, json, run};

fn publisher(hub: &Hub, arguments: &[&str]) -> Running {
    let arguments = [&["publish", "logs", "-"], arguments].concat();
    Running::start(hub.fanfare(&arguments).stdin(Stdio::piped()))
}

fn numbered(range: std::ops::RangeInclusive<u32>) -> String {
    range.fold(String::new(), |mut lines, n| {
        let _ = writeln!(lines, "{n}");
        lines
    })
}

#[test]
fn no_line_waits_for_the_next() {
    let hub = Hub::start(&[]);
    let subscriber = hub.subscriber_with_id(&["logs"]);
    let mut publisher = publisher(&hub, &[]);
    for n in 1..=3 {
        publisher.feed(&format!("{n}\n"));
        subscriber.await_output("the line", |s| s.stdout() == numbered(1..=n));
    }
    publisher.feed("no end");
    drop(publisher.stdin.take());
    assert!(publisher.wait().success());
    assert_eq!(publisher.stdout().lines().count(), 4);
    subscriber.await_output("the last line", |s| s.stdout().ends_with("no end\n"));
}

#[test]
fn many_lines_arrive_in_order() {
    let hub = Hub::start(&[]);
    let mut publisher = publisher(&hub, &["--quiet", "--batch", "700"]);
    publisher.feed(&numbered(1..=20_000));
    drop(publisher.stdin.take());
    assert!(publisher.wait().success());
    assert_eq!(publisher.stdout(), "");
    let lines = hub.lines(&["subscribe", "logs", "--since", "earliest", "-n", "20000"]);
    assert_eq!(lines.join("\n") + "\n", numbered(1..=20_000));
}

#[test]
fn no_line_is_lost_when_a_hub_crashes() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscriber_with_id(&["logs"]);
    let mut publisher = publisher(&hub, &["--json"]);
    publisher.feed(&numbered(1..=200));
    subscriber.await_output("what came before", |s| s.stdout() == numbered(1..=200));
    publisher.await_output("its ids", |p| p.stdout().lines().count() == 200);

    let crashed = hub.kill();
    publisher.feed(&numbered(201..=300));
    publisher.await_output("a notice", |p| p.stderr().contains("trying again for up to 240 s"));
    let hub = crashed.restart();
    publisher.feed(&numbered(301..=400));
    drop(publisher.stdin.take());
    assert!(publisher.wait().success(), "{}", publisher.stderr());

    let acknowledged = json(&publisher.stdout());
    let lines: Vec<_> = acknowledged.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=400).collect::<Vec<_>>());
    let lines = hub.lines(&["subscribe", "logs", "--since", "earliest", "-n", "200"]);
    assert_eq!(lines.join("\n") + "\n", numbered(201..=400));

    subscriber.await_output("what came after", |s| s.stdout() == numbered(1..=400));
    // What it says is read beside what it prints, and may be read later.
    for said in ["connecting again in", "warning: gap (unknown_epoch)"] {
        subscriber.await_output(said, |s| s.stderr().contains(said));
    }
    subscriber.signal(Signal::INT);
    assert_eq!(subscriber.wait().code(), Some(130));
}

#[test]
fn no_line_is_lost_at_whatever_moment_a_hub_crashes() {
    let mut hub = Hub::start(&[]);
    let mut publisher = publisher(&hub, &["--json"]);
    let mut stdin = publisher.stdin.take().unwrap();
    let feed = std::thread::spawn(move || {
        use std::io::Write as _;
        for n in 1..=5_000 {
            writeln!(stdin, "{n}").unwrap();
        }
    });
    for crash in 1..=3 {
        publisher.await_output("progress", |p| p.stdout().lines().count() >= crash * 100);
        hub = hub.kill().restart();
    }
    feed.join().unwrap();
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    let lines: Vec<_> =
        json(&publisher.stdout()).iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=5_000).collect::<Vec<_>>());
}

/// Of a hub with its log on disk nothing is lost at all, and what it had accepted without saying so
/// is not published again.
#[test]
fn lines_are_published_once_when_a_durable_hub_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let settings = ["--data", directory.path().to_str().unwrap()];
    let mut hub = Hub::start(&settings);
    let mut publisher = publisher(&hub, &["--json", "--batch", "50"]);
    let mut stdin = publisher.stdin.take().unwrap();
    let feed = std::thread::spawn(move || {
        use std::io::Write as _;
        stdin.write_all(numbered(1..=5_000).as_bytes()).unwrap();
    });
    for crash in 1..=3 {
        publisher.await_output("progress", |p| p.stdout().lines().count() >= crash * 500);
        hub = hub.kill().restart_with(&settings);
    }
    feed.join().unwrap();
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    let lines = hub.lines(&["subscribe", "logs", "--since", "earliest", "-n", "5000"]);
    assert_eq!(lines.join("\n") + "\n", numbered(1..=5_000));
    let more = hub.publish(&["logs", "after"]);
    let last = hub.lines(&["subscribe", "logs", "--since", "earliest", "-n", "5001", "--json"]);
    assert_eq!(json(&last[5_000])[0]["id"], more, "something came twice");
}

#[test]
fn a_subscriber_without_events_resumes_after_an_outage() {
    let directory = tempfile::tempdir().unwrap();
    let settings = ["--data", directory.path().to_str().unwrap()];
    let hub = Hub::start(&settings);
    let subscriber = hub.subscriber_with_id(&["logs", "--json"]);
    // It cannot be back before the event.
    subscriber.signal(Signal::STOP);
    let hub = hub.kill().restart_with(&settings);
    let meanwhile = hub.publish(&["logs", "meanwhile", "--event", "note"]);
    subscriber.signal(Signal::CONT);
    subscriber.await_output("the event", |s| !s.stdout().is_empty());
    let heard = json(&subscriber.stdout());
    let event = json!({
        "id": meanwhile,
        "event": "note",
        "topic": "logs",
        "published_at": heard[0]["published_at"],
        "data": "meanwhile",
    });
    assert!(event["published_at"].is_string(), "{heard:?}");
    assert_eq!(heard, [event]);
    // What it says is read beside what it prints, and may be read later.
    subscriber.await_output("where it goes on", |s| s.stderr().contains("going on after"));
    let stderr = subscriber.stderr();
    assert!(!stderr.contains("warning"), "{stderr}");
}

#[test]
fn a_refused_line_leaves_those_before_it() {
    let hub = Hub::start(&["--max-message", "10B"]);
    let mut publisher = publisher(&hub, &["--json"]);
    publisher.feed("1\n2\n3\nfar too long\n5\n");
    drop(publisher.stdin.take());
    assert_eq!(publisher.wait().code(), Some(1));
    let acknowledged = json(&publisher.stdout());
    assert_eq!(acknowledged.len(), 3, "{acknowledged:?}");
    let stderr = publisher.stderr();
    assert!(stderr.contains("error: line 4 and the lines after it were not published"), "{stderr}");
    let lines = hub.lines(&["subscribe", "logs", "--since", "earliest", "-n", "3"]);
    assert_eq!(lines, ["1", "2", "3"]);
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_reported() {
    let hub = Hub::start(&[]);
    let mut publisher = publisher(&hub, &[]);
    {
        use std::io::Write as _;
        publisher.stdin.as_mut().unwrap().write_all(b"a\xffb\n").unwrap();
    }
    drop(publisher.stdin.take());
    assert!(publisher.wait().success());
    assert!(publisher.stderr().contains("not UTF-8"), "{}", publisher.stderr());
    let ended = run(&mut hub.fanfare(&["subscribe", "logs", "--since", "earliest", "-n", "1"]));
    assert_eq!(ended.lines(), ["a\u{fffd}b"]);
}

#[test]
fn streamed_lines_are_sent_at_once_and_in_order() {
    let hub = Hub::start(&["--retain-count", "100000"]);
    let subscriber = hub.subscriber_with_id(&["logs"]);
    let mut publisher = publisher(&hub, &["--stream", "--json"]);
    for n in 1..=3 {
        publisher.feed(&format!("{n}\n"));
        subscriber.await_output("the line", |s| s.stdout() == numbered(1..=n));
        publisher.await_output("its id", |p| p.stdout().lines().count() == n as usize);
    }
    publisher.feed(&numbered(4..=20_000));
    publisher.feed("no end");
    drop(publisher.stdin.take());
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    let acknowledged = json(&publisher.stdout());
    let lines: Vec<_> = acknowledged.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=20_001).collect::<Vec<_>>());
    let all = ["subscribe", "logs", "--since", "earliest", "-n", "20001", "--json"];
    let events = json(&hub.lines(&all).join("\n"));
    assert_eq!(events[20_000]["data"], "no end");
    for (event, acknowledged) in events.iter().zip(&acknowledged) {
        assert_eq!(event["id"], acknowledged["id"], "{event}");
        let line = acknowledged["line"].to_string();
        assert!(["no end", &line].map(Some).contains(&event["data"].as_str()), "{event}");
    }
}

/// What was not acknowledged is published again; only of that, some may be there twice.
#[test]
fn no_streamed_line_is_lost_when_a_hub_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let settings = ["--data", directory.path().to_str().unwrap()];
    let mut hub = Hub::start(&settings);
    let mut publisher = publisher(&hub, &["--stream", "--json"]);
    let mut stdin = publisher.stdin.take().unwrap();
    let feed = std::thread::spawn(move || {
        use std::io::Write as _;
        for n in 1..=5_000 {
            writeln!(stdin, "{n}").unwrap();
        }
    });
    for crash in 1..=3 {
        publisher.await_output("progress", |p| p.stdout().lines().count() >= crash * 500);
        hub = hub.kill().restart_with(&settings);
    }
    feed.join().unwrap();
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    let acknowledged = json(&publisher.stdout());
    let lines: Vec<_> = acknowledged.iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=5_000).collect::<Vec<_>>());
    let last = hub.publish(&["logs", "last"]);
    let mut reader = hub.subscriber(&["logs", "--since", "earliest", "--json"]);
    reader.await_output("everything", |reader| reader.stdout().contains(&last));
    reader.signal(Signal::INT);
    reader.wait();
    let events = json(&reader.stdout());
    for acknowledged in &acknowledged {
        let event = events.iter().find(|event| event["id"] == acknowledged["id"]);
        let event = event.unwrap_or_else(|| panic!("{acknowledged} is lost"));
        assert_eq!(event["data"], acknowledged["line"].to_string());
    }
}

#[test]
fn a_refused_streamed_line_is_reported() {
    let hub = Hub::start(&["--max-message", "10B"]);
    let mut publisher = publisher(&hub, &["--stream", "--json"]);
    publisher.feed("1\n2\n3\nfar too long\n5\n");
    drop(publisher.stdin.take());
    assert_eq!(publisher.wait().code(), Some(1));
    assert_eq!(json(&publisher.stdout()).len(), 3);
    let stderr = publisher.stderr();
    assert!(
        stderr.contains("error: line 4 was not published; later lines may have been"),
        "{stderr}"
    );
}
