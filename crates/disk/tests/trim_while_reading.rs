//! Trimming while a page is read: whatever goes away between two steps of one page is read before
//! or told of, never passed over.
//!
//! No luck is needed: the disk calls back whenever it is read, and what is published then lets
//! segments go.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use fanfare_disk::{DiskLog, DiskOptions};
use fanfare_event::{Position, Selector, Topic};
use fanfare_log::{EventLog, PageLimit, ReadFrom};
use fanfare_testkit::SimulatedDisk;
use fastrand::Rng;
use proptest::prelude::*;
use support::{Recorder, append, batch, open, options, replay, small};

const TOPICS: [&str; 3] = ["a", "b/1", "b/2"];

/// A log that is published to while it is read.
struct Race {
    disk: SimulatedDisk,
    log: Arc<DiskLog>,
    tail: Arc<Recorder>,
}

impl Race {
    fn new(options: DiskOptions) -> Self {
        let disk = SimulatedDisk::new(1);
        let (log, tail) = open(&disk, options);
        Self { disk, log: Arc::new(log), tail }
    }

    fn publish(log: &DiskLog, topic: &str, count: usize, size: usize) {
        for _ in 0..count {
            append(log, batch(topic, ["x".repeat(size)])).unwrap();
        }
    }

    /// Publishes so much more in the course of each of the first `reads` reads.
    fn while_reading(&self, reads: usize, mut publish: impl FnMut(&DiskLog) + Send + 'static) {
        let (log, mut left) = (self.log.clone(), reads);
        self.disk.before_each_read(move || {
            if left > 0 {
                left -= 1;
                publish(&log);
            }
        });
    }

    /// Reads on from `cursor` as a subscriber does, and sees that nothing is passed over.
    fn assert_nothing_passed_over(&self, cursor: ReadFrom, topics: &[&str], page: usize) {
        let until = self.tail.last();
        let found = replay(&self.log, cursor, until, topics, page);
        self.disk.read_quietly();
        let after = match cursor {
            ReadFrom::After(position) => position,
            // What was trimmed before the first is not missed.
            ReadFrom::Earliest => match found.events.first() {
                Some(first) => first.position,
                None => return,
            },
        };
        let wanted = Selector::parse(topics.iter().copied(), []).unwrap();
        let positions = found.positions();
        for event in &self.tail.heard.lock().unwrap().events {
            let at = event.position;
            if after < at && at <= until && wanted.topics.matches(&event.topic) {
                assert!(
                    positions.binary_search(&at).is_ok() || found.covers(at),
                    "{at} of {} is lost in silence after {cursor:?}",
                    event.topic.as_str(),
                );
            }
        }
        for &(_, resumed) in &found.gaps {
            let again = self.page(ReadFrom::After(resumed), topics).trimmed;
            assert_ne!(again, Some(resumed), "the same gap again");
        }
    }

    fn page(&self, from: ReadFrom, topics: &[&str]) -> fanfare_log::Page {
        let selector = Selector::parse(topics.iter().copied(), []).unwrap();
        let limit = PageLimit { events: 512, bytes: 256 << 10 };
        self.log.read(from, self.tail.last(), &selector, limit).unwrap()
    }
}

#[test]
fn segments_unlinked_between_two_steps_of_a_page_are_a_gap() {
    let race = Race::new(small());
    Race::publish(&race.log, "a", 20, 900);
    let oldest = race.page(ReadFrom::Earliest, &["a"]).events[0].position;
    race.while_reading(1, |log| Race::publish(log, "a", 12, 900));
    race.assert_nothing_passed_over(ReadFrom::After(oldest), &["a"], 512);
    assert!(race.tail.trimmed() > oldest.plus(4), "several segments went while it was read");
}

#[test]
fn events_hidden_by_their_topics_limit_between_two_steps_are_a_gap() {
    let mut counted = options();
    counted.segment_bytes = 4096;
    counted.retain_topic_count = Some(10);
    for topics in [&["a"][..], &["a", "b/1"], &["**"]] {
        let race = Race::new(counted.clone());
        Race::publish(&race.log, "b/1", 3, 900);
        Race::publish(&race.log, "a", 10, 900);
        let start = Position::new(race.tail.last().epoch, 3);
        race.while_reading(2, |log| Race::publish(log, "a", 4, 900));
        race.assert_nothing_passed_over(ReadFrom::After(start), topics, 512);
    }
}

#[test]
fn who_comes_back_with_the_id_of_a_topics_gap_does_not_meet_it_again() {
    let mut counted = options();
    counted.retain_topic_count = Some(2);
    let race = Race::new(counted);
    Race::publish(&race.log, "a", 3, 1);
    Race::publish(&race.log, "b/1", 1, 1);
    Race::publish(&race.log, "a", 4, 1);
    let epoch = race.tail.last().epoch;
    let before = Position::new(epoch, 0);
    // Of `a` 1 to 3, 5 and 6 are hidden; `b/1` stands at 4.
    for topics in [&["a", "b/1"][..], &["**"]] {
        let page = race.page(ReadFrom::After(before), topics);
        assert_eq!(page.trimmed, Some(Position::new(epoch, 3)), "behind what is lost");
        assert_eq!(page.events.iter().map(|e| e.position.seq).collect::<Vec<_>>(), [4]);
        let page = race.page(ReadFrom::After(Position::new(epoch, 3)), topics);
        assert_eq!((page.trimmed, page.next.seq), (None, 4));
        let page = race.page(ReadFrom::After(page.next), topics);
        assert_eq!(page.trimmed, Some(Position::new(epoch, 6)), "the next loss at its own place");
        assert_eq!(page.events.len(), 2);
    }
    let page = race.page(ReadFrom::After(before), &["a"]);
    assert_eq!(page.trimmed, Some(Position::new(epoch, 6)), "of one topic there is one gap");
    assert_eq!(race.page(ReadFrom::After(Position::new(epoch, 6)), &["a"]).trimmed, None);
    assert_eq!(race.page(ReadFrom::After(before), &["b/1"]).trimmed, None);
}

#[test]
fn a_topics_gap_leads_no_further_than_the_reader_asked() {
    let mut counted = options();
    counted.retain_topic_count = Some(1);
    let race = Race::new(counted);
    Race::publish(&race.log, "a", 20, 1);
    let at = |seq| Position::new(race.tail.last().epoch, seq);
    for topic in ["a", "**"] {
        let selector = Selector::parse([topic], []).unwrap();
        let limit = PageLimit { events: 512, bytes: 256 << 10 };
        // The window is of before the group that hides them: the log learns of it first.
        let page = race.log.read(ReadFrom::After(at(2)), at(5), &selector, limit).unwrap();
        assert_eq!((page.trimmed, page.next), (Some(at(5)), at(5)), "{topic}");
        assert!(page.events.is_empty());
    }
}

#[derive(Debug, Clone)]
struct Scene {
    seed: u64,
    before: usize,
    /// How many events are published in the course of each read.
    bursts: Vec<usize>,
    limit: Option<u64>,
    page: usize,
    wanted: usize,
    /// Where the cursor stands, of a thousand parts of the log; none is `earliest`.
    cursor: Option<u64>,
}

fn scenes() -> impl Strategy<Value = Scene> {
    let bursts = prop::collection::vec(prop_oneof![2 => Just(0_usize), 3 => 1_usize..25], 0..12);
    let parts = (any::<u64>(), 0_usize..60, bursts, prop::option::of(1_u64..30), 1_usize..40);
    (parts, 0_usize..4, prop::option::weighted(0.9, 0_u64..1000)).prop_map(
        |((seed, before, bursts, limit, page), wanted, cursor)| Scene {
            seed,
            before,
            bursts,
            limit,
            page,
            wanted,
            cursor,
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_trimmed_between_any_two_steps_is_read_or_told(scene in scenes()) {
        let mut options = small();
        options.retain_topic_count = scene.limit;
        let race = Race::new(options);
        let rng = Arc::new(Mutex::new(Rng::with_seed(scene.seed)));
        let publish = move |log: &DiskLog, count: usize| {
            for _ in 0..count {
                let (topic, size) = {
                    let mut rng = rng.lock().unwrap();
                    (TOPICS[rng.usize(..TOPICS.len())], rng.usize(..1500))
                };
                Race::publish(log, topic, 1, size);
            }
        };
        publish(&race.log, scene.before);
        let wanted = [&["a"][..], &["b/*"], &["a", "b/2"], &["**"]][scene.wanted];
        let last = race.tail.last();
        let cursor = scene.cursor.map_or(ReadFrom::Earliest, |part| {
            ReadFrom::After(Position::new(last.epoch, last.seq * part / 1000))
        });
        let mut bursts = scene.bursts.into_iter();
        race.while_reading(usize::MAX, move |log| publish(log, bursts.next().unwrap_or(0)));
        race.assert_nothing_passed_over(cursor, wanted, scene.page);
    }
}

#[test]
fn a_rare_type_among_large_messages_does_not_make_one_page_read_the_whole_log() {
    let race = Race::new(options());
    let mut large = batch("a", (0..40).map(|_| "x".repeat(1 << 20)));
    large.drafts.push(fanfare_event::Draft {
        topic: Topic::parse("a").unwrap(),
        event_type: Some(fanfare_event::EventType::parse("rare").unwrap()),
        message: "found".into(),
        extras: None,
    });
    append(&race.log, large).unwrap();
    let selector = Selector::parse(["a"], ["rare"]).unwrap();
    let limit = PageLimit { events: 512, bytes: 256 << 10 };
    let (mut from, mut pages, last) = (ReadFrom::Earliest, 0, race.tail.last());
    loop {
        let before = race.disk.bytes_read();
        let page = race.log.read(from, last, &selector, limit).unwrap();
        let read = race.disk.bytes_read() - before;
        assert!(read <= 5 << 20, "{read} bytes for one page");
        pages += 1;
        if let Some(found) = page.events.first() {
            assert_eq!(found.position, last);
            break;
        }
        from = ReadFrom::After(page.next);
    }
    assert!(pages >= 8, "{pages}");
}
