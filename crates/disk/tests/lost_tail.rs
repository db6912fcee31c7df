//! A lost tail: what was acknowledged before it was on disk, and went with the machine.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use fanfare_disk::{DiskOptions, SyncPolicy};
use fanfare_event::{Position, Timestamp};
use fanfare_log::{Between, EventLog};
use fanfare_testkit::{DiskFault, SimulatedDisk};
use support::{Recorder, append, batch, open, options};

fn ahead(sync: SyncPolicy) -> DiskOptions {
    DiskOptions { sync, ..options() }
}

/// What lies between a cursor and where the log goes on.
fn crossing(tail: &Recorder, cursor: Position) -> Between {
    tail.lineage().between(cursor, tail.last())
}

/// Publishes ten events, with a cursor at the fourth.
fn publish(disk: &SimulatedDisk, options: &DiskOptions) -> (fanfare_disk::DiskLog, Position) {
    let (log, tail) = open(disk, options.clone());
    for n in 0..10 {
        append(&log, batch("a", [format!("message {n}")])).unwrap();
    }
    let cursor = Position { seq: 4, ..tail.last() };
    (log, cursor)
}

#[test]
fn whoever_was_behind_when_the_machine_died_is_told() {
    let minute = SyncPolicy::Interval(Duration::from_secs(60));
    for sync in [SyncPolicy::Os, minute] {
        for seed in 0..20 {
            let disk = SimulatedDisk::new(seed);
            let (log, cursor) = publish(&disk, &ahead(sync));
            disk.fail(0, DiskFault::Crash);
            drop(log);
            disk.restart();
            let (log, tail) = open(&disk, ahead(sync));
            assert_eq!(crossing(&tail, cursor), Between::Lost, "{sync}, {seed}");
            // It is told for as long as the epoch is known, and of no later one.
            let second = Position { seq: 0, ..tail.last() };
            drop(log);
            let (_log, tail) = open(&disk, ahead(sync));
            assert_eq!(crossing(&tail, cursor), Between::Lost);
            assert_eq!(crossing(&tail, second), Between::Nothing);
        }
    }
}

#[test]
fn a_loss_is_told_also_where_the_lineage_is_damaged_later() {
    let disk = SimulatedDisk::new(1);
    let (log, cursor) = publish(&disk, &ahead(SyncPolicy::Os));
    disk.fail(0, DiskFault::Crash);
    drop(log);
    disk.restart();
    let (log, _) = open(&disk, ahead(SyncPolicy::Os));
    append(&log, batch("a", ["after the loss"])).unwrap();
    drop(log);
    disk.put("epochs", b"damaged".to_vec());
    let (_log, tail) = open(&disk, ahead(SyncPolicy::Os));
    assert_eq!(crossing(&tail, cursor), Between::Lost);
}

#[test]
fn a_killed_hub_on_a_machine_that_lives_is_no_loss() {
    let disk = SimulatedDisk::new(1);
    let (_log, cursor) = publish(&disk, &ahead(SyncPolicy::Os));
    let killed = disk.copy();
    let (_log, tail) = open(&killed, ahead(SyncPolicy::Os));
    assert_eq!(crossing(&tail, cursor), Between::Events);
}

#[test]
fn what_is_on_disk_is_not_feared_to_be_lost() {
    // Closed; long quiet; always on disk.
    for case in 0..3 {
        let disk = SimulatedDisk::new(1);
        let sync = if case == 2 { SyncPolicy::Disk } else { SyncPolicy::Os };
        let (log, cursor) = publish(&disk, &ahead(sync));
        if case == 0 {
            drop(log);
        } else {
            log.expire(Timestamp(Timestamp::now().as_millis() + 11_000));
            // In this order: that the note is gone is synced last.
            while disk.names().iter().any(|name| name == "unsynced") || !disk.is_synced() {
                std::thread::yield_now();
            }
            disk.fail(0, DiskFault::Crash);
            drop(log);
        }
        disk.restart();
        let (log, tail) = open(&disk, ahead(sync));
        assert_eq!(crossing(&tail, cursor), Between::Events, "case {case}");
        drop(log);
    }
}

#[test]
fn a_damaged_note_is_a_gap_and_not_a_silence() {
    let disk = SimulatedDisk::new(1);
    let (_log, cursor) = publish(&disk, &ahead(SyncPolicy::Os));
    let damaged = disk.copy();
    damaged.put("unsynced", b"damaged".to_vec());
    let (_log, tail) = open(&damaged, ahead(SyncPolicy::Os));
    assert_eq!(crossing(&tail, cursor), Between::Lost);
}
