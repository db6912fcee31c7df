//! A disk that is full, slow or broken; and what is kept, and for how long.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fanfare_disk::{DiskLog, SyncPolicy};
use fanfare_event::{Event, Position, Timestamp};
use fanfare_log::{
    AppendError, Appended, Durability, EpochStatus, EventLog, Lineage, Retention, Tail,
};
use fanfare_testkit::{DiskFault, SimulatedDisk};
use support::{Recorder, after, append, batch, block_on, earliest, keyed, open, options, small};

#[test]
fn a_full_disk_refuses_publishes_serves_readers_and_recovers_with_room() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["before"])).unwrap();
    let used = disk.used();
    disk.set_room(used + 40);
    for _ in 0..3 {
        let refused = append(&log, batch("a", ["too long to fit in what is left"]));
        assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
        assert_eq!(disk.used(), used, "what was written of it is cut off");
        assert_eq!(earliest(&log, &tail).messages(), ["before"]);
        assert!(log.ready().is_ok(), "readers need not go elsewhere");
    }
    disk.set_room(u64::MAX);
    let appended = append(&log, batch("a", ["after"])).unwrap();
    assert_eq!(appended.first.seq, 2, "no position was spent");
    drop(log);
    let (log, tail) = open(&disk, options());
    assert_eq!(earliest(&log, &tail).messages(), ["before", "after"]);
}

#[test]
fn after_a_failed_sync_nothing_is_accepted_until_the_log_is_opened_anew() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, options());
    append(&log, batch("a", ["before"])).unwrap();
    disk.fail(1, DiskFault::Error);
    let unknown = append(&log, batch("a", ["lost or not"]));
    assert!(matches!(unknown, Err(AppendError::OutcomeUnknown { .. })), "{unknown:?}");
    let refused = append(&log, batch("a", ["refused"]));
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    assert!(log.ready().unwrap_err().to_string().contains("a sync failed"));
    assert_eq!(earliest(&log, &tail).messages(), ["before"]);
    assert_eq!(tail.last().seq, 1, "the tail did not hear of it");
    drop(log);
    let (log, tail) = open(&disk, options());
    assert_eq!(earliest(&log, &tail).messages()[0], "before");
    append(&log, batch("a", ["again"])).unwrap();
}

#[test]
fn a_fault_above_the_log_leaves_no_publisher_waiting() {
    struct Faulty;
    impl Tail for Faulty {
        fn begin(&self, _: &Lineage, _: Position) {}
        fn append(&self, _: &[Arc<Event>]) {
            panic!("a fault above the log");
        }
        fn trim(&self, _: Position) {}
        fn wake(&self) {}
    }
    let disk = SimulatedDisk::new(1);
    let log = DiskLog::open_on(Arc::new(disk.clone()), options(), Arc::new(Faulty)).unwrap();
    let unknown = append(&log, batch("a", ["on disk"]));
    assert!(matches!(unknown, Err(AppendError::OutcomeUnknown { .. })), "{unknown:?}");
    while log.ready().is_ok() {
        std::thread::yield_now();
    }
    let refused = append(&log, batch("a", ["refused"]));
    assert!(matches!(refused, Err(AppendError::Unavailable { .. })), "{refused:?}");
    drop(log);
    let (log, tail) = open(&disk, options());
    assert_eq!(earliest(&log, &tail).messages(), ["on disk"]);
}

#[test]
fn a_disk_that_falls_behind_makes_publishers_try_again_not_memory_grow() {
    let disk = SimulatedDisk::new(1);
    let mut few = options();
    few.queue_batches = 5;
    let (log, tail) = open(&disk, few);
    append(&log, batch("a", ["first"])).unwrap();
    let held = disk.hold();
    // The writer takes some and waits for the disk with them; five more fill the queue.
    let appending: Vec<_> = (0..50).map(|n| log.append(batch("a", [n.to_string()]))).collect();
    drop(held);
    let outcomes: Vec<_> = appending.into_iter().map(block_on).collect();
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((5..=11).contains(&accepted), "{accepted}");
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(refused, AppendError::Unavailable { .. }), "{refused}");
    }
    assert_eq!(tail.last().seq, 1 + accepted as u64);
    append(&log, batch("a", ["there is room again"])).unwrap();
}

#[test]
fn an_interval_says_what_it_promises_and_keeps_it() {
    let disk = SimulatedDisk::new(1);
    let mut interval = options();
    interval.sync = SyncPolicy::Interval(Duration::from_millis(5));
    let (log, tail) = open(&disk, interval.clone());
    let appended = append(&log, batch("a", ["soon on disk"])).unwrap();
    assert_eq!(appended.durability, Durability::Os);
    while !disk.is_synced() {
        std::thread::yield_now();
    }
    disk.fail(0, DiskFault::Crash);
    let last = tail.last();
    drop(log);
    disk.restart();
    let (log, tail) = open(&disk, interval);
    assert_eq!(earliest(&log, &tail).messages(), ["soon on disk"]);
    assert_eq!(tail.lineage().epoch_status(last.epoch), EpochStatus::EndedAt(last));
}

#[test]
fn many_publishers_share_the_disk_and_the_tail_hears_each_once() {
    let directory = tempfile::tempdir().unwrap();
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open(directory.path(), small(), tail.clone()).unwrap();
    let answers: Vec<Appended> = std::thread::scope(|scope| {
        let publish = |publisher: usize| {
            let log = &log;
            let name = format!("topic/{publisher}");
            let one = move |n: usize| {
                let messages = (0..=n % 3).map(|part| format!("{n}.{part}"));
                append(log, batch(&name, messages)).unwrap()
            };
            scope.spawn(move || (0..100).map(one).collect::<Vec<_>>())
        };
        let publishers: Vec<_> = (0..6).map(publish).collect();
        publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect()
    });
    let mut promised: Vec<_> = answers.iter().flat_map(Appended::positions).collect();
    promised.sort_unstable();
    let heard = tail.heard.lock().unwrap();
    let positions: Vec<_> = heard.events.iter().map(|event| event.position).collect();
    assert_eq!(promised, positions);
    for answer in &answers {
        let at = (answer.first.seq - 1) as usize;
        let batch = &heard.events[at..at + answer.count];
        assert!(batch.iter().all(|event| event.topic == batch[0].topic), "not torn apart");
    }
}

#[test]
fn idempotency_keys_survive_a_restart_for_their_window() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, options());
    let first = append(&log, keyed("k", batch("a", ["one", "two", "three"]))).unwrap();
    let same = append(&log, keyed("k", batch("a", ["one", "two", "three"]))).unwrap();
    assert_eq!(same, Appended { repeated: true, ..first });
    // Killed, and closed: keys are told from the segment, and from its index.
    let killed = disk.copy();
    drop(log);
    for disk in [&killed, &disk] {
        let (log, tail) = open(disk, options());
        let again = append(&log, keyed("k", batch("a", ["one", "two", "three"]))).unwrap();
        assert_eq!(again, Appended { repeated: true, ..first });
        assert_eq!(earliest(&log, &tail).events.len(), 3);
    }
    let mut brief = options();
    brief.key_window = Duration::ZERO;
    let (log, _) = open(&disk, brief);
    assert!(!append(&log, keyed("k", batch("a", ["one"]))).unwrap().repeated);
}

#[test]
fn a_trim_of_another_topic_is_no_gap_not_even_after_a_restart() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, small());
    append(&log, batch("quiet", ["kept as a cursor"])).unwrap();
    let cursor = tail.last();
    for _ in 0..100 {
        append(&log, batch("chat", ["x".repeat(900)])).unwrap();
    }
    append(&log, batch("quiet", ["news"])).unwrap();
    assert!(tail.trimmed() > cursor);
    assert!(disk.used() < 20_000 + 3 * 4096 + 2000, "kept: {}", disk.used());
    drop(log);
    let (mut log, mut tail) = open(&disk, small());
    for _ in 0..2 {
        let found = after(&log, &tail, cursor, &["quiet"]);
        assert_eq!((found.messages(), found.gaps.len()), (vec!["news"], 0));
        assert_eq!(after(&log, &tail, cursor, &["chat"]).gaps.len(), 1);
        assert_eq!(after(&log, &tail, cursor, &["**"]).gaps.len(), 1);
        let before = Position { seq: 0, ..cursor };
        assert_eq!(after(&log, &tail, before, &["quiet"]).gaps.len(), 1);
        drop(log);
        (log, tail) = open(&disk, small());
    }
}

#[test]
fn a_lost_note_of_what_was_trimmed_is_a_gap_of_every_topic() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, small());
    append(&log, batch("quiet", ["kept as a cursor"])).unwrap();
    let cursor = tail.last();
    for _ in 0..60 {
        append(&log, batch("chat", ["x".repeat(900)])).unwrap();
    }
    drop(log);
    disk.put("trimmed", b"damaged".to_vec());
    let (log, tail) = open(&disk, small());
    assert_eq!(after(&log, &tail, cursor, &["quiet"]).gaps.len(), 1);
}

#[test]
fn each_topic_keeps_its_own_count() {
    let disk = SimulatedDisk::new(1);
    let mut counted = options();
    counted.segment_bytes = 4096;
    counted.retain_topic_count = Some(3);
    let (log, tail) = open(&disk, counted.clone());
    append(&log, batch("quiet", ["q0", "q1"])).unwrap();
    let start = tail.last();
    for n in 0..200 {
        append(&log, batch("chat", [format!("c{n}")])).unwrap();
    }
    drop(log);
    let killed = disk.copy();
    for disk in [disk, killed] {
        let (log, tail) = open(&disk, counted.clone());
        let chat = after(&log, &tail, start, &["chat"]);
        assert_eq!((chat.messages(), chat.gaps.len()), (vec!["c197", "c198", "c199"], 1));
        let exact = after(&log, &tail, start.plus(197), &["chat"]);
        assert_eq!((exact.messages(), exact.gaps.len()), (vec!["c197", "c198", "c199"], 0));
        let quiet = after(&log, &tail, Position { seq: 0, ..start }, &["quiet"]);
        assert_eq!((quiet.messages(), quiet.gaps.len()), (vec!["q0", "q1"], 0));
        let all = after(&log, &tail, Position { seq: 0, ..start }, &["**"]);
        assert_eq!(all.messages(), ["q0", "q1", "c197", "c198", "c199"]);
        assert!(!all.gaps.is_empty());
        append(&log, batch("chat", ["c200"])).unwrap();
        assert_eq!(after(&log, &tail, start, &["chat"]).messages(), ["c198", "c199", "c200"]);
    }
}

#[test]
fn what_has_outlived_its_age_goes_though_nothing_is_published() {
    let disk = SimulatedDisk::new(1);
    let age = Duration::from_secs(3600);
    let mut aged = options();
    aged.retention = Retention { age, ..aged.retention };
    let (log, tail) = open(&disk, aged.clone());
    append(&log, batch("a", ["one", "two"])).unwrap();
    let last = tail.last();
    log.expire(Timestamp(Timestamp::now().as_millis() + 3_700_000));
    while tail.trimmed() < last {
        std::thread::yield_now();
    }
    let found = after(&log, &tail, Position { seq: 0, ..last }, &["a"]);
    assert_eq!((found.events.len(), found.gaps.len()), (0, 1));
    // Where the epoch ended is known although nothing of it is left.
    let killed = disk.copy();
    drop(log);
    for disk in [disk, killed] {
        let (log, tail) = open(&disk, aged.clone());
        assert_eq!(tail.lineage().epoch_status(last.epoch), EpochStatus::EndedAt(last));
        assert_eq!(tail.trimmed(), last);
        let found = after(&log, &tail, Position { seq: 1, ..last }, &["a"]);
        assert_eq!((found.events.len(), found.gaps.len()), (0, 1));
        assert!(after(&log, &tail, last, &["a"]).gaps.is_empty());
    }
}

#[test]
fn a_cursor_resumes_exactly_across_several_restarts() {
    let disk = SimulatedDisk::new(1);
    let mut published: Vec<(Position, String)> = Vec::new();
    for start in 0..6 {
        let (log, tail) = open(&disk, small());
        for (at, (cursor, _)) in published.iter().enumerate() {
            let found = after(&log, &tail, *cursor, &["a"]);
            let expected: Vec<_> = published[at + 1..].iter().map(|(_, m)| m.as_str()).collect();
            assert_eq!((found.messages(), found.gaps.len()), (expected, 0));
        }
        // Some starts publish nothing.
        for n in 0..(start % 3) * 2 {
            let message = format!("{start}.{n}");
            let appended = append(&log, batch("a", [message.clone()])).unwrap();
            published.push((appended.first, message));
        }
    }
}
