//! Half a batch: what a power cut leaves of one that was not on disk yet is nothing.

#![allow(clippy::unwrap_used)]

mod support;

use fanfare_event::Position;
use fanfare_log::EpochStatus;
use fanfare_testkit::SimulatedDisk;
use support::{append, batch, earliest, keyed, open, options};

/// The log as a power cut leaves it: the pages that hold this text never reached the disk.
fn without(disk: &SimulatedDisk, text: &str) -> SimulatedDisk {
    let torn = disk.copy();
    let name = torn.names().into_iter().rfind(|name| name.ends_with(".log")).unwrap();
    let mut content = torn.read(&name);
    let at = content.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap();
    content[at..at + text.len()].fill(0);
    torn.put(&name, content);
    torn
}

#[test]
fn a_batch_whose_pages_came_to_disk_out_of_order_is_dropped_whole_and_its_retry_publishes_once() {
    for missing in ["first", "second", "third"] {
        let disk = SimulatedDisk::new(1);
        let (log, tail) = open(&disk, options());
        append(&log, batch("a", ["before"])).unwrap();
        append(&log, keyed("k", batch("a", ["first", "second", "third"]))).unwrap();
        let last = tail.last();
        let torn = without(&disk, missing);
        let (log, tail) = open(&torn, options());
        assert_eq!(earliest(&log, &tail).messages(), ["before"], "without {missing}");
        let ended = tail.lineage().epoch_status(last.epoch);
        assert!(matches!(ended, EpochStatus::EndedAt(end) if end.seq <= 4), "{ended:?}");
        let retried = append(&log, keyed("k", batch("a", ["first", "second", "third"]))).unwrap();
        assert!(!retried.repeated, "its first try was not answered");
        let found = earliest(&log, &tail);
        assert_eq!(found.messages(), ["before", "first", "second", "third"]);
        // It stays so without an index, which would have said it.
        let unindexed = torn.copy();
        let indices: Vec<_> = torn.names().into_iter().filter(|n| n.ends_with(".idx")).collect();
        indices.iter().for_each(|name| unindexed.remove(name));
        let (log, tail) = open(&unindexed, options());
        assert_eq!(earliest(&log, &tail).messages(), found.messages());
    }
}

#[test]
fn damage_to_a_batch_that_was_on_disk_costs_one_event_and_not_the_batch() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, options());
    append(&log, batch("a", ["first", "second", "third"])).unwrap();
    append(&log, batch("a", ["synced before this was written"])).unwrap();
    let (log, tail) = open(&without(&disk, "second"), options());
    let found = earliest(&log, &tail);
    assert_eq!(found.messages(), ["first", "third", "synced before this was written"]);
    let epoch = found.events[0].position.epoch;
    assert_eq!(found.gaps, [(Position::new(epoch, 1), Position::new(epoch, 2))]);
}
