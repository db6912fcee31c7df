//! A page whose work has no end: it is bounded in what it looks at, not only in what it returns.

#![allow(clippy::unwrap_used)]

mod support;

use fanfare_disk::DiskLog;
use fanfare_event::{Draft, Position, Selector, Topic};
use fanfare_log::{Batch, EventLog, PageLimit, ReadFrom};
use fanfare_testkit::SimulatedDisk;
use support::{append, open, options};

const EACH: usize = 4_000;

/// Publishes one event to each of so many topics.
fn publish(log: &DiskLog, topics: usize) -> Position {
    let draft = |n: usize| Draft {
        topic: Topic::parse(&format!("users/{n}/news")).unwrap(),
        event_type: None,
        message: "".into(),
        extras: None,
    };
    let mut last = Position::ORIGIN;
    for at in (0..topics).step_by(EACH) {
        let drafts = (at..at + EACH).map(draft).collect();
        last = append(log, Batch { drafts, key: None }).unwrap().positions().last().unwrap();
    }
    last
}

/// In how many pages everything is read, and how many events there are.
fn pages(log: &DiskLog, topic: &str, until: Position) -> (usize, usize) {
    let selector = Selector::parse([topic], []).unwrap();
    let limit = PageLimit { events: 512, bytes: 256 << 10 };
    let (mut from, mut pages, mut events) = (ReadFrom::Earliest, 0, 0);
    loop {
        let page = log.read(from, until, &selector, limit).unwrap();
        assert_ne!(from, ReadFrom::After(page.next), "no progress");
        (pages, events) = (pages + 1, events + page.events.len());
        if page.next == until {
            return (pages, events);
        }
        from = ReadFrom::After(page.next);
    }
}

#[test]
fn a_page_compares_a_bounded_part_of_closed_segments() {
    let disk = SimulatedDisk::new(1);
    let mut many = options();
    many.segment_bytes = 128 << 10;
    let (log, _) = open(&disk, many);
    let last = publish(&log, 120_000);
    assert!(disk.names().iter().filter(|name| name.ends_with(".idx")).count() > 20);
    let (read, found) = pages(&log, "*/77777/news", last);
    assert_eq!(found, 1);
    assert!((2..=8).contains(&read), "{read} pages for 120,000 comparisons");
    assert_eq!(pages(&log, "users/77777/*", last), (1, 1), "few topics begin like that");
    assert_eq!(pages(&log, "users/77777/news", last), (1, 1));
}

#[test]
fn a_page_compares_a_bounded_part_of_the_growing_one() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, options());
    let last = publish(&log, 120_000);
    assert_eq!(disk.names().iter().filter(|name| name.ends_with(".idx")).count(), 0);
    let (read, found) = pages(&log, "*/77777/news", last);
    assert_eq!(found, 1);
    assert!((2..=8).contains(&read), "{read} pages for 120,000 comparisons");
}

#[test]
fn a_segment_of_too_many_topics_is_passed_at_last() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    publish(&log, 120_000);
    drop(log);
    let (log, _) = open(&disk, options());
    let (read, found) = pages(&log, "*/77777/news", tail.last());
    assert_eq!(found, 1);
    assert!(read <= 120_000 / 4096 + 1, "{read} pages");
}
