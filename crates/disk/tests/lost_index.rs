//! The index of a segment, of which a start reads only the head: the rest may be damaged, gone or unreadable by
//! the time somebody asks for it.

#![allow(clippy::unwrap_used)]

mod support;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanfare_disk::{DiskLog, DiskOptions, DiskState, SyncPolicy};
use fanfare_disk::{Progress, Storage, StoredFile};
use fanfare_event::{Event, EventId, Position, Selector, Timestamp, Topic};
use fanfare_log::{EventLog, PageLimit, ReadError, ReadFrom};
use fanfare_testkit::{SimulatedDisk, SimulatedEnvironment};
use support::{Recorder, after, append, batch, block_on, earliest, keyed, open, options, small};

/// A log of several segments that is closed, and what is in it.
fn closed(segments: usize) -> (SimulatedDisk, Vec<Arc<Event>>) {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, unlimited());
    while disk.names().iter().filter(|name| name.ends_with(".log")).count() < segments {
        for (n, topic) in ["a", "b/1", "b/2"].into_iter().enumerate() {
            append(&log, batch(topic, vec!["x".repeat(200 * n); n + 1])).unwrap();
        }
    }
    drop(log);
    let events = tail.heard.lock().unwrap().events.clone();
    (disk, events)
}

/// Small segments, all of which are kept.
fn unlimited() -> DiskOptions {
    let retention = options().retention;
    DiskOptions { retention, ..small() }
}

fn indices(disk: &SimulatedDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".idx")).collect()
}

/// Where the places of records begin in an index.
fn places(index: &[u8]) -> usize {
    u32::from_le_bytes(index[8..12].try_into().unwrap()) as usize
}

/// All of it is there, whoever asks, and nobody is told of a gap.
fn assert_whole(log: &DiskLog, tail: &Recorder, events: &[Arc<Event>]) {
    assert_eq!(earliest(log, tail).events, events);
    let before = Position { seq: 0, ..events[0].position };
    for topics in [&["a"][..], &["b/*"], &["b/2", "a"]] {
        let found = after(log, tail, before, topics);
        let wanted = Selector::parse(topics.iter().copied(), []).unwrap().topics;
        let expected: Vec<_> = events.iter().filter(|it| wanted.matches(&it.topic)).collect();
        assert_eq!(found.events.iter().collect::<Vec<_>>(), expected);
        assert_eq!(found.gaps, []);
    }
}

#[test]
fn a_start_reads_only_the_heads_of_indices() {
    let disk = SimulatedDisk::new(1);
    let (log, _) = open(&disk, unlimited());
    for _ in 0..20 {
        append(&log, batch("a", vec!["x"; 3000])).unwrap();
    }
    drop(log);
    let sizes: u64 = indices(&disk).iter().map(|name| disk.read(name).len() as u64).sum();
    assert!(sizes > 60_000 * 8);
    let before = disk.bytes_read();
    let (log, tail) = open(&disk, unlimited());
    let read = disk.bytes_read() - before;
    assert!(read < 21 * 9000, "{read} bytes for {sizes}");
    assert_eq!(log.size().unwrap().events, 60_000);
    drop((log, tail));
}

#[test]
fn a_damaged_index_hides_and_moves_nothing() {
    let (disk, events) = closed(3);
    let name = &indices(&disk)[1];
    let content = disk.read(name);
    for bit in places(&content) * 8..content.len() * 8 {
        let copy = disk.copy();
        let mut flipped = content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        copy.put(name, flipped);
        let (log, tail) = open(&copy, unlimited());
        assert_whole(&log, &tail, &events);
    }
}

#[test]
fn a_missing_or_cut_index_hides_nothing() {
    let (disk, events) = closed(4);
    for cut in [None, Some(0), Some(20), Some(150)] {
        let copy = disk.copy();
        let (log, tail) = open(&copy, unlimited());
        for name in indices(&copy) {
            match cut {
                None => copy.remove(&name),
                Some(length) => copy.put(&name, disk.read(&name)[..length].to_vec()),
            }
        }
        assert_whole(&log, &tail, &events);
    }
}

#[test]
fn the_index_of_another_segment_is_ignored() {
    let (disk, events) = closed(4);
    let (log, tail) = open(&disk, unlimited());
    let names = indices(&disk);
    disk.put(&names[1], disk.read(&names[2]));
    assert_whole(&log, &tail, &events);
}

#[test]
fn records_no_file_shows_are_a_gap() {
    let (disk, events) = closed(3);
    let name = &indices(&disk)[1];
    let segment = name.replace(".idx", ".log");
    // From the last record on; a scan does not see that there was one.
    let mut content = disk.read(&segment);
    let length = content.len();
    content[length - 40..].fill(0xff);
    disk.put(&segment, content);
    let (log, tail) = open(&disk, unlimited());
    disk.remove(name);
    let seq = |name: &str| name[21..41].parse::<u64>().unwrap();
    let last = seq(&indices(&disk)[1]) - 1;
    let lost = events.iter().find(|event| event.position.seq == last).unwrap();
    let before = Position { seq: last - 1, ..lost.position };
    for topics in [[lost.topic.as_str()], ["**"], ["x"]] {
        let found = after(&log, &tail, before, &topics);
        assert!(found.covers(lost.position), "{topics:?}: {:?}", found.gaps);
        assert!(!found.events.contains(lost));
    }
}

#[test]
fn readers_of_one_index_do_not_wait() {
    let (disk, events) = closed(3);
    let (log, tail) = open(&disk, unlimited());
    let log = Arc::new(log);
    // In the middle of each of the first reads, somebody else reads all of it.
    let (other, until, mut left) = (log.clone(), tail.last(), 20);
    disk.before_each_read(move || {
        if left > 0 {
            left -= 1;
            support::replay(&other, ReadFrom::Earliest, until, &["**"], 7);
        }
    });
    assert_whole(&log, &tail, &events);
    disk.read_quietly();
}

/// A disk on which indices cannot be read, or on which something happens before they are.
struct Faulty {
    disk: SimulatedDisk,
    fails: Arc<AtomicBool>,
    before: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Faulty {
    fn new(disk: SimulatedDisk) -> Self {
        Self { disk, fails: Arc::default(), before: Mutex::default() }
    }
}

struct FaultyFile(Arc<dyn StoredFile>, Arc<AtomicBool>);

impl StoredFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        match self.1.load(Ordering::Relaxed) {
            // EIO.
            true => Err(io::Error::from_raw_os_error(5)),
            false => self.0.read_at(into, at),
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.truncate(size)
    }
}

impl Storage for Faulty {
    fn place(&self) -> String {
        self.disk.place()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        if !name.ends_with(".idx") {
            return self.disk.open(name);
        }
        let before = self.before.lock().unwrap().take();
        before.into_iter().for_each(|before| before());
        Ok(Arc::new(FaultyFile(self.disk.open(name)?, self.fails.clone())))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        self.disk.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.disk.unlink(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn boot(&self) -> Option<u128> {
        self.disk.boot()
    }
}

#[test]
fn an_unreadable_index_is_an_error() {
    let (disk, events) = closed(3);
    let faulty = Arc::new(Faulty::new(disk));
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open_on(faulty.clone(), unlimited(), tail.clone()).unwrap();
    let limit = PageLimit { events: 7, bytes: 1 << 20 };
    faulty.fails.store(true, Ordering::Relaxed);
    for topics in [["a"], ["b/*"]] {
        let wanted = Selector::parse(topics, []).unwrap();
        let failed = log.read(ReadFrom::Earliest, tail.last(), &wanted, limit);
        assert!(matches!(failed, Err(ReadError::Unavailable { .. })), "{failed:?}");
    }
    faulty.fails.store(false, Ordering::Relaxed);
    assert_whole(&log, &tail, &events);
}

#[test]
fn an_index_never_given_counts_as_damaged() {
    let (disk, events) = closed(2);
    let faulty = Arc::new(Faulty::new(disk));
    let tail = Arc::<Recorder>::default();
    let log = DiskLog::open_on(faulty.clone(), options(), tail.clone()).unwrap();
    let limit = PageLimit { events: 1000, bytes: 1 << 30 };
    let wanted = Selector::parse(["**"], []).unwrap();
    faulty.fails.store(true, Ordering::Relaxed);
    let read = || log.read(ReadFrom::Earliest, tail.last(), &wanted, limit);
    let tries = std::iter::repeat_with(read).take(10).position(|page| page.is_ok());
    assert!(tries.is_some_and(|failures| failures > 1), "{tries:?}");
    assert_whole(&log, &tail, &events);
}

#[test]
fn a_damaged_index_is_rebuilt() {
    let (disk, events) = closed(3);
    let (name, end) = (&indices(&disk)[1], |index: &Vec<u8>| index.len() - 1);
    let content = disk.read(name);
    let mut flipped = content.clone();
    flipped[end(&content)] ^= 1;
    disk.put(name, flipped);
    let (log, tail) = open(&disk, unlimited());
    assert_whole(&log, &tail, &events);
    log.expire(Timestamp::now());
    let began = Instant::now();
    while disk.read(name) != content {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not written anew");
        std::thread::yield_now();
    }
}

#[test]
fn a_segment_trimmed_before_its_index_is_a_gap() {
    let faulty = Arc::new(Faulty::new(SimulatedDisk::new(1)));
    let tail = Arc::<Recorder>::default();
    let uncached = DiskOptions { index_bytes: 0, ..small() };
    let log = Arc::new(DiskLog::open_on(faulty.clone(), uncached, tail.clone()).unwrap());
    let publish = |log: &DiskLog| {
        for topic in ["a", "b"].into_iter().cycle().take(40) {
            append(log, batch(topic, ["x".repeat(900)])).unwrap();
        }
    };
    publish(&log);
    let cursor = tail.trimmed();
    assert!(cursor > Position::ORIGIN);
    *faulty.before.lock().unwrap() = Some(Box::new({
        let log = log.clone();
        move || publish(&log)
    }));
    let until = tail.last();
    let found = after(&log, &tail, cursor, &["a"]);
    assert!(tail.trimmed() >= until, "all of it is gone by now");
    for event in &tail.heard.lock().unwrap().events {
        let told = found.covers(event.position) || found.events.contains(event);
        let asked = event.position > cursor && event.position <= until;
        assert!(told || !asked || event.topic.as_str() != "a", "{}", event.position);
    }
}

#[test]
fn indices_beyond_the_bound_leave_memory() {
    let (disk, events) = closed(8);
    let sizes =
        |names: &[String]| -> u64 { names.iter().map(|it| disk.read(it).len() as u64).sum() };
    let all = sizes(&indices(&disk));
    // What reading the whole log twice costs, beyond its records.
    let twice = |index_bytes| {
        let (log, tail) = open(&disk, DiskOptions { index_bytes, ..unlimited() });
        let page = PageLimit { events: 10_000, bytes: 1 << 30 };
        let read = || {
            let before = disk.bytes_read();
            let wanted = Selector::parse(["**"], []).unwrap();
            let found = log.read(ReadFrom::Earliest, tail.last(), &wanted, page).unwrap();
            assert_eq!(found.events.len(), events.len());
            disk.bytes_read() - before
        };
        (read(), read())
    };
    let (first, second) = twice(1 << 20);
    assert_eq!(first - second, all, "those that fit are read once");
    let (first, second) = twice(0);
    assert_eq!(first, second, "those that do not are read again");
}

#[test]
fn an_index_of_an_older_version_is_read() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/index-2");
    let directory = tempfile::tempdir().unwrap();
    let mut indices = Vec::new();
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        let to = directory.path().join(entry.file_name());
        std::fs::copy(entry.path(), &to).unwrap();
        indices.extend(to.extension().is_some_and(|it| it == "idx").then_some(to));
    }
    let version = |index: &Path| std::fs::read(index).unwrap()[7];
    assert!(indices.len() == 2 && indices.iter().all(|index| version(index) == b'2'));
    let mut patient = options();
    patient.key_window = Duration::from_secs(1 << 32);
    for round in 0..2 {
        let tail = Arc::<Recorder>::default();
        let log = DiskLog::open(directory.path(), patient.clone(), tail.clone()).unwrap();
        let found = earliest(&log, &tail);
        assert_eq!(found.gaps, []);
        let (epochs, numbers) = (0..2, 0..6);
        for (epoch, n) in epochs.flat_map(|epoch| numbers.clone().map(move |n| (epoch, n))) {
            let at = epoch * 12 + n * 2;
            let [one, two] = &found.events[at..at + 2] else { panic!("{found:?}") };
            assert_eq!(*one.message, *format!("{epoch}.{n}"));
            assert_eq!(*two.message, *format!("{epoch}.{n} too"));
            let id = EventId::parse(&format!("urn:{epoch}.{n}")).unwrap();
            assert_eq!(block_on(log.find(&id)).unwrap(), Some(one.position), "{round}");
        }
        let orders = replay_messages(&log, &tail, "orders/1");
        assert_eq!(orders[..5], ["0.0", "0.0 too", "0.3", "0.3 too", "0.4"]);
        for epoch in 0..2 {
            let again = keyed(&format!("key {epoch}"), batch("orders/2", ["another"]));
            let first = found.events[epoch * 12 + 4].position;
            let repeated = append(&log, again).map(|it| (it.repeated, it.first)).unwrap();
            assert_eq!(repeated, (true, first), "{round}");
        }
        assert!(indices.iter().all(|index| version(index) == b'3'), "the next start reads less");
    }
}

fn replay_messages(log: &DiskLog, tail: &Recorder, topic: &str) -> Vec<String> {
    let found = support::replay(log, ReadFrom::Earliest, tail.last(), &[topic], 7);
    found.messages().into_iter().map(str::to_owned).collect()
}

/// A log in which everything is settled by one seed, frozen; see `log_that_changes_hands.rs`.
fn settled(options: DiskOptions) -> (SimulatedDisk, DiskState, Vec<Arc<Event>>) {
    let disk = SimulatedDisk::new(6);
    let environment = Arc::new(SimulatedEnvironment::new(7));
    let (tail, storage) = (Arc::<Recorder>::default(), Arc::new(disk.clone()));
    let (log, mut writer) =
        DiskLog::open_by_hand(storage, environment, options, tail.clone()).unwrap();
    let mut work = || while writer.step() == Progress::Worked {};
    for n in 0..40 {
        let key = format!("key {n}");
        drop(log.append(keyed(&key, batch(["a", "b"][n % 2], ["x".repeat(900)]))));
        work();
    }
    log.expire(Timestamp(0));
    log.ask_to_freeze();
    work();
    let state = log.frozen(Duration::ZERO).unwrap();
    let trimmed = tail.trimmed();
    let mut events = tail.heard.lock().unwrap().events.clone();
    events.retain(|event| event.position > trimmed);
    (disk, state, events)
}

fn resume(
    disk: &SimulatedDisk,
    options: DiskOptions,
    state: DiskState,
) -> (DiskLog, Arc<Recorder>) {
    let (tail, environment) = (Arc::<Recorder>::default(), Arc::new(SimulatedEnvironment::new(8)));
    let storage = Arc::new(disk.clone());
    let resumed = DiskLog::resume_by_hand(storage, environment, options, tail.clone(), state);
    (resumed.unwrap().0, tail)
}

#[test]
fn a_log_of_an_older_version_is_taken_over() {
    let options = DiskOptions { sync: SyncPolicy::Os, ..small() };
    let (disk, state, events) = settled(options.clone());
    let golden = include_bytes!("golden/disk-1.state");
    let older = DiskState::read(&mut &golden[..]).unwrap();
    assert_ne!(older, state, "it has all of each index");
    for without in [false, true] {
        if without {
            indices(&disk).iter().for_each(|name| disk.remove(name));
        }
        let (log, tail) = resume(&disk, options.clone(), older.clone());
        assert_eq!(earliest(&log, &tail).events, events);
    }
}

#[test]
fn a_changed_limit_counts_after_a_handover() {
    let limited = DiskOptions { retain_topic_count: Some(2), sync: SyncPolicy::Os, ..small() };
    let unlimited = DiskOptions { retain_topic_count: None, ..limited };
    let shown = |from: &DiskOptions, to: &DiskOptions, damage: bool| {
        let (disk, state, events) = settled(from.clone());
        if damage {
            indices(&disk).iter().for_each(|name| disk.remove(name));
        }
        let (log, tail) = resume(&disk, to.clone(), state);
        (earliest(&log, &tail).events.len(), events.len())
    };
    for damage in [false, true] {
        assert_eq!(shown(&unlimited, &limited, damage).0, 4, "two of each topic");
        assert_eq!(shown(&limited, &limited, damage).0, 4);
        let (found, retained) = shown(&limited, &unlimited, damage);
        assert_eq!(found, retained);
    }
}

#[test]
fn the_bytes_of_an_index_stay() {
    let (disk, _, _) = settled(DiskOptions { sync: SyncPolicy::Os, ..small() });
    let golden = include_bytes!("golden/index-3.idx");
    assert_eq!(disk.read(&indices(&disk)[0]), golden, "a change of the format needs a new version");
}

#[test]
fn an_index_that_was_not_written_stays_in_memory() {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, unlimited());
    let fill = |log: &DiskLog| {
        for _ in 0..5 {
            append(log, batch("a", ["x".repeat(900)])).unwrap();
        }
    };
    let first = tail.last().next();
    disk.refuse_to_create(&format!("{:020}-{:020}.idx.tmp", first.epoch, first.seq));
    (0..4).for_each(|_| fill(&log));
    assert!(!indices(&disk).iter().any(|name| name.contains(&format!("-{:020}", first.seq))));
    let before = disk.bytes_read();
    let wanted = Selector::parse(["none"], []).unwrap();
    let limit = PageLimit { events: 1, bytes: 1 };
    log.read(ReadFrom::After(Position { seq: 0, ..first }), first.plus(2), &wanted, limit).unwrap();
    assert_eq!(disk.bytes_read(), before, "it is in memory, and its segment is not scanned");
    assert_eq!(earliest(&log, &tail).events.len(), 20);
    let topic = Topic::parse("a").unwrap();
    assert!(earliest(&log, &tail).events.iter().all(|event| event.topic == topic));
}

/// A log whose first segment has one event of each of three topics and more of the first, where the rest of its index
/// and the record of `b` alone are damaged. The event of `b` has a key and an id.
fn damaged_twice() -> (SimulatedDisk, Vec<Arc<Event>>, fanfare_log::Batch) {
    let disk = SimulatedDisk::new(1);
    let (log, tail) = open(&disk, unlimited());
    append(&log, batch("a", ["first"])).unwrap();
    let answered = keyed("once", batch("b", ["only"]));
    append(&log, answered.clone()).unwrap();
    append(&log, batch("c", ["third"])).unwrap();
    for _ in 0..12 {
        append(&log, batch("a", ["x".repeat(900)])).unwrap();
    }
    drop(log);
    let index = &indices(&disk)[0];
    let mut content = disk.read(index);
    let last = content.len() - 5;
    content[last] ^= 1;
    disk.put(index, content);
    let segment = index.replace(".idx", ".log");
    let mut content = disk.read(&segment);
    let at = content.windows(4).position(|part| part == b"only").unwrap();
    content[at] ^= 1;
    disk.put(&segment, content);
    let events = tail.heard.lock().unwrap().events.clone();
    (disk, events, answered)
}

#[test]
fn a_rebuilt_index_keeps_the_topics_of_its_head() {
    for limit in [None, Some(100)] {
        let (disk, events, _) = damaged_twice();
        let (log, tail) = open(&disk, DiskOptions { retain_topic_count: limit, ..unlimited() });
        let before = Position { seq: 0, ..events[0].position };
        for topics in [&["c"][..], &["*"], &["a", "c"]] {
            let found = after(&log, &tail, before, topics);
            assert!(found.messages().contains(&"third"), "{limit:?} {topics:?}");
        }
        let lost = after(&log, &tail, before, &["b"]);
        assert!(lost.covers(events[1].position), "{limit:?}: it is told that it is lost");
    }
}

#[test]
fn a_key_survives_the_rewrite_of_its_index() {
    let (disk, events, answered) = damaged_twice();
    let (log, tail) = open(&disk, unlimited());
    let damaged = disk.read(&indices(&disk)[0]);
    let before = Position { seq: 0, ..events[0].position };
    after(&log, &tail, before, &["a"]);
    log.expire(Timestamp::now());
    while disk.read(&indices(&disk)[0]) == damaged {
        std::thread::yield_now();
    }
    drop(log);
    let (log, _) = open(&disk, unlimited());
    assert!(append(&log, answered).unwrap().repeated, "its record is damaged, its key was known");
}
