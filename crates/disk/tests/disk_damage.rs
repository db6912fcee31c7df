//! Damage: what is torn, flipped, missing or foreign. Nothing is lost in silence.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fanfare_disk::DiskLog;
use fanfare_disk::{OpenError, stats, verify};
use fanfare_event::{Event, Position};
use fanfare_log::{EpochStatus, ReadFrom};
use fanfare_testkit::SimulatedDisk;
use support::{Recorder, after, append, batch, earliest, keyed, open, options, replay, small};

/// A log of three epochs, and what is in it.
fn three_epochs(closed: bool) -> (SimulatedDisk, Vec<Arc<Event>>) {
    let disk = SimulatedDisk::new(1);
    let mut events = Vec::new();
    for epoch in 0..3 {
        let (log, tail) = open(&disk, options());
        append(&log, batch("a", [format!("single {epoch}")])).unwrap();
        append(&log, keyed(&epoch.to_string(), batch("b", ["first of two", "second"]))).unwrap();
        events.extend(tail.heard.lock().unwrap().events.iter().cloned());
        let before_closing = disk.copy();
        drop(log);
        if !closed && epoch == 2 {
            return (before_closing, events);
        }
    }
    (disk, events)
}

/// Everything is there, or its readers are told.
fn assert_nothing_silent(disk: &SimulatedDisk, events: &[Arc<Event>], what: &str) {
    let (log, tail) = open(disk, options());
    let found = earliest(&log, &tail);
    for event in &found.events {
        assert!(events.contains(event), "{what}: {event:?} was never published");
    }
    let lineage = tail.lineage();
    for (at, cursor) in events.iter().enumerate() {
        // The hub tells a cursor that its epoch is unknown, or ended before it.
        match lineage.epoch_status(cursor.position.epoch) {
            EpochStatus::EndedAt(end) if cursor.position <= end => {}
            _ => continue,
        }
        let found = after(&log, &tail, cursor.position, &["**"]);
        for event in &events[at + 1..] {
            // Where a number of records was lost that nothing tells, a gap stands at their first.
            let end = match lineage.epoch_status(event.position.epoch) {
                EpochStatus::EndedAt(end) => end,
                _ => event.position,
            };
            let told = found.covers(event.position.min(end));
            assert!(
                told || found.events.contains(event),
                "{what}: after {}, {event:?} is lost in silence",
                cursor.position
            );
        }
    }
    let fresh = append(&log, batch("a", ["after the damage"])).unwrap();
    assert!(events.iter().all(|event| event.position < fresh.first));
}

#[test]
fn no_flipped_bit_is_silent() {
    for closed in [true, false] {
        let (disk, events) = three_epochs(closed);
        for name in disk.names().into_iter().filter(|name| name != "FORMAT") {
            let content = disk.read(&name);
            for bit in 0..content.len() * 8 {
                let copy = disk.copy();
                let mut flipped = content.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                copy.put(&name, flipped);
                assert_nothing_silent(&copy, &events, &format!("{name}, bit {bit}"));
            }
        }
    }
}

#[test]
fn a_page_that_ends_before_lost_records_passes_over_none_of_them() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    let other = || ["x".repeat(20)];
    append(&log, batch("a", ["kept"])).unwrap();
    for _ in 0..60 {
        append(&log, batch("b", other())).unwrap();
    }
    let name = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let begin = disk.read(&name).len();
    for lost in 0..9 {
        append(&log, batch("a", [format!("lost {lost}")])).unwrap();
    }
    let end = disk.read(&name).len();
    for _ in 0..60 {
        append(&log, batch("b", other())).unwrap();
    }
    let events = tail.heard.lock().unwrap().events.clone();
    drop(log);
    let mut content = disk.read(&name);
    content[begin..end].fill(0xff);
    disk.put(&name, content);
    let index = name.replace(".log", ".idx");
    disk.remove(&index);
    let (log, tail) = open(&disk, options());
    let (first, last) = (events[61].position, events[69].position);
    for most in 1..=3 {
        let found = replay(&log, ReadFrom::Earliest, tail.last(), &["a"], most);
        assert_eq!(found.messages(), ["kept"]);
        let [(from, through)] = found.gaps[..] else { panic!("{most}: {:?}", found.gaps) };
        assert!(from < first && through == last, "{most}: {from} to {through}");
    }
}

#[test]
fn no_missing_file_is_silent_but_the_newest() {
    let (disk, events) = three_epochs(true);
    let names = disk.names();
    let newest = names.iter().rfind(|name| name.ends_with(".log")).unwrap();
    for name in names.iter().filter(|name| *name != "FORMAT" && *name != newest) {
        let copy = disk.copy();
        copy.remove(name);
        assert_nothing_silent(&copy, &events, name);
    }
}

#[test]
fn a_tail_torn_at_any_byte_loses_only_what_was_being_written() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["one"])).unwrap();
    append(&log, batch("a", ["two"])).unwrap();
    let name = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let whole = disk.read(&name).len();
    append(&log, batch("a", ["three", "four"])).unwrap();
    let killed = disk.copy();
    let content = killed.read(&name);
    let first = tail.heard.lock().unwrap().events[0].position;
    for end in whole..content.len() {
        for zeros in [0, 40] {
            let copy = killed.copy();
            let mut torn = content[..end].to_vec();
            // What a write left unfinished may read as zeros, if nothing of it came to disk.
            if end == whole {
                torn.resize(end + zeros, 0);
            }
            copy.put(&name, torn);
            let (log, tail) = open(&copy, options());
            let found = earliest(&log, &tail);
            assert_eq!(found.messages(), ["one", "two"], "cut at {end}");
            assert!(found.gaps.is_empty());
            assert_eq!(
                tail.lineage().epoch_status(first.epoch),
                EpochStatus::EndedAt(first.plus(1))
            );
            assert_eq!(copy.read(&name).len(), whole);
        }
    }
}

#[test]
fn cursors_behind_a_hole_are_exact_and_those_before_it_get_a_gap() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    for n in 0..20 {
        append(&log, batch("a", [format!("message {n}")])).unwrap();
    }
    let killed = disk.copy();
    let name = killed.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let first = tail.heard.lock().unwrap().events[0].position;
    drop(log);
    // Closed and trusted, or not closed and scanned.
    for disk in [disk, killed] {
        let mut content = disk.read(&name);
        let needle = b"message 7";
        let at = content.windows(needle.len()).position(|bytes| bytes == needle).unwrap();
        content[at] ^= 1;
        disk.put(&name, content);
        let (log, tail) = open(&disk, options());
        let found = after(&log, &tail, first.plus(3), &["a"]);
        assert_eq!(found.gaps, [(first.plus(6), first.plus(7))]);
        assert_eq!(found.events.len(), 15);
        assert!(after(&log, &tail, first.plus(7), &["a"]).gaps.is_empty());
        assert_eq!(after(&log, &tail, first.plus(7), &["a"]).events.len(), 12);
    }
}

#[test]
fn a_message_that_looks_like_a_record_is_never_taken_for_one() {
    // A whole segment, as text: what a publisher could know of another log's records.
    let (disk, _) = three_epochs(true);
    let name = disk.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let forged = String::from_utf8_lossy(&disk.read(&name)[52..]).into_owned();
    let disk = SimulatedDisk::new(2);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", [format!("{forged}{forged}")])).unwrap();
    append(&log, batch("a", ["behind"])).unwrap();
    let killed = disk.copy();
    let name = killed.names().into_iter().find(|name| name.ends_with(".log")).unwrap();
    let events = tail.heard.lock().unwrap().events.clone();
    let mut content = killed.read(&name);
    content[52] ^= 0xff;
    killed.put(&name, content);
    assert_nothing_silent(&killed, &events, "a damaged length before a forged record");
}

fn everything_in(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut found: Vec<_> = entries
        .map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_not_ours_is_refused_and_left_untouched() {
    let newer = ("FORMAT", "fanfare log 4\n");
    for (name, content) in [("notes.txt", "mine"), ("FORMAT", "something else"), newer] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), content).unwrap();
        let before = everything_in(directory.path());
        let tail = Arc::<Recorder>::default();
        let refused = DiskLog::open(directory.path(), options(), tail).err().unwrap();
        let message = refused.to_string();
        assert!(message.contains(&directory.path().display().to_string()), "{message}");
        match refused {
            OpenError::Foreign { entry, .. } => assert_eq!(entry, name),
            OpenError::Version { version, .. } => assert_eq!((name, version), ("FORMAT", 4)),
            other => panic!("{other}"),
        }
        assert!(verify(directory.path()).is_err());
        assert_eq!(everything_in(directory.path()), before);
    }
}

#[test]
fn a_second_hub_is_kept_out_until_the_first_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open(&path, options(), tail.clone()).unwrap();
    append(&log, batch("a", ["one"])).unwrap();
    let second = DiskLog::open(&path, options(), Arc::<Recorder>::default()).err().unwrap();
    assert!(matches!(second, OpenError::Locked { .. }), "{second}");
    assert!(second.to_string().contains(&path.display().to_string()), "{second}");
    assert_eq!(verify(&path).unwrap().events(), 1, "looking needs no lock");
    assert_eq!(append(&log, batch("a", ["two"])).unwrap().first, tail.last());
    drop(log);
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open(&path, options(), tail.clone()).unwrap();
    assert_eq!(earliest(&log, &tail).messages(), ["one", "two"]);
}

#[test]
fn verify_names_the_file_and_the_offset_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open(directory.path(), small(), tail).unwrap();
    for n in 0..10 {
        append(&log, batch(["a", "b"][n % 2], [format!("message {n}")])).unwrap();
    }
    drop(log);
    let report = verify(directory.path()).unwrap();
    assert_eq!((report.events(), report.damage.len(), report.unfinished), (10, 0, None));
    let file = report.segments[0].file.clone();
    let path = directory.path().join(&file);
    let mut content = fs::read(&path).unwrap();
    let at = content.windows(9).position(|bytes| bytes == b"message 4").unwrap();
    content[at] ^= 1;
    fs::write(&path, content).unwrap();
    let before = everything_in(directory.path());
    let report = verify(directory.path()).unwrap();
    let [damage] = report.damage.as_slice() else { panic!("{:?}", report.damage) };
    assert_eq!(damage.file, file);
    assert!(damage.offset < at as u64 && at as u64 - damage.offset < 40);
    assert_eq!(report.events(), 9);
    let counted: Vec<_> = report.topics.iter().map(|(topic, n)| (topic.as_str(), *n)).collect();
    assert_eq!(counted, [("a", 4), ("b", 5)]);
    let believed = stats(directory.path()).unwrap();
    assert_eq!(believed.topics.iter().map(|(_, n)| n).sum::<u64>(), 10);
    assert_eq!(believed.segments[0].first, Position { seq: 1, ..believed.segments[0].first });
    assert_eq!(everything_in(directory.path()), before);
}
