//! A full disk on which idempotency keys are within their window: trimming makes room all the same, no
//! key is forgotten, and what waits is bounded.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use fanfare_disk::{DiskLog, DiskOptions};
use fanfare_event::Timestamp;
use fanfare_log::{AppendError, Appended, EventLog};
use fanfare_testkit::SimulatedDisk;
use support::{append, batch, earliest, keyed, open, small};

/// What is published is kept for a minute, keys for ten.
fn short_retention() -> DiskOptions {
    let mut options = small();
    options.retention.age = Duration::from_secs(60);
    options
}

fn keyed_large(n: usize) -> fanfare_log::Batch {
    keyed(&format!("key {n}"), batch("a", [format!("{n} {}", "x".repeat(900))]))
}

fn segments(disk: &SimulatedDisk) -> usize {
    disk.names().iter().filter(|name| name.ends_with(".log")).count()
}

/// Lets two minutes pass, and waits until the log has acted on it.
fn publish_past_retention(log: &DiskLog) {
    log.expire(Timestamp(Timestamp::now().as_millis() + 120_000));
    while log.size().unwrap().events > 0 {
        std::thread::yield_now();
    }
    end_of_turn(log);
}

/// Waits until the turn of the log has ended whose first effects are seen: what it counts, it counts last.
fn end_of_turn(log: &DiskLog) {
    let answered = append(log, batch("a", ["x".repeat(100_000)]));
    assert!(matches!(answered, Ok(_) | Err(AppendError::Full { .. })));
}

#[test]
fn trimming_frees_a_full_disk_of_keyed_events() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, short_retention());
    let first: Vec<_> = (0..12).map(|n| append(&log, keyed_large(n)).unwrap()).collect();
    let full = disk.used();
    disk.set_room(full + 100);
    let refused = append(&log, keyed_large(99));
    assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    publish_past_retention(&log);
    assert!(disk.used() < full / 2, "{} of {full} bytes", disk.used());
    append(&log, batch("a", ["there is room again"])).unwrap();
    assert_eq!(log.size().unwrap().unreclaimed, 0);
    assert_eq!(earliest(&log, &tail).messages(), ["there is room again"]);
    drop(log);
    disk.set_room(u64::MAX);
    let (log, _) = open(&disk, short_retention());
    for (n, first) in first.into_iter().enumerate() {
        let again = append(&log, keyed_large(n)).unwrap();
        assert_eq!(again, Appended { repeated: true, ..first }, "key {n}");
    }
}

#[test]
fn a_key_only_in_an_index_survives_a_restart() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, short_retention());
    let first = append(&log, keyed_large(0)).unwrap();
    for _ in 0..6 {
        append(&log, batch("a", ["x".repeat(900)])).unwrap();
    }
    disk.refuse_to_create("keys.tmp");
    log.expire(Timestamp(Timestamp::now().as_millis() + 120_000));
    while segments(&disk) > 1 {
        std::thread::yield_now();
    }
    end_of_turn(&log);
    assert!(log.size().unwrap().unreclaimed > 0, "it is not counted");
    for restart in 0..3 {
        let killed = disk.copy();
        if restart == 2 {
            killed.refuse_to_create("");
        } else {
            killed.refuse_to_create("keys.tmp");
        }
        let (log, _) = open(&killed, short_retention());
        let again = append(&log, keyed_large(0)).unwrap();
        assert_eq!(again, Appended { repeated: true, ..first });
        if restart == 2 {
            assert_eq!(log.size().unwrap().unreclaimed, 0);
        }
    }
}

#[test]
fn what_waits_for_room_is_bounded() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, small());
    disk.refuse_to_create("keys.tmp");
    let mut accepted = Vec::new();
    let refused = loop {
        match append(&log, keyed_large(accepted.len())) {
            Ok(appended) => accepted.push(appended),
            Err(error) => break error,
        }
        assert!(accepted.len() < 500, "it grows without end");
    };
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(refused.to_string().contains("idempotency keys of 9 trimmed segments"), "{refused}");
    let most = 20_000 + 4 * 4096 + 9 * 2048;
    assert!(disk.used() < most, "{}", disk.used());
    assert!(log.size().unwrap().unreclaimed > 0);
    assert!(log.ready().is_ok(), "readers need not go elsewhere");
    assert!(!earliest(&log, &tail).events.is_empty());

    disk.refuse_to_create("");
    log.expire(Timestamp::now());
    while log.size().unwrap().unreclaimed > 0 {
        std::thread::yield_now();
    }
    append(&log, batch("a", ["there is room again"])).unwrap();
    for (n, first) in accepted.into_iter().enumerate() {
        let again = append(&log, keyed_large(n)).unwrap();
        assert_eq!(again, Appended { repeated: true, ..first }, "key {n}");
    }
}

#[test]
fn a_file_that_cannot_be_removed_is_counted() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, short_retention());
    let first = append(&log, keyed_large(0)).unwrap();
    for n in 1..12 {
        append(&log, keyed_large(n)).unwrap();
    }
    let segment = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    disk.refuse_to_remove(&segment);
    publish_past_retention(&log);
    assert!(disk.names().contains(&segment));
    assert!(log.size().unwrap().unreclaimed > 0);
    disk.refuse_to_remove("");
    log.expire(Timestamp::now());
    while log.size().unwrap().unreclaimed > 0 {
        std::thread::yield_now();
    }
    assert!(!disk.names().contains(&segment));
    let again = append(&log, keyed_large(0)).unwrap();
    assert_eq!(again, Appended { repeated: true, ..first });
}
