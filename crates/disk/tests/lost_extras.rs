//! What few events have is lost on the way through a log: further topics, privacy, an id.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fanfare_disk::DiskLog;
use fanfare_event::{Draft, EventId, Extras, Position, Selector, Topic};
use fanfare_log::{Batch, EventLog, PageLimit, ReadFrom, Retention};
use fanfare_memory::{MemoryLog, MemorySettings};
use fanfare_testkit::SimulatedDisk;
use support::{Recorder, after, block_on, open, options, small};

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn id(text: &str) -> EventId {
    EventId::parse(text).unwrap()
}

fn draft(topics: &[&str], private: bool, name: Option<&str>, message: &str) -> Draft {
    let others = topics[1..].iter().map(|name| topic(name));
    let extras = Extras::new(&topic(topics[0]), others, private, name.map(id)).unwrap();
    let extras = Extras::with_retry(extras, message.contains("retried").then_some(1500));
    Draft { topic: topic(topics[0]), event_type: None, message: message.into(), extras }
}

fn append(log: &dyn EventLog, draft: Draft) -> Position {
    block_on(log.append(Batch { drafts: vec![draft], key: None })).unwrap().first
}

fn find(log: &dyn EventLog, text: &str) -> Option<Position> {
    block_on(log.find(&id(text))).unwrap()
}

fn read(log: &dyn EventLog, topics: &[&str]) -> Vec<String> {
    let selector = Selector::parse(topics.iter().copied(), []).unwrap();
    let limit = PageLimit { events: 100, bytes: 1 << 20 };
    let until = Position::new(u64::MAX >> 1, 0);
    let page = log.read(ReadFrom::Earliest, until, &selector, limit).unwrap();
    page.events.iter().map(|event| event.message.to_string()).collect()
}

fn memory(count: u64) -> Arc<MemoryLog> {
    let age = Duration::from_secs(3600);
    let settings = MemorySettings {
        retention: Retention { count, bytes: 1 << 30, age },
        key_window: age,
        key_capacity: 10,
    };
    MemoryLog::open(settings, Arc::new(Recorder::default()))
}

/// What every log is asked, wherever it keeps what it holds.
fn fill(log: &dyn EventLog) -> [Position; 6] {
    [
        append(log, draft(&["a", "b/1"], false, None, "both")),
        append(log, draft(&["a"], true, Some("urn:1"), "secret")),
        append(log, draft(&["b/2", "c", "b/1"], true, Some("urn:2"), "all")),
        append(log, draft(&["c"], false, Some("urn:1"), "again")),
        append(log, draft(&["d"], false, None, "retried")),
        append(log, draft(&["d", "e"], true, Some("urn:4"), "retried too")),
    ]
}

fn check(log: &dyn EventLog, at: [Position; 6]) {
    assert_eq!(read(log, &["a"]), ["both", "secret"]);
    assert_eq!(read(log, &["b/1"]), ["both", "all"]);
    assert_eq!(read(log, &["a", "b/1", "c"]), ["both", "secret", "all", "again"], "each once");
    assert_eq!(read(log, &["b/*"]), ["both", "all"]);
    assert_eq!(read(log, &["b/*", "**/1", "c"]), ["both", "all", "again"], "each once");
    assert_eq!(find(log, "urn:1"), Some(at[1]), "the earliest");
    assert_eq!(find(log, "urn:4"), Some(at[5]));
    assert_eq!(find(log, "urn:2"), Some(at[2]));
    assert_eq!(find(log, "urn:3"), None);
    let selector = Selector::parse(["b/2"], []).unwrap();
    let limit = PageLimit { events: 1, bytes: 1 };
    let page = log.read(ReadFrom::After(at[1]), at[3], &selector, limit).unwrap();
    let [event] = &page.events[..] else { panic!("{page:?}") };
    let topics: Vec<_> = event.topics().map(Topic::as_str).collect();
    assert_eq!((topics, event.is_private()), (vec!["b/2", "c", "b/1"], true));
    assert_eq!((event.id(), event.retry()), (Some(&id("urn:2")), None));
    let selector = Selector::parse(["d"], []).unwrap();
    let limit = PageLimit { events: 10, bytes: 1 << 20 };
    let page = log.read(ReadFrom::After(at[1]), at[5], &selector, limit).unwrap();
    let retries: Vec<_> =
        page.events.iter().map(|event| (event.retry(), event.is_private())).collect();
    assert_eq!(retries, [(Some(1500), false), (Some(1500), true)]);
}

#[test]
fn a_log_in_memory_gives_back_what_it_was_given() {
    let log = memory(100);
    let at = fill(&*log);
    check(&*log, at);
}

#[test]
fn a_log_on_disk_gives_back_what_it_was_given() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, options());
    let at = fill(&log);
    check(&log, at);
    drop(log);
    let (log, _) = open(&disk, options());
    check(&log, at);
    drop(log);
    // Without its index a segment is scanned.
    let directory: Vec<_> = fanfare_disk::Storage::list(&disk).unwrap();
    let indices: Vec<_> = directory.iter().filter(|name| name.ends_with(".idx")).collect();
    assert!(!indices.is_empty());
    indices.into_iter().for_each(|name| disk.remove(name));
    let (log, _) = open(&disk, options());
    check(&log, at);
}

#[test]
fn an_id_goes_with_its_event_and_leads_behind_no_other() {
    let log = memory(3);
    let first = append(&*log, draft(&["a", "b"], false, Some("urn:1"), "first"));
    append(&*log, draft(&["a"], false, Some("urn:2"), "second"));
    append(&*log, draft(&["b"], false, Some("urn:1"), "again"));
    assert_eq!(find(&*log, "urn:1"), Some(first));
    append(&*log, draft(&["c"], false, None, "third"));
    let behind_the_next = "whoever received the first is not led behind the next";
    assert_eq!(find(&*log, "urn:1"), None, "{behind_the_next}");
    append(&*log, draft(&["c"], false, None, "fourth"));
    append(&*log, draft(&["c"], false, None, "fifth"));
    assert_eq!((find(&*log, "urn:1"), find(&*log, "urn:2")), (None, None));
    append(&*log, draft(&["b"], false, Some("urn:2"), "once more"));
    assert_eq!(find(&*log, "urn:2"), None, "nor one that comes when the first has gone");

    let disk = SimulatedDisk::new(2);
    let (log, tail) = open(&disk, small());
    let large = "x".repeat(1000);
    for n in 0..60 {
        append(&log, draft(&["a", "b"], false, Some(&format!("urn:{n}")), &large));
        append(&log, draft(&["a", "b"], false, Some("urn:again"), &large));
    }
    let gone = tail.trimmed();
    assert!(gone > Position::ORIGIN);
    let check = |log: &dyn EventLog| {
        assert_eq!(find(log, "urn:again"), None, "{behind_the_next}");
        for n in 0..60 {
            let at = Position::new(gone.epoch, 2 * n + 1);
            assert_eq!(find(log, &format!("urn:{n}")), (at > gone).then_some(at));
        }
    };
    check(&log);
    drop(log);
    let (log, tail) = open(&disk, small());
    assert_eq!(tail.trimmed(), gone);
    check(&log);
}

#[test]
fn a_trim_of_one_of_several_topics_is_no_gap_of_the_other() {
    let log = memory(2);
    let first = append(&*log, draft(&["a", "b"], false, None, "0"));
    for n in 0..3 {
        append(&*log, draft(&["c"], false, None, &n.to_string()));
    }
    for (wanted, gap) in [("a", true), ("b", true), ("**", true), ("d", false)] {
        let selector = Selector::parse([wanted], []).unwrap();
        let limit = PageLimit { events: 10, bytes: 1 << 20 };
        let from = ReadFrom::After(Position::new(first.epoch, 0));
        let page = log.read(from, first.plus(3), &selector, limit).unwrap();
        assert_eq!(page.trimmed.is_some(), gap, "{wanted}");
    }
}

#[test]
fn a_topics_limit_hides_nothing_of_another_topic() {
    let disk = SimulatedDisk::new(3);
    let mut few = options();
    few.retain_topic_count = Some(2);
    let (log, tail) = open(&disk, few);
    let first = append(&log, draft(&["busy", "quiet"], false, None, "both"));
    for n in 0..3 {
        append(&log, draft(&["busy"], false, None, &n.to_string()));
    }
    let start = Position::new(first.epoch, 0);
    assert_eq!(after(&log, &tail, start, &["quiet"]).messages(), ["both"]);
    assert_eq!(after(&log, &tail, start, &["busy", "quiet"]).messages(), ["both", "1", "2"]);
    assert_eq!(after(&log, &tail, start, &["*"]).messages(), ["both", "1", "2"]);
    let busy = after(&log, &tail, start, &["busy"]);
    assert_eq!(busy.messages(), ["1", "2"]);
    assert!(busy.covers(first), "what is hidden is said");
}

/// Written by a hub of format 2, which was stopped, started, and killed.
#[test]
fn a_directory_of_an_older_version_is_read() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format-2");
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    for round in 0..2 {
        let log =
            DiskLog::open(directory.path(), options(), Arc::new(Recorder::default())).unwrap();
        assert_eq!(read(&log, &["**"])[..6], ["m1", "a1", "b1", "m2", "a2", "b2"], "{round}");
        assert_eq!(read(&log, &["orders/1"])[..4], ["m1", "b1", "m2", "b2"], "{round}");
        append(&log, draft(&["new", "orders/1"], true, Some("urn:1"), "new"));
        assert!(find(&log, "urn:1").is_some());
    }
    let format = std::fs::read_to_string(directory.path().join("FORMAT")).unwrap();
    assert_eq!(format, "fanfare log 3\n", "an older version must not open it any more");
}
