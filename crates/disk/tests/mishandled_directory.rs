//! A directory that people handle: copied, restored, tidied up, looked into; and on a full disk.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use fanfare_disk::{DiskLog, SyncPolicy};
use fanfare_disk::{OpenError, verify};
use fanfare_event::{Position, Timestamp};
use fanfare_log::{AppendError, EpochStatus, EventLog};
use fanfare_testkit::SimulatedDisk;
use support::{Recorder, after, append, batch, earliest, open, options, small};

fn open_in(directory: &Path) -> (DiskLog, Arc<Recorder>) {
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open(directory, small(), tail.clone()).unwrap();
    (log, tail)
}

#[test]
fn a_removed_lock_file_lets_no_second_hub_in() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open_in(directory.path());
    fs::remove_file(directory.path().join("lock")).unwrap();
    let second = DiskLog::open(directory.path(), small(), Arc::<Recorder>::default());
    assert!(matches!(second.err().unwrap(), OpenError::Locked { .. }));
    drop(log);
    open_in(directory.path());
}

#[test]
fn a_directory_moved_away_takes_its_hub_with_it() {
    let parent = tempfile::tempdir().unwrap();
    let (path, moved) = (parent.path().join("log"), parent.path().join("moved"));
    let (log, _) = open_in(&path);
    append(&log, batch("a", ["before"])).unwrap();
    fs::rename(&path, &moved).unwrap();
    let (second, second_tail) = open_in(&path);
    append(&second, batch("a", ["of the second"])).unwrap();
    for _ in 0..60 {
        append(&log, batch("a", ["x".repeat(900)])).unwrap();
    }
    append(&log, batch("a", ["after"])).unwrap();
    assert_eq!(earliest(&second, &second_tail).messages(), ["of the second"]);
    drop((log, second));
    assert_eq!(verify(&path).unwrap().events(), 1, "the first keeps to its own directory");
    let (log, tail) = open_in(&moved);
    assert_eq!(earliest(&log, &tail).messages().last(), Some(&"after"));
}

#[test]
fn a_lineage_put_back_from_an_earlier_start_costs_no_history() {
    let directory = tempfile::tempdir().unwrap();
    let epochs = directory.path().join("epochs");
    let (log, _) = open_in(directory.path());
    append(&log, batch("a", ["one"])).unwrap();
    drop(log);
    let old = fs::read(&epochs).unwrap();
    let (log, _) = open_in(directory.path());
    let last = append(&log, batch("a", ["two"])).unwrap().first;
    drop(log);
    fs::write(&epochs, old).unwrap();
    let (log, tail) = open_in(directory.path());
    assert_eq!(earliest(&log, &tail).messages(), ["one", "two"]);
    let next = append(&log, batch("a", ["three"])).unwrap().first;
    assert!(next.epoch > last.epoch, "no epoch is given out twice");
}

#[test]
fn a_lost_format_file_costs_no_history() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open_in(directory.path());
    append(&log, batch("a", ["kept"])).unwrap();
    drop(log);
    let format = directory.path().join("FORMAT");
    let good = fs::read(&format).unwrap();
    for damaged in [None, Some(""), Some("fanfare l\u{0}g 2\n")] {
        match damaged {
            None => fs::remove_file(&format).unwrap(),
            Some(content) => fs::write(&format, content).unwrap(),
        }
        let report = verify(directory.path()).unwrap();
        assert_eq!((report.damage.len(), &*report.damage[0].file), (1, "FORMAT"));
        let (log, tail) = open_in(directory.path());
        assert_eq!(earliest(&log, &tail).messages(), ["kept"]);
        assert_eq!(fs::read(&format).unwrap(), good);
        assert_eq!(verify(directory.path()).unwrap().damage, []);
    }
    // An older version's is written anew, so that it does not read what it would not understand.
    fs::write(&format, "fanfare log 1\n").unwrap();
    open_in(directory.path());
    assert_eq!(fs::read(&format).unwrap(), good);
}

#[test]
fn only_what_is_surely_ours_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = open_in(directory.path());
    append(&log, batch("a", ["kept"])).unwrap();
    drop(log);
    let strays = ["notes.tmp", "theirs.idx", "1-2.idx", ".tmp", "epochs.old.tmp", "search.idx.tmp"];
    let stem = format!("{:020}-{:020}", 7, 1);
    let ours = ["epochs.tmp".to_owned(), format!("{stem}.idx"), format!("{stem}.idx.tmp")];
    let touch = |name: &str| fs::write(directory.path().join(name), "content").unwrap();
    strays.iter().for_each(|name| touch(name));
    ours.iter().for_each(|name| touch(name));
    open_in(directory.path());
    let there = |name: &str| directory.path().join(name).exists();
    assert!(strays.iter().all(|name| there(name)), "somebody else's");
    assert!(!ours.iter().any(|name| there(name)), "left behind by us");
}

#[test]
fn nobody_else_can_read_what_is_published() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("log");
    let readable = || {
        let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| mode(path) & 0o077 != 0).collect::<Vec<_>>()
    };
    let (log, _) = open_in(&directory);
    for _ in 0..60 {
        append(&log, batch("a", ["x".repeat(900)])).unwrap();
    }
    drop(log);
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(readable(), Vec::<std::path::PathBuf>::new());
    // What an older version left open to others is closed; what is not ours stays as it is.
    fs::write(directory.join("notes"), "theirs").unwrap();
    for entry in fs::read_dir(&directory).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
    }
    open_in(&directory);
    assert_eq!(readable(), [directory.join("notes")]);
}

#[test]
fn a_copy_of_the_directory_goes_on_as_another_log() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["common"])).unwrap();
    let common = tail.last();
    drop(log);
    let (one, other) = (disk.copy(), disk.copy());
    let (one, one_tail) = open(&one, options());
    let (other, other_tail) = open(&other, options());
    append(&one, batch("a", ["of the one"])).unwrap();
    append(&other, batch("a", ["of the other"])).unwrap();
    assert_eq!(other_tail.lineage().epoch_status(one_tail.last().epoch), EpochStatus::Unknown);
    assert_eq!(one_tail.lineage().epoch_status(other_tail.last().epoch), EpochStatus::Unknown);
    // What they have in common is resumed exactly at both.
    assert_eq!(after(&one, &one_tail, common, &["a"]).messages(), ["of the one"]);
    assert_eq!(after(&other, &other_tail, common, &["a"]).messages(), ["of the other"]);
}

#[test]
fn a_hub_that_starts_on_a_full_disk_serves_readers_and_goes_on_with_room() {
    for sync in [SyncPolicy::Disk, SyncPolicy::Os] {
        for killed in [false, true] {
            let disk = SimulatedDisk::new(1);
            let mut options = options();
            options.sync = sync;
            let (log, tail) = open(&disk, options.clone());
            append(&log, batch("a", ["before"])).unwrap();
            let before = tail.last();
            let full = if killed { disk.copy() } else { disk.clone() };
            drop(log);
            full.set_room(full.used());
            let (log, tail) = open(&full, options.clone());
            assert_eq!(earliest(&log, &tail).messages(), ["before"]);
            for _ in 0..2 {
                let refused = append(&log, batch("a", ["refused"]));
                assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
            }
            assert!(log.ready().is_ok());
            full.set_room(u64::MAX);
            append(&log, batch("a", ["after"])).unwrap();
            let epoch = tail.last().epoch;
            drop(log);
            let (log, tail) = open(&full, options.clone());
            assert_eq!(earliest(&log, &tail).messages(), ["before", "after"]);
            assert_eq!(after(&log, &tail, before, &["a"]).messages(), ["after"]);
            let ended = tail.lineage().epoch_status(epoch);
            assert_eq!(ended, EpochStatus::EndedAt(Position::new(epoch, 1)));
        }
    }
}

#[test]
fn a_thousand_starts_in_vain_do_not_cost_the_history() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["one", "two"])).unwrap();
    let cursor = Position { seq: 1, ..tail.last() };
    drop(log);
    let mut recent = cursor;
    for _ in 0..1_100 {
        recent = open(&disk, options()).1.last();
    }
    let (log, tail) = open(&disk, options());
    let found = after(&log, &tail, cursor, &["a"]);
    assert_eq!((found.messages(), found.gaps.len()), (vec!["two"], 0));
    assert_eq!(tail.lineage().epoch_status(recent.epoch), EpochStatus::EndedAt(recent));
}

#[test]
fn a_clock_that_steps_back_trims_nothing_and_one_that_steps_ahead_is_told_of() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["one", "two"])).unwrap();
    let last = tail.last();
    log.expire(Timestamp(0));
    append(&log, batch("a", ["three"])).unwrap();
    assert_eq!(tail.trimmed(), Position::ORIGIN);
    log.expire(Timestamp(u64::MAX));
    while tail.trimmed() < last.next() {
        std::thread::yield_now();
    }
    let found = after(&log, &tail, Position { seq: 1, ..last }, &["a"]);
    assert_eq!((found.events.len(), found.gaps.len()), (0, 1));
    assert_eq!(append(&log, batch("a", ["goes on"])).unwrap().first, last.plus(2));
}
