//! A sector that the medium does not give: it costs what is in it, and nothing else.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use fanfare_disk::{DiskLog, DiskOptions};
use fanfare_event::{Event, Position, Selector};
use fanfare_log::{EventLog, PageLimit, ReadError, ReadFrom};
use fanfare_testkit::SimulatedDisk;
use support::{Recorder, Replay, append, batch, open, options};

/// What a disk refuses at least, in bytes.
const SECTOR: u64 = 4096;

/// How often a reader comes back for a page before a test gives up.
const TRIES: usize = 10;

/// A closed log of one segment with some thousand events of a hundred bytes.
fn closed() -> (SimulatedDisk, Vec<Arc<Event>>) {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    for n in 0..3000 {
        append(&log, batch(["a", "b"][n % 2], [format!("{n:>60}")])).unwrap();
    }
    drop(log);
    let events = tail.heard.lock().unwrap().events.clone();
    (disk, events)
}

fn file(disk: &SimulatedDisk, ending: &str) -> String {
    disk.names().into_iter().find(|name| name.ends_with(ending)).unwrap()
}

/// Reads everything like somebody who comes back where the log is not available; also how often that was.
fn replay(log: &DiskLog, tail: &Recorder, topic: &str) -> (Replay, usize) {
    let wanted = Selector::parse([topic], []).unwrap();
    let limit = PageLimit { events: 1000, bytes: 1 << 20 };
    let (mut found, mut tries, mut at) = (Replay::default(), 0, Position::ORIGIN);
    let until = tail.last();
    while at < until {
        let from = if at == Position::ORIGIN { ReadFrom::Earliest } else { ReadFrom::After(at) };
        let page = match log.read(from, until, &wanted, limit) {
            Err(ReadError::Unavailable { .. }) if tries < TRIES => {
                tries += 1;
                continue;
            }
            page => page.unwrap(),
        };
        assert!(page.next > at, "no progress beyond {at}");
        found.gaps.extend(page.trimmed.map(|through| (at, through)));
        found.events.extend(page.events);
        at = page.next;
    }
    (found, tries)
}

#[test]
fn a_log_opens_despite_a_bad_index_sector() {
    for limit in [None, Some(10_000)] {
        for part in [0..1, 0..u64::MAX, SECTOR..SECTOR + 1] {
            let (disk, events) = closed();
            disk.refuse_to_read(&file(&disk, ".idx"), part.clone(), u64::MAX);
            let options = DiskOptions { retain_topic_count: limit, ..options() };
            let (log, tail) = open(&disk, options);
            let (found, _) = replay(&log, &tail, "**");
            assert_eq!((found.events.len(), found.gaps), (events.len(), vec![]), "{part:?}");
            let (found, _) = replay(&log, &tail, "b");
            assert_eq!((found.events.len(), found.gaps), (events.len() / 2, vec![]), "{part:?}");
        }
    }
}

#[test]
fn a_bad_sector_costs_few_records() {
    let (disk, events) = closed();
    let segment = file(&disk, ".log");
    let bad = 20 * SECTOR..21 * SECTOR;
    // By what they hold, as far as that can be told without the log.
    let content = disk.read(&segment);
    let text = |event: &Arc<Event>| {
        let message = event.message.as_bytes();
        let at = content.windows(message.len()).position(|part| part == message).unwrap() as u64;
        at..at + message.len() as u64
    };
    let hit = |event: &&Arc<Event>| {
        let at = text(event);
        at.start < bad.end && at.end > bad.start
    };
    let first = events.iter().position(|event| hit(&event)).unwrap();
    let count = events.iter().filter(hit).count();
    disk.refuse_to_read(&segment, bad, u64::MAX);
    let (log, tail) = open(&disk, options());
    let (found, tries) = replay(&log, &tail, "**");
    assert!(tries > 0, "it is tried again before it counts as damage");
    let missing: Vec<_> = events.iter().filter(|event| !found.events.contains(event)).collect();
    // The headers of those beside it may be in it.
    assert!(missing.len() >= count && missing.len() <= count + 2, "{} of {count}", missing.len());
    assert!(missing.iter().all(|event| found.covers(event.position)));
    let place = missing[0].position.seq.abs_diff(events[first].position.seq);
    assert!(place <= 1, "it is not what stood there");
}

#[test]
fn a_read_refused_for_a_moment_is_no_gap() {
    let (disk, events) = closed();
    for times in 1..=2 {
        let (log, tail) = open(&disk, options());
        disk.refuse_to_read(&file(&disk, ".log"), 9 * SECTOR..9 * SECTOR + 1, times);
        let (found, _) = replay(&log, &tail, "**");
        assert_eq!(found.gaps, [], "{times}");
        assert_eq!(found.events, events);
    }
}
