//! A key forgotten within its window: it outlives the segment it was written to.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use fanfare_disk::DiskLog;
use fanfare_log::Appended;
use fanfare_testkit::SimulatedDisk;
use support::{append, batch, earliest, keyed, open, small};

fn publish_beyond_retention(log: &DiskLog) {
    for _ in 0..60 {
        append(log, batch("chat", ["x".repeat(900)])).unwrap();
    }
}

#[test]
fn a_key_is_answered_after_a_restart_though_its_segment_was_trimmed() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, small());
    let first = append(&log, keyed("k", batch("a", ["one", "two"]))).unwrap();
    publish_beyond_retention(&log);
    let killed = disk.copy();
    drop(log);
    assert!(tail.trimmed() > first.first.plus(1));
    for disk in [killed, disk] {
        // Each start takes the keys over from the last.
        for _ in 0..3 {
            let (log, _) = open(&disk, small());
            let again = append(&log, keyed("k", batch("a", ["one", "two"]))).unwrap();
            assert_eq!(again, Appended { repeated: true, ..first });
            publish_beyond_retention(&log);
        }
        let (log, tail) = open(&disk, small());
        let found = earliest(&log, &tail);
        assert!(!found.messages().contains(&"one"), "published twice");
    }
}

#[test]
fn keys_whose_window_has_ended_leave_the_disk() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, small());
    for n in 0..50 {
        append(&log, keyed(&format!("key {n}"), batch("a", ["x".repeat(900)]))).unwrap();
    }
    publish_beyond_retention(&log);
    drop(log);
    assert!(disk.read("keys").len() >= 50 * 39);
    let mut brief = small();
    brief.key_window = Duration::ZERO;
    let (log, _) = open(&disk, brief);
    assert_eq!(disk.read("keys").len(), 8);
    publish_beyond_retention(&log);
    assert_eq!(disk.read("keys").len(), 8);
}

#[test]
fn the_last_copy_of_a_key_is_kept_without_room() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, small());
    let first = append(&log, keyed("k", batch("a", ["one"]))).unwrap();
    let segment = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let index = segment.replace(".log", ".idx");
    disk.refuse_to_create("keys.tmp");
    publish_beyond_retention(&log);
    drop(log);
    assert!(tail.trimmed() > first.first);
    assert!(!disk.names().contains(&segment), "its index has the key, too");
    assert!(disk.names().contains(&index), "its key is nowhere else");
    let kept = disk.names().iter().filter(|name| name.ends_with(".log")).count();
    assert!(kept < 10, "what has no keys goes: {kept}");
    let (log, _) = open(&disk, small());
    assert!(append(&log, keyed("k", batch("a", ["one"]))).unwrap().repeated);
    disk.refuse_to_create("");
    publish_beyond_retention(&log);
    drop(log);
    let (log, _) = open(&disk, small());
    assert!(!disk.names().contains(&index), "it goes once there is room for its key");
    assert!(append(&log, keyed("k", batch("a", ["one"]))).unwrap().repeated);
}
