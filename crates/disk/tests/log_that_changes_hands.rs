//! A log that changes hands: another process goes on with it in the same epoch, and the lock is never free.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use fanfare_disk::{
    DiskLog, DiskOptions, DiskState, DiskWriter, FreezeError, OpenError, Progress, SyncPolicy,
};
use fanfare_event::{Position, Timestamp};
use fanfare_log::state_stream::StateWriter;
use fanfare_log::{AppendError, Appended, Batch, Between, EventLog, ReadFrom, StateError};
use fanfare_memory::MemoryState;
use fanfare_testkit::{DiskFault, SimulatedDisk, SimulatedEnvironment};
use proptest::prelude::*;
use support::{Recorder, after, append, batch, earliest, keyed, open, options, replay, small};

const SOON: Duration = Duration::from_secs(60);

fn sent(state: &DiskState) -> DiskState {
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    let sent = DiskState::read(&mut &bytes[..]).unwrap();
    assert_eq!(sent, *state);
    sent
}

fn resume(
    disk: &SimulatedDisk,
    options: DiskOptions,
    state: &DiskState,
) -> (DiskLog, Arc<Recorder>) {
    let tail = Arc::<Recorder>::default();
    let storage = Arc::new(disk.clone());
    (DiskLog::resume_on(storage, options, tail.clone(), sent(state)).unwrap(), tail)
}

fn assert_locked(directory: &Path) {
    let another = DiskLog::open(directory, small(), Arc::<Recorder>::default());
    assert!(matches!(another.err().unwrap(), OpenError::Locked { .. }));
}

#[test]
fn no_other_hub_gets_in_while_a_log_moves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let open_in = |tail: Arc<Recorder>| DiskLog::open(path, small(), tail).unwrap();
    let old = open_in(Arc::default());
    let first = append(&old, batch("a", ["one"])).unwrap().first;
    let state = old.freeze(SOON).unwrap();
    assert_locked(path);
    let lock = old.lock_descriptors().unwrap().unwrap();
    assert_locked(path);
    let tail = Arc::<Recorder>::default();
    let new = DiskLog::resume(path, lock, small(), tail.clone(), sent(&state)).unwrap();
    assert_locked(path);
    old.release();
    assert_locked(path);
    drop(old);
    assert_locked(path);
    new.thaw();
    let second = append(&new, batch("a", ["two"])).unwrap().first;
    assert_eq!(second, first.next(), "in the same epoch");
    assert_eq!(earliest(&new, &tail).messages(), ["one", "two"]);
    assert_locked(path);
    drop(new);
    let tail = Arc::<Recorder>::default();
    let last = open_in(tail.clone());
    assert_eq!(earliest(&last, &tail).messages(), ["one", "two"]);
}

#[test]
fn an_aborted_handover_keeps_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let old = DiskLog::open(path, small(), Arc::<Recorder>::default()).unwrap();
    let state = old.freeze(SOON).unwrap();
    let lock = old.lock_descriptors().unwrap().unwrap();
    let new =
        DiskLog::resume(path, lock, small(), Arc::<Recorder>::default(), sent(&state)).unwrap();
    drop(new);
    assert_locked(path);
    old.thaw();
    append(&old, batch("a", ["one"])).unwrap();
    assert_locked(path);
    drop(old);
    DiskLog::open(path, small(), Arc::<Recorder>::default()).unwrap();
}

#[test]
fn the_log_of_another_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (one, other) = (parent.path().join("one"), parent.path().join("other"));
    let old = DiskLog::open(&one, small(), Arc::<Recorder>::default()).unwrap();
    append(&old, batch("a", ["one"])).unwrap();
    let state = old.freeze(SOON).unwrap();
    let resume = |path: &Path| {
        let lock = old.lock_descriptors().unwrap().unwrap();
        DiskLog::resume(path, lock, small(), Arc::<Recorder>::default(), state.clone()).err()
    };
    fs::create_dir(&other).unwrap();
    assert!(matches!(resume(&other), Some(OpenError::Changed { .. })));
    let names = fs::read_dir(&one).unwrap().map(|entry| entry.unwrap().path());
    let segment = names.into_iter().find(|name| name.extension().is_some_and(|it| it == "log"));
    let segment = segment.unwrap();
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[1..]).unwrap();
    assert!(matches!(resume(&one), Some(OpenError::Changed { .. })), "another length");
    fs::remove_file(&segment).unwrap();
    assert!(matches!(resume(&one), Some(OpenError::Changed { .. })), "none");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0, "nothing was touched");
}

#[test]
fn what_is_published_meanwhile_is_accepted_once() {
    let disk = SimulatedDisk::new(1);
    let (old, tail) = open(&disk, options());
    append(&old, batch("a", ["one"])).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    // Given up: what has waited is accepted, once.
    old.freeze(SOON).unwrap();
    let mut waiting = pin!(old.append(keyed("k", batch("a", ["two"]))));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    old.thaw();
    let second = support::block_on(waiting).unwrap();
    assert_eq!(earliest(&old, &tail).messages(), ["one", "two"]);
    // Committed: it is refused, and accepted by the other, once.
    let state = old.freeze(SOON).unwrap();
    let mut waiting = pin!(old.append(keyed("l", batch("a", ["three"]))));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    let (new, tail) = resume(&disk, options(), &state);
    let mut early = pin!(new.append(keyed("l", batch("a", ["three"]))));
    assert!(early.as_mut().poll(&mut context).is_pending(), "before it is committed");
    old.release();
    let refused = support::block_on(waiting).unwrap_err();
    assert!(matches!(refused, AppendError::Unavailable { .. }), "{refused:?}");
    let late = append(&old, batch("a", ["four"])).unwrap_err();
    assert!(matches!(late, AppendError::Unavailable { .. }), "{late:?}");
    new.thaw();
    let third = support::block_on(early).unwrap();
    assert_eq!(third.first, second.first.next());
    let again = append(&new, keyed("k", batch("a", ["two"]))).unwrap();
    assert_eq!((again.first, again.repeated), (second.first, true), "keys go along");
    assert_eq!(earliest(&new, &tail).messages(), ["one", "two", "three"]);
}

#[test]
fn a_log_that_moves_keeps_trims_and_holes() {
    let disk = SimulatedDisk::new(2);
    let (old, old_tail) = open(&disk, small());
    let chat = append(&old, batch("chat", ["x"])).unwrap().first;
    for _ in 0..60 {
        append(&old, batch("orders", ["x".repeat(900)])).unwrap();
    }
    assert!(old_tail.trimmed() > chat);
    let cursors: Vec<_> = (0..61).map(|seq| Position::new(chat.epoch, seq)).collect();
    let all = |log: &DiskLog, tail: &Recorder| {
        let of = |topics: &[&str]| {
            cursors.iter().map(|at| after(log, tail, *at, topics).gaps).collect::<Vec<_>>()
        };
        [of(&["chat"]), of(&["orders"]), of(&["c*", "other"].map(|_| "**")), of(&["other"])]
    };
    let before = all(&old, &old_tail);
    let state = old.freeze(SOON).unwrap();
    let (new, new_tail) = resume(&disk, small(), &state);
    assert_eq!(all(&new, &new_tail), before);
    assert_eq!((new.size(), new_tail.trimmed()), (old.size(), old_tail.trimmed()));
    old.release();
    drop(old);
    new.thaw();
    for _ in 0..60 {
        append(&new, batch("orders", ["x".repeat(900)])).unwrap();
    }
    assert!(new_tail.trimmed() > old_tail.trimmed(), "what the other wrote is trimmed too");
    drop(new);
    let (reopened, tail) = open(&disk, small());
    assert_eq!(earliest(&reopened, &tail).gaps, []);
}

#[test]
fn a_freeze_makes_acknowledged_events_durable() {
    for sync in [SyncPolicy::Os, SyncPolicy::Interval(SOON), SyncPolicy::Disk] {
        let disk = SimulatedDisk::new(3);
        let options = DiskOptions { sync, ..options() };
        let (old, _) = open(&disk, options.clone());
        append(&old, batch("a", ["one"])).unwrap();
        let state = old.freeze(SOON).unwrap();
        let (new, _) = resume(&disk, options.clone(), &state);
        old.release();
        drop((old, new));
        disk.restart();
        let (reopened, tail) = open(&disk, options);
        assert_eq!(earliest(&reopened, &tail).messages(), ["one"]);
    }
}

#[test]
fn what_damage_lost_is_known_after_the_log_moves() {
    let limited = |retain_topic_count| DiskOptions { retain_topic_count, ..options() };
    let disk = SimulatedDisk::new(10);
    let (mut log, _) = open(&disk, options());
    let answered = keyed("once", batch("b", ["of b"]));
    append(&log, batch("a", ["first", "second"])).unwrap();
    let lost = append(&log, answered.clone()).unwrap().first;
    for (topic, message) in [("a", "third"), ("a", "fourth"), ("c", "of c")] {
        append(&log, batch(topic, [message])).unwrap();
    }
    let before = Position { seq: 0, ..lost };
    let mut state = log.freeze(SOON).unwrap();
    // A record of each of two topics, and the rest of the index.
    let file = |ending: &str| disk.names().into_iter().find(|it| it.ends_with(ending)).unwrap();
    let mut index = disk.read(&file(".idx"));
    *index.last_mut().unwrap() ^= 1;
    disk.put(&file(".idx"), index);
    let mut segment = disk.read(&file(".log"));
    for text in ["of b", "third"] {
        let at = segment.windows(text.len()).position(|part| part == text.as_bytes()).unwrap();
        segment[at] ^= 1;
    }
    disk.put(&file(".log"), segment);
    for (limit, shown) in [
        (Some(2), &["second", "fourth"][..]),
        (Some(2), &["second", "fourth"]),
        (None, &["first", "second", "fourth"]),
        (Some(1), &["fourth"]),
    ] {
        log.release();
        let (next, tail) = resume(&disk, limited(limit), &state);
        log = next;
        log.thaw();
        let found = replay(&log, ReadFrom::Earliest, tail.last(), &["a"], 7);
        assert_eq!(found.messages(), shown, "{limit:?}");
        assert_eq!(after(&log, &tail, before, &["c"]).messages(), ["of c"], "{limit:?}");
        let found = after(&log, &tail, before, &["b"]);
        assert!(found.covers(lost) && found.events.is_empty(), "{limit:?}: {found:?}");
        assert!(append(&log, answered.clone()).unwrap().repeated, "{limit:?}");
        state = log.freeze(SOON).unwrap();
    }
    assert_eq!(log.size().unwrap().events, 6);
}

/// A log that is worked by hand, and acknowledges ahead of the disk.
fn by_hand(disk: &SimulatedDisk) -> (DiskLog, DiskWriter, Arc<Recorder>) {
    let tail = Arc::<Recorder>::default();
    let (storage, environment) = (Arc::new(disk.clone()), Arc::new(SimulatedEnvironment::new(7)));
    let options = DiskOptions { sync: SyncPolicy::Os, ..options() };
    let (log, writer) = DiskLog::open_by_hand(storage, environment, options, tail.clone()).unwrap();
    (log, writer, tail)
}

/// The same, which goes on with what another has frozen.
fn resume_by_hand(disk: &SimulatedDisk, state: &DiskState) -> (DiskLog, DiskWriter, Arc<Recorder>) {
    let tail = Arc::<Recorder>::default();
    let (storage, environment) = (Arc::new(disk.clone()), Arc::new(SimulatedEnvironment::new(8)));
    let options = DiskOptions { sync: SyncPolicy::Os, ..options() };
    let (log, writer) =
        DiskLog::resume_by_hand(storage, environment, options, tail.clone(), sent(state)).unwrap();
    (log, writer, tail)
}

/// Lets the writer do all that it finds to do.
fn work(writer: &mut DiskWriter) {
    while writer.step() == Progress::Worked {}
}

/// Publishes where the writer is worked by hand.
fn publish(log: &DiskLog, writer: &mut DiskWriter, batch: Batch) -> Appended {
    let appending = log.append(batch);
    work(writer);
    support::block_on(appending).unwrap()
}

/// What is called to look, and counts the operations that change something from now on.
fn count_changes(disk: &SimulatedDisk) -> impl Fn() -> usize + use<> {
    let changes = Arc::new(AtomicUsize::new(0));
    let counted = changes.clone();
    disk.before_each_change(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    move || changes.load(Ordering::Relaxed)
}

#[test]
fn a_closed_frozen_log_changes_nothing() {
    for is_released in [false, true] {
        let disk = SimulatedDisk::new(8);
        let (old, mut old_writer, _) = by_hand(&disk);
        publish(&old, &mut old_writer, batch("a", ["one"]));
        old.ask_to_freeze();
        work(&mut old_writer);
        let state = old.frozen(Duration::ZERO).unwrap();
        let (new, mut new_writer, tail) = resume_by_hand(&disk, &state);
        new.thaw();
        let last = publish(&new, &mut new_writer, batch("a", ["two"])).first;
        let changes = count_changes(&disk);
        if is_released {
            old.release();
        }
        drop(old);
        work(&mut old_writer);
        assert_eq!(old_writer.step(), Progress::Ended);
        assert_eq!(changes(), 0, "released: {is_released}");
        // The other has relied on it that the disk knows of what is acknowledged and not on it yet.
        assert_eq!(tail.last(), last);
        disk.fail(0, DiskFault::Crash);
        drop((new, new_writer));
        disk.restart();
        let (_log, tail) = open(&disk, options());
        let cursor = Position { seq: 0, ..last };
        assert_eq!(tail.lineage().between(cursor, tail.last()), Between::Lost);
    }
}

#[test]
fn what_is_handed_in_while_frozen_waits() {
    let disk = SimulatedDisk::new(9);
    let (old, mut old_writer, old_tail) = by_hand(&disk);
    publish(&old, &mut old_writer, batch("a", ["one"]));
    old.ask_to_freeze();
    work(&mut old_writer);
    let state = old.frozen(Duration::ZERO).unwrap();
    let (new, mut new_writer, new_tail) = resume_by_hand(&disk, &state);
    let changes = count_changes(&disk);
    for (log, writer, tail) in
        [(&old, &mut old_writer, &old_tail), (&new, &mut new_writer, &new_tail)]
    {
        let mut waiting = pin!(log.append(batch("a", ["two"])));
        log.expire(Timestamp(u64::MAX));
        work(writer);
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert_eq!((changes(), tail.trimmed()), (0, Position::ORIGIN));
        assert_eq!(earliest(log, tail).messages(), ["one"]);
    }
}

#[test]
fn no_failed_log_is_handed_over() {
    let disk = SimulatedDisk::new(4);
    let (log, _) = open(&disk, options());
    append(&log, batch("a", ["one"])).unwrap();
    // The segment is written, then its sync fails.
    disk.fail(1, DiskFault::Error);
    append(&log, batch("a", ["two"])).unwrap_err();
    assert!(matches!(log.freeze(SOON), Err(FreezeError::Failed { .. })));
    assert!(log.ready().is_err());
}

#[test]
fn a_disk_that_hangs_aborts_the_handover() {
    let disk = SimulatedDisk::new(5);
    let (log, tail) = open(&disk, options());
    let mut appending = {
        let _held = disk.hold();
        let appending = log.append(batch("a", ["one"]));
        let within = Duration::from_millis(1);
        assert_eq!(log.freeze(within).unwrap_err(), FreezeError::TooSlow { within });
        appending
    };
    support::block_on(&mut appending).unwrap();
    append(&log, batch("a", ["two"])).unwrap();
    assert_eq!(earliest(&log, &tail).messages(), ["one", "two"], "it goes on as before");
}

/// A log in which everything is settled by one seed, frozen.
fn settled() -> DiskState {
    let disk = SimulatedDisk::new(6);
    let environment = Arc::new(SimulatedEnvironment::new(7));
    let tail = Arc::<Recorder>::default();
    let storage = Arc::new(disk);
    let options = DiskOptions { sync: SyncPolicy::Os, ..small() };
    let (log, mut writer) = DiskLog::open_by_hand(storage, environment, options, tail).unwrap();
    let mut work = || while writer.step() == Progress::Worked {};
    for n in 0..40 {
        let key = format!("key {n}");
        drop(log.append(keyed(&key, batch(["a", "b"][n % 2], ["x".repeat(900)]))));
        work();
    }
    log.expire(Timestamp(0));
    log.ask_to_freeze();
    work();
    log.frozen(Duration::ZERO).unwrap()
}

#[test]
fn the_golden_state_is_read_as_it_was() {
    let golden = include_bytes!("golden/disk-2.state");
    let state = settled();
    let mut bytes = Vec::new();
    state.write(&mut bytes).unwrap();
    assert_eq!(DiskState::read(&mut &golden[..]).unwrap(), state);
    assert_eq!(bytes, golden, "a change of the format needs a new version");
    for bit in (0..golden.len() * 8).step_by(97) {
        let mut flipped = golden.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        DiskState::read(&mut &flipped[..]).unwrap_err();
    }
    for end in (0..golden.len()).step_by(7) {
        DiskState::read(&mut &golden[..end]).unwrap_err();
    }
    let other = include_bytes!("../../memory/src/golden/memory-1.state");
    assert!(matches!(DiskState::read(&mut &other[..]), Err(StateError::Version)));
}

proptest! {
    #[test]
    fn no_content_makes_a_reader_panic(
        content in prop::collection::vec(any::<u8>(), 0..400), zeros in 0_usize..200,
    ) {
        // Counts that are small, and texts that are short, lead further.
        let content = || content.iter().copied().chain(std::iter::repeat_n(0, zeros));
        for magic in [*b"FFMEMLG1", *b"FFDSKLG1", *b"FFDSKLG2"] {
            let mut bytes = Vec::new();
            let mut writer = StateWriter::begin(&mut bytes, magic);
            writer.entry(|into| into.extend(content())).unwrap();
            writer.finish().unwrap();
            let _ = MemoryState::read(&mut &bytes[..]);
            let _ = DiskState::read(&mut &bytes[..]);
        }
    }
}
